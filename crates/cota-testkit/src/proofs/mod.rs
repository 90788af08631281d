//! What a conversation is promised, proven on any target: each proof is written once, and [`proofs!`](crate::proofs) makes a test
//! of each for a target.
//!
//! A target says how one of the [`bots`](crate::targets::bot) is served. A proof talks to it as any client does, over HTTP and
//! over WebSockets, and reads the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a proof does not expect fails it"
)]

mod bad_model;
mod isolation;
mod on_busy;
mod rooms;
mod speaker;

use std::future::Future;
use std::time::Duration;

use crate::llm_server::{LlmServer, Settings};
use crate::seeds;

pub use bad_model::every_misbehaviour_ends_in_a_reply_and_keeps_the_message;
pub use isolation::{
    fifty_conversations_keep_their_secrets, five_frames_of_one_socket_are_each_answered,
    five_messages_are_answered_in_the_order_of_acceptance,
};
pub use on_busy::{
    latest_cancels_the_running_turn, merge_takes_what_waits_as_one, queue_answers_in_order_up_to_its_length, reject_records_nothing,
};
pub use rooms::{
    an_event_stream_goes_on_behind_its_last_id, an_event_stream_that_only_joined_comes_back, people_of_every_channel_meet_in_a_room,
    who_has_no_stream_may_speak_but_not_join,
};
pub use speaker::{Heard, Speaker, Way, Ways};

/// A guard against hangs; a soak takes longer by far.
const HANG: Duration = Duration::from_secs(600);
const SOAK_HANG: Duration = Duration::from_secs(3_600);

/// A place where bots are served.
pub trait Target {
    /// What serves a bot, until it is dropped.
    type Server: Server;

    /// What is done before the first start, such as a build: however long it takes, it is no hang.
    fn prepare(&self) {}

    /// Serves the bot of this name, whose model is at `llm`.
    fn start(&self, bot: &str, llm: &str) -> impl Future<Output = Self::Server>;
}

/// A bot that is being served.
pub trait Server {
    /// Whether the frames of one connection are taken in the order they were sent, and what it hears comes in the order of the
    /// record. Where each frame is a call of a function, only the record has an order.
    const ORDERED: bool = true;

    /// Where it is.
    fn address(&self) -> Address;

    /// Ends all that runs at once, as `kill -9` does, and serves on over what was kept.
    fn restart(&mut self) -> impl Future<Output = ()>;

    /// What it logged.
    fn logged(&self) -> String;
}

/// Where clients find a server: `host:port` each.
#[derive(Clone, Debug)]
pub struct Address {
    /// For HTTP.
    pub http: String,
    /// For WebSockets.
    pub sockets: String,
}

/// Runs a test under a limit that only a hang reaches.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    let hang = if seeds::soak().is_some() { SOAK_HANG } else { HANG };
    runtime.block_on(async { tokio::time::timeout(hang, test).await.expect("the test hangs") });
}

/// A scripted model.
pub async fn model(settings: Settings) -> LlmServer {
    LlmServer::start(settings).await.expect("the system has a free port")
}

/// A test for each proof on a target.
#[macro_export]
macro_rules! proofs {
    // Of those that also keep event streams and Socket.IO's connections, which functions do not.
    (rooms: $target:expr) => {
        $crate::proofs! { @test $target, people_meet: people_of_every_channel_meet_in_a_room }
        $crate::proofs! { @test $target, a_stream_goes_on: an_event_stream_goes_on_behind_its_last_id }
        $crate::proofs! { @test $target, a_stream_that_only_joined_comes_back: an_event_stream_that_only_joined_comes_back }
        $crate::proofs! { @test $target, who_has_no_stream: who_has_no_stream_may_speak_but_not_join }
    };
    ($target:expr) => {
        $crate::proofs! { @test $target, fifty_keep_their_secrets_over_http: fifty_conversations_keep_their_secrets, Http }
        $crate::proofs! { @test $target, fifty_keep_their_secrets_over_sockets: fifty_conversations_keep_their_secrets, Sockets }
        $crate::proofs! { @test $target, fifty_keep_their_secrets_both_ways_mixed: fifty_conversations_keep_their_secrets, Mixed }
        $crate::proofs! { @test $target, five_are_answered_in_order: five_messages_are_answered_in_the_order_of_acceptance }
        $crate::proofs! { @test $target, five_frames_of_one_socket_are_answered: five_frames_of_one_socket_are_each_answered }
        $crate::proofs! { @test $target, on_busy_queue: queue_answers_in_order_up_to_its_length }
        $crate::proofs! { @test $target, on_busy_reject: reject_records_nothing }
        $crate::proofs! { @test $target, on_busy_latest: latest_cancels_the_running_turn }
        $crate::proofs! { @test $target, on_busy_merge: merge_takes_what_waits_as_one }
        $crate::proofs! { @test $target, a_bad_model: every_misbehaviour_ends_in_a_reply_and_keeps_the_message }
    };
    (@test $target:expr, $name:ident: $proof:ident $(, $ways:ident)?) => {
        #[test]
        fn $name() {
            let target = $target;
            $crate::proofs::Target::prepare(&target);
            $crate::proofs::run($crate::proofs::$proof(&target $(, $crate::proofs::Ways::$ways)?));
        }
    };
}
