//! The store conformance suite: what every [`Store`] must do, whatever it keeps conversations in.
//!
//! [`run`] tries every case on a store of its own. It needs no runtime: any executor that polls a future will do, so the same
//! cases run on a laptop, against a service and inside a Durable Object. [`random`] adds sequences of operations that are
//! drawn at random and compared with a model; [`ledger`] holds the cases of the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a broken rule ends the test with what was found instead"
)]

mod accepting;
mod claiming;
mod committing;
mod lasting;
pub mod ledger;
#[cfg(feature = "random")]
mod model;
#[cfg(feature = "random")]
pub mod random;
mod reading;
pub mod samples;
mod world;

use std::future::Future;
use std::sync::Arc;

use cota_driver::store::Store;
use futures_util::future::BoxFuture;

use self::world::World;

/// One rule of the store contract, tried.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it proves.
    pub name: &'static str,
    run: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Tries it on a store that holds nothing of this case yet. It uses conversations named after itself.
    ///
    /// # Panics
    /// If the store breaks the rule.
    pub async fn run(&self, store: Arc<dyn Store>) {
        (self.run)(store).await;
    }
}

/// Tries every case, each on a store that `make` made for it.
///
/// # Panics
/// If the store breaks a rule; the case is the last one printed.
pub async fn run<S, F, Making>(make: F)
where
    S: Store + 'static,
    F: Fn() -> Making,
    Making: Future<Output = S>,
{
    for case in cases() {
        eprintln!("store conformance: {}", case.name);
        case.run(Arc::new(make().await)).await;
    }
}

macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => {
        vec![$(Case { name: stringify!($case), run: |store| Box::pin($module::$case(World::new(store, stringify!($case)))) }),*]
    };
}

/// Every case of the suite.
#[must_use]
pub fn cases() -> Vec<Case> {
    cases![
        accepting::a_free_conversation_is_the_acceptors,
        accepting::an_acceptor_that_does_not_drive_rings,
        accepting::a_message_waits_for_a_live_claim_and_rings_for_a_lapsed_one,
        accepting::the_same_message_again_is_not_recorded_twice,
        accepting::an_id_stands_for_one_text,
        accepting::ids_are_in_the_scope_of_their_sender,
        accepting::messages_wait_in_the_order_of_acceptance,
        accepting::a_full_queue_refuses_and_records_nothing,
        accepting::a_busy_conversation_rejects_on_request,
        accepting::messages_sent_at_once_get_places_of_their_own,
        accepting::one_of_several_acceptors_at_once_drives,
        claiming::a_conversation_without_work_is_idle,
        claiming::a_live_claim_is_held,
        claiming::a_lapsed_claim_is_taken_over_for_the_same_run,
        claiming::one_of_several_claimants_wins,
        claiming::whoever_lost_the_claim_is_fenced,
        claiming::a_renewed_lease_holds_longer_and_tells_of_newer_messages,
        claiming::takeovers_are_counted_for_each_run,
        claiming::a_parked_run_is_resumed_at_its_time,
        claiming::a_claim_that_is_let_go_is_there_for_whoever_comes,
        claiming::a_saved_run_goes_before_a_newer_message,
        claiming::a_message_for_a_parked_run_wakes_it,
        claiming::a_run_is_not_parked_past_a_message_that_it_has_not_heard,
        claiming::unfinished_work_is_listed_with_its_time,
        committing::a_finish_answers_its_message,
        committing::a_finish_hands_the_claim_to_the_next_message,
        committing::a_commit_of_the_run_before_is_fenced,
        committing::a_message_accepted_between_load_and_finish_is_not_lost,
        committing::a_driver_that_does_not_go_on_releases_and_rings,
        committing::a_repeated_commit_is_written_once,
        committing::a_repeated_finish_still_hands_the_claim_on,
        committing::a_repeated_commit_with_the_same_id_ignores_other_content,
        committing::a_checkpoint_saves_the_run_and_a_finish_clears_it,
        committing::a_checkpoint_without_events_leaves_the_head,
        committing::events_that_do_not_follow_the_head_are_refused,
        committing::several_messages_share_one_answer,
        committing::an_answer_spans_every_commit_of_its_run,
        committing::a_follow_up_waits_like_any_message,
        reading::nothing_is_known_of_a_conversation_that_never_was,
        reading::events_come_in_pages_without_gaps,
        reading::a_snapshot_and_the_events_after_it_make_the_same_state,
        reading::every_character_and_number_comes_back,
        reading::a_turn_larger_than_an_item_of_a_service_comes_back,
        reading::a_saved_run_comes_back_byte_by_byte,
        lasting::a_thousand_turns_keep_their_order,
        lasting::the_same_id_under_two_owners_is_two_conversations,
        lasting::a_deleted_conversation_leaves_nothing,
        lasting::deleting_fences_a_running_turn,
        lasting::a_conversation_begun_again_starts_at_the_first_seq,
        lasting::the_store_is_ready,
    ]
}
