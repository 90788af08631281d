//! What only the Worker's own tests ask of it: the rules of the store and of the ledger, and the clock of objects, tried inside
//! workerd.

#![expect(missing_docs, reason = "the platform's macro documents nothing of what it makes")]

use std::sync::Arc;

use axum::body::Body;
use cota_core::ids::{Position, Seq};
use cota_core::task::Message;
use cota_driver::ports::Clock as _;
use cota_driver::store::{Acceptance, AfterAccept, NewMessage, Store as _};
use cota_testkit::conformance::{self, ledger, samples};
use futures_util::future::{Either, select};
use worker::{DurableObject, Env, Request, Response, State, WebSocketIncomingMessage, durable_object};

use crate::ledger::RemoteLedger;
use crate::platform::ObjectClock;
use crate::store::ObjectStore;

/// Where a case is tried: `/tried/store/NAME`, `/tried/ledger/NAME` or `/tried/clock/sleepers`.
pub(crate) const PATH: &str = "/tried/";
/// The binding of the objects that try the store.
const BINDING: &str = "TRIED";
/// How long a conversation is kept that nobody touches.
const KEEP_MS: u64 = 60_000;

/// Panics where a client says so.
pub(crate) fn panic_if_told(message: &WebSocketIncomingMessage) {
    let told = matches!(message, WebSocketIncomingMessage::String(text) if text.contains(r#""type":"panic""#));
    assert!(!told, "what a client is told then is tried");
}

/// Whether a message is lost on its way: a task is not told of what its agent has answered.
pub(crate) fn is_lost(message: &NewMessage) -> bool {
    matches!(Message::read(&message.content), Some(Message::Outcome { .. })) && message.content.text.contains("#lost")
}

/// Tries the rules of the store on its own database, one case in one object.
#[durable_object(fetch)]
pub struct TriedObject {
    state: State,
}

impl DurableObject for TriedObject {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let name = request.path().trim_start_matches('/').to_owned();
        assert_ne!(name, "panic", "what becomes of other objects then is tried");
        match name.as_str() {
            "retention" => {
                retention(&self.state).await?;
                return Response::ok("kept");
            }
            "rolled-back" => {
                rolled_back(&self.state).await?;
                return Response::ok("kept");
            }
            _ => {}
        }
        let store = ObjectStore::shared(self.state.storage()).map_err(failed)?;
        match conformance::cases().into_iter().find(|case| case.name == name) {
            Some(case) => {
                case.run(Arc::new(store)).await;
                Response::ok("kept")
            }
            None => Response::error("no such case", 404),
        }
    }
}

/// A conversation that nobody touches is kept for its time, and longer while a turn runs.
async fn retention(state: &State) -> worker::Result<()> {
    let (key, at) = (samples::key("ann", "kept"), samples::T0);
    let store = ObjectStore::open(state.storage(), samples::holder("a"), Some(KEEP_MS)).map_err(failed)?;
    let accepted = store.accept(&key, samples::message("m1"), &samples::driving("a")).await.map_err(failed)?;
    let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else {
        return Err(failed(format!("the turn is not driven: {accepted:?}")));
    };
    assert!(!store.retain(at.plus_ms(2 * KEEP_MS)).map_err(failed)?, "a turn runs");
    let inbox = store.load(&key).await.map_err(failed)?.unwrap_or_default().inbox;
    let (claim, terms) = (&claimed.claim, samples::stopping(at));
    store.commit(&key, claim, &samples::finish(claim, 1, Seq(0), &inbox), &terms).await.map_err(failed)?;
    assert!(!store.retain(at.plus_ms(KEEP_MS - 1)).map_err(failed)?, "its time is not up");
    assert_eq!(store.key().map_err(failed)?, Some(key.clone()));
    assert!(store.retain(at.plus_ms(KEEP_MS)).map_err(failed)?, "its time is up");
    assert_eq!((store.key().map_err(failed)?, store.load(&key).await.map_err(failed)?), (None, None));
    Ok(())
}

/// What a change wrote before it failed is in nobody's memory: the next message has the place that the lost one would have had.
async fn rolled_back(state: &State) -> worker::Result<()> {
    let (key, terms) = (samples::key("ann", "rolled-back"), samples::driving("a"));
    let store = ObjectStore::open(state.storage(), samples::holder("a"), None).map_err(failed)?;
    store.accept(&key, samples::message("m1"), &terms).await.map_err(failed)?;
    let large = samples::saying("m2", &"x".repeat(2_000_000));
    assert!(store.accept(&key, large, &terms).await.is_err(), "no row takes so much");
    let accepted = store.accept(&key, samples::message("m3"), &terms).await.map_err(failed)?;
    assert!(matches!(accepted, Acceptance::Accepted { position: Position(2), .. }), "{accepted:?}");
    let loaded = store.load(&key).await.map_err(failed)?.unwrap_or_default();
    assert_eq!(loaded.inbox.iter().map(|message| message.message_id.as_str()).collect::<Vec<_>>(), ["m1", "m3"]);
    Ok(())
}

/// Those who share a timer are woken in the order of their times, whoever came or left before.
async fn sleepers() -> worker::Result<()> {
    let clock = ObjectClock::default();
    let now = clock.now();
    let late = clock.sleep_until(now.plus_ms(150));
    let early = clock.sleep_until(now.plus_ms(50));
    drop(clock.sleep_until(now.plus_ms(20)));
    let Either::Right(((), late)) = select(late, early).await else { return Err(failed("the later one is woken first")) };
    assert!(clock.now() >= now.plus_ms(50), "it is woken before its time");
    late.await;
    assert!(clock.now() >= now.plus_ms(150), "it is woken before its time");
    drop(clock.sleep_until(now.plus_ms(100_000)));
    let again = clock.now();
    clock.sleep_until(again.plus_ms(30)).await;
    assert!((30..50_000).contains(&clock.now().since(again)), "the timer of one who left is still waited for");
    clock.sleep_until(again).await;
    Ok(())
}

fn failed(why: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(why.to_string())
}

/// Tries the case that a path names; a rule that is broken ends the isolate, which the log tells.
pub(crate) async fn run(env: &Env, path: &str) -> worker::Result<http::Response<Body>> {
    let status = match path.trim_start_matches(PATH).split_once('/') {
        Some(("store", name)) => {
            let object = env.durable_object(BINDING)?.get_by_name(name)?;
            object.fetch_with_str(&format!("https://object/{name}")).await?.status_code()
        }
        Some(("clock", "sleepers")) => {
            sleepers().await?;
            200
        }
        Some(("ledger", name)) => match ledger::cases().into_iter().find(|case| case.name == name) {
            Some(case) => {
                case.run(Arc::new(RemoteLedger::named(env, name)?)).await;
                200
            }
            None => 404,
        },
        Some(_) | None => 404,
    };
    http::Response::builder().status(status).body(Body::empty()).map_err(worker::Error::from)
}
