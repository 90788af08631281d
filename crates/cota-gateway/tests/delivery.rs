//! Delivery as a property: whatever is said, read, joined again or flooded in whatever order, a client that goes on from the last
//! event it has sees every message, in order and, from one join to the next, once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod support;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use cota_driver::host::Conversations as _;
use cota_gateway::websocket::{Opening, Session};
use support::{World, world};

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    /// Somebody says something, and it may take its time to be answered.
    Said { floods: bool },
    /// The model may go on.
    Answered,
    /// The reader takes so many frames, if there are.
    Read(usize),
    /// The reader joins again, from the last event it has.
    Joined { streams: bool },
    /// Everything else gets time to run.
    Waited,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(|floods| Happening::Said { floods }),
        3 => Just(Happening::Answered),
        4 => (1..8_usize).prop_map(Happening::Read),
        1 => any::<bool>().prop_map(|streams| Happening::Joined { streams }),
        2 => Just(Happening::Waited),
    ]
}

/// What a client has seen of a conversation.
#[derive(Default)]
struct Reader {
    last: u64,
    bot: BTreeSet<u64>,
    users: HashMap<String, usize>,
    /// Joining again may show a message of a user again.
    joined: usize,
    /// From where it asked to go on, for each join that is not confirmed yet.
    asked: VecDeque<u64>,
    /// The reply being written, as the client would show it.
    live: String,
}

impl Reader {
    fn take(&mut self, frame: &Json) -> Result<(), TestCaseError> {
        if let Some(seq) = frame["seq"].as_u64() {
            prop_assert!(seq > self.last, "{frame} after {}", self.last);
            self.last = seq;
        }
        match (frame["type"].as_str().unwrap(), frame["sender"].as_str()) {
            ("text", Some("user")) => *self.users.entry(frame["message_id"].to_string()).or_default() += 1,
            ("text", _) => {
                self.bot.insert(frame["seq"].as_u64().unwrap());
                self.live.clear();
            }
            ("reset", _) => self.live.clear(),
            ("delta", _) => {
                let offset = usize::try_from(frame["offset"].as_u64().unwrap()).unwrap();
                prop_assert!(offset <= self.live.len(), "a hole before {frame}");
                self.live.truncate(offset);
                self.live.push_str(frame["text"].as_str().unwrap());
            }
            ("join_confirm", _) => {
                // What was on its way before comes again.
                self.last = self.asked.pop_front().unwrap();
                self.live.clear();
            }
            ("error", _) => prop_assert_eq!(&frame["code"], "queue_full"),
            _ => {}
        }
        Ok(())
    }
}

fn open(world: &World, sender: &str) -> Session {
    let request = Request::get(format!("/websocket?sender_id={sender}")).header(header::HOST, "localhost");
    match world.gateway.open(&request.body(Body::empty()).unwrap().into_parts().0) {
        Opening::Session(session) => *session,
        Opening::MissingSender | Opening::Refused(_) => panic!("the session was refused"),
    }
}

async fn join(session: &mut Session, reader: &mut Reader, streams: bool) {
    let after = reader.last;
    reader.asked.push_back(after);
    session.handle(&json!({"type": "join", "session_id": "s1", "after": after, "stream": streams}).to_string()).await;
}

async fn play(happenings: Vec<Happening>) -> Result<(), TestCaseError> {
    let world = world();
    let (mut speaker, mut session, mut reader) = (open(&world, "ana"), open(&world, "bo"), Reader::default());
    join(&mut session, &mut reader, true).await;
    let mut said = 0;
    for happening in happenings {
        match happening {
            Happening::Said { floods } => {
                said += 1;
                let text = if floods { "stream, wait and flood" } else { "stream and wait" };
                speaker.handle(&json!({"type": "text", "session_id": "s1", "text": text}).to_string()).await;
            }
            Happening::Answered => world.model.may_answer.add_permits(1),
            Happening::Read(count) => {
                for frame in std::iter::from_fn(|| session.ready()).take(count) {
                    reader.take(&serde_json::from_str(&frame.encode()).unwrap())?;
                }
            }
            Happening::Joined { streams } => {
                reader.joined += 1;
                join(&mut session, &mut reader, streams).await;
            }
            Happening::Waited => tokio::task::yield_now().await,
        }
    }
    world.model.may_answer.add_permits(2 * said);
    while world.host.metrics().running.load(std::sync::atomic::Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    while let Ok(frame) = timeout(Duration::from_millis(1), session.next()).await {
        reader.take(&serde_json::from_str(&frame.encode()).unwrap())?;
    }
    let accepted = world.host.metrics().accepted.load(std::sync::atomic::Ordering::Relaxed);
    prop_assert_eq!(&reader.bot, &(0..accepted).map(|turn| 4 * turn + 3).collect::<BTreeSet<_>>());
    prop_assert_eq!(reader.users.len() as u64, accepted);
    prop_assert!(reader.joined > 0 || reader.users.values().all(|shown| *shown == 1), "{:?}", reader.users);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_message_arrives_once_and_in_order(happenings in prop::collection::vec(happening(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(happenings))?;
    }
}
