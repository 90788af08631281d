//! What is too much is refused, told so in each channel's words, and had again when its time has come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value as Json, json};
use tokio::time::{advance, timeout};

use cota_core::bot::OnBusy;
use cota_core::ids::Timestamp;
use cota_driver::host::Conversations as _;
use cota_driver::ledger::{Ledger as _, MemoryLedger};
use cota_gateway::identity::{Chance, Identities, NoChance, keys};
use cota_gateway::limits::{Allowance, Limiter, Limits, Rate};
use cota_gateway::websocket::{Opening, Session};
use cota_gateway::{Access, ClientAddress, Scopes};

use client::{MESSAGES, ask, body, get, post};
use support::{START, World, two_processes_with, world_with};

struct Fixed;

impl Chance for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        bytes.fill(7);
        Ok(())
    }
}

/// A process with limits that knows its callers by a key, or not at all.
struct Limited {
    world: World,
    router: Router,
    key: Option<String>,
}

impl Limited {
    async fn to(limits: Limits) -> Self {
        Self::with(limits, Arc::default(), true).await
    }

    async fn with(limits: Limits, ledger: Arc<MemoryLedger>, identifies: bool) -> Self {
        let key = match identifies {
            true => Some(keys::create(ledger.as_ref(), &Fixed, "", Scopes::CHAT, START, None).await),
            false => None,
        };
        let world = world_with(OnBusy::Queue, |options| {
            options.limiter = Limiter::new(limits, ledger.clone(), options.clock.clone());
            if identifies {
                let identities = Identities::new(ledger, options.clock.clone(), Arc::new(Fixed));
                options.access = Access::On(Arc::new(identities));
            }
        });
        // A second process of one deployment finds the key there.
        let known = "cota_0707070707070707_".to_owned() + &"07".repeat(32);
        Self { router: world.gateway.router(), world, key: key.map(|made| made.map_or(known, |issued| issued.text)) }
    }

    async fn ask(&self, address: &str, mut request: Request<Body>) -> Response {
        if let Some(key) = &self.key {
            request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")).unwrap());
        }
        request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
        ask(&self.router, request).await
    }

    async fn say(&self, address: &str, sender: &str) -> Response {
        self.ask(address, post(MESSAGES, &json!({"text": "hi", "sender_id": sender}))).await
    }

    async fn open(&self, address: &str, sender: &str) -> Result<Session, Response> {
        let request = get(&format!("/websocket?sender_id={sender}"));
        let mut parts = request.into_parts().0;
        if let Some(key) = &self.key {
            parts.headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")).unwrap());
        }
        parts.extensions.insert(ClientAddress(address.parse().unwrap()));
        self.world.gateway.admit(&mut parts).await.unwrap();
        match self.world.gateway.open(&parts) {
            Opening::Session(session) => Ok(*session),
            Opening::Refused(response) => Err(response),
            Opening::MissingSender => panic!("it names a sender"),
        }
    }
}

fn rate(per_minute: u32, burst: u32) -> Option<Rate> {
    Some(Rate::new(NonZeroU32::new(per_minute).unwrap(), NonZeroU32::new(burst).unwrap()))
}

fn requests(per_minute: u32, burst: u32) -> Allowance {
    Allowance { requests: rate(per_minute, burst), ..Allowance::default() }
}

fn retry_after(response: &Response) -> &str {
    response.headers()[header::RETRY_AFTER].to_str().unwrap()
}

async fn frame(session: &mut Session) -> Json {
    let frame = timeout(Duration::from_secs(10), session.next()).await.expect("no frame came");
    serde_json::from_str(&frame.encode()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_identity_may_ask_so_often_and_another_one_does_not_suffer() {
    let limited = Limited::to(Limits { identity: requests(60, 2), ..Limits::default() }).await;
    for _ in 0..2 {
        assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::OK);
    }
    let refused = limited.say("192.0.2.2", "ana").await;
    assert_eq!((refused.status(), retry_after(&refused)), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/problem+json");
    let problem: Json = serde_json::from_str(&body(refused).await).unwrap();
    assert_eq!((&problem["code"], &problem["retry_after"]), (&json!("rate_limited"), &json!(1)));
    assert_eq!(problem["detail"], "too many requests: one identity may have 60 a minute; try again in 1 s");
    assert_eq!(limited.say("192.0.2.1", "bo").await.status(), StatusCode::OK);
    advance(Duration::from_secs(1)).await;
    assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_address_may_ask_so_often_whatever_it_asks_and_whoever_it_says_it_is() {
    let limited = Limited::to(Limits { address: requests(6, 2), ..Limits::default() }).await;
    let wrong_key = || {
        let mut request = get("/v1/conversations/c1?sender_id=ana");
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer cota_0_0"));
        request.extensions_mut().insert(ClientAddress("192.0.2.1".parse().unwrap()));
        request
    };
    assert_eq!(ask(&limited.router, wrong_key()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(limited.ask("192.0.2.1", get("/no/such/route")).await.status(), StatusCode::NOT_FOUND);
    let refused = ask(&limited.router, wrong_key()).await;
    assert_eq!((refused.status(), retry_after(&refused)), (StatusCode::TOO_MANY_REQUESTS, "10"), "keys cannot be guessed");
    assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.say("192.0.2.2", "ana").await.status(), StatusCode::OK);
    for free in ["/", "/health", "/ready", "/version", "/metrics", "/openapi.json", "/page/style.css"] {
        assert_eq!(limited.ask("192.0.2.1", get(free)).await.status(), StatusCode::OK, "{free}");
    }
    let mut asked = post("/v1/chat/completions", &json!({"messages": [{"role": "user", "content": "hi"}]}));
    asked.headers_mut().insert(header::ORIGIN, HeaderValue::from_static("http://localhost"));
    asked.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let refused = limited.ask("192.0.2.1", asked).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "http://localhost", "a page may read when to try again");
    let problem: Json = serde_json::from_str(&body(refused).await).unwrap();
    assert_eq!((&problem["error"]["type"], &problem["error"]["code"]), (&json!("rate_limit_error"), &json!("rate_limited")));
    advance(Duration::from_secs(10)).await;
    assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_all_processes_of_a_deployment() {
    let ledger = Arc::<MemoryLedger>::default();
    let limits = Limits { identity: requests(60, 3), ..Limits::default() };
    let [one, two] = [Limited::with(limits, ledger.clone(), true).await, Limited::with(limits, ledger.clone(), true).await];
    let mut answers = Vec::new();
    for process in [&one, &two, &one, &two, &one] {
        answers.push(process.say("192.0.2.1", "ana").await.status().as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 429, 429]);
    let records = ledger.list("limit/", START).await.unwrap();
    assert_eq!(records.len(), 1);
    assert!(!records[0].0.contains("ana"), "whose it is, is not told: {}", records[0].0);
    assert!(ledger.list("limit/", Timestamp(START.0 + 3_000)).await.unwrap().is_empty(), "it forgets itself");
}

#[tokio::test(start_paused = true)]
async fn on_a_socket_each_frame_that_does_something_counts() {
    let limited = Limited::to(Limits { identity: requests(60, 3), ..Limits::default() }).await;
    let mut ana = limited.open("192.0.2.1", "ana").await.unwrap();
    assert_eq!(frame(&mut ana).await["type"], "login");
    ana.handle(&json!({"type": "join", "session_id": "s1"}).to_string()).await;
    assert_eq!(frame(&mut ana).await["type"], "join_confirm");
    let say = |id: &str| json!({"type": "text", "session_id": "s1", "text": "hi", "message_id": id}).to_string();
    for id in ["m1", "m2"] {
        ana.handle(&say(id)).await;
        assert_eq!((frame(&mut ana).await["message_id"].clone(), frame(&mut ana).await["reply_to"].clone()), (json!(id), json!(id)));
    }
    ana.handle(&say("m3")).await;
    let refused = frame(&mut ana).await;
    assert_eq!((&refused["type"], &refused["code"], &refused["message_id"]), (&json!("error"), &json!("rate_limited"), &json!("m3")));
    assert_eq!(refused["retry_after"], 1);
    for free in [json!({"type": "ping"}), json!({"type": "leave", "session_id": "s1"})] {
        ana.handle(&free.to_string()).await;
        assert_ne!(frame(&mut ana).await["type"], "error");
    }
    advance(Duration::from_secs(1)).await;
    ana.handle(&say("m3")).await;
    assert_eq!(frame(&mut ana).await["message_id"], "m3");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_paid_for_by_whoever_asks_even_if_they_do_not_stay_to_hear_the_answer() {
    let tokens = Allowance { tokens: rate(60, 15), ..Allowance::default() };
    let limited = Limited::to(Limits { identity: tokens, address: tokens, ..Limits::default() }).await;
    // Two calls of five tokens each for every turn.
    let mut ana = limited.open("192.0.2.1", "ana").await.unwrap();
    ana.handle(&json!({"type": "text", "session_id": "s1", "text": "hi"}).to_string()).await;
    drop(ana);
    limited.world.finished(1).await;
    assert_eq!(limited.say("192.0.2.2", "ana").await.status(), StatusCode::OK, "as long as anything is left");
    let refused = limited.say("192.0.2.2", "ana").await;
    assert_eq!((refused.status(), retry_after(&refused)), (StatusCode::TOO_MANY_REQUESTS, "6"));
    let problem: Json = serde_json::from_str(&body(refused).await).unwrap();
    assert_eq!(problem["detail"], "too many tokens: one identity may have 60 a minute; try again in 6 s");
    assert_eq!(limited.say("192.0.2.1", "bo").await.status(), StatusCode::OK);
    let refused = body(limited.say("192.0.2.1", "cy").await).await;
    assert!(refused.contains("too many tokens: one address may have 60 a minute"), "{refused}");
    advance(Duration::from_secs(6)).await;
    assert_eq!(limited.say("192.0.2.2", "ana").await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_address_pays_for_what_it_asks_wherever_the_turn_runs() {
    let ledger = Arc::<MemoryLedger>::default();
    let tokens = Allowance { tokens: rate(60, 15), ..Allowance::default() };
    let limits = Limits { address: tokens, ..Limits::default() };
    let [here, there] = two_processes_with(|options| options.limiter = Limiter::new(limits, ledger.clone(), options.clock.clone()));
    let say = |world: &World, address: &str, text: &str| {
        let mut request = post(MESSAGES, &json!({"text": text}));
        request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
        let router = world.gateway.router();
        async move { ask(&router, request).await }
    };
    // Two calls of five tokens each for every turn; what `there` accepts, `here` runs.
    let (first, second, ()) = tokio::join!(say(&here, "192.0.2.1", "wait"), say_later(&here, || say(&there, "192.0.2.2", "hi")), async {
        here.accepted(1).await;
        there.accepted(1).await;
        here.model.may_answer.add_permits(1);
    });
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!((here.host.metrics().replied.load(Ordering::Relaxed), there.host.metrics().replied.load(Ordering::Relaxed)), (2, 0));
    for (status, rest) in [(StatusCode::OK, "of fifteen five are left"), (StatusCode::TOO_MANY_REQUESTS, "none are")] {
        assert_eq!(say(&there, "192.0.2.2", "hi").await.status(), status, "{rest}");
    }
    let noted = || async {
        let mut records = ledger.list("limit/", here.options.clock.now()).await.unwrap();
        records.retain(|(name, _)| name.ends_with("/payer"));
        records
    };
    let places: BTreeSet<String> = noted().await.iter().filter_map(|(name, _)| Some(name.split('/').nth(1)?.to_owned())).collect();
    assert_eq!(places.len(), 3, "a ledger in parts spreads them by the second segment: {places:?}");
    for (name, record) in noted().await {
        let value = String::from_utf8(record.value).unwrap();
        assert!(!name.contains("192.0.2") && !value.contains("192.0.2"), "no address is written down: {name} {value}");
    }
    advance(Duration::from_secs(3600)).await;
    assert!(noted().await.is_empty(), "it forgets itself");
}

/// Begins when the model waits for the first time.
async fn say_later<T: Future>(world: &World, then: impl FnOnce() -> T) -> T::Output {
    world.model.waiting.acquire().await.unwrap().forget();
    then().await
}

#[tokio::test]
async fn so_many_connections_may_be_open() {
    let connections = |most| Allowance { connections: Some(most), ..Allowance::default() };
    let limited = Limited::to(Limits { identity: connections(2), address: connections(3), ..Limits::default() }).await;
    let first = limited.open("192.0.2.1", "ana").await.ok().unwrap();
    let stream = limited.ask("192.0.2.2", get("/sse?sender_id=ana")).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let refused = limited.open("192.0.2.3", "ana").await.err().unwrap();
    assert_eq!((refused.status(), retry_after(&refused)), (StatusCode::TOO_MANY_REQUESTS, "10"));
    assert_eq!(limited.ask("192.0.2.3", get("/sse?sender_id=ana")).await.status(), StatusCode::TOO_MANY_REQUESTS);
    drop(stream);
    let second = limited.open("192.0.2.1", "ana").await.ok().unwrap();
    let third = limited.open("192.0.2.1", "bo").await.ok().unwrap();
    assert_eq!(limited.open("192.0.2.1", "cy").await.err().unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    drop((first, second, third));
    assert!(limited.open("192.0.2.1", "cy").await.is_ok());
    assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::OK);
    let mut events = get("/v1/conversations/c1/events?sender_id=ana");
    events.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    let held = [limited.open("192.0.2.8", "ana").await, limited.open("192.0.2.8", "ana").await];
    assert_eq!(limited.ask("192.0.2.9", events).await.status(), StatusCode::TOO_MANY_REQUESTS, "a stream of the record is one as well");
    drop(held);
}

#[tokio::test]
async fn who_is_not_identified_has_the_limits_of_the_address_alone() {
    let none = Allowance { requests: rate(1, 1), tokens: rate(1, 1), connections: Some(1) };
    let limited = Limited::with(Limits { identity: none, ..Limits::default() }, Arc::default(), false).await;
    for _ in 0..5 {
        assert_eq!(limited.say("192.0.2.1", "ana").await.status(), StatusCode::OK);
    }
    let held = [limited.open("192.0.2.1", "ana").await, limited.open("192.0.2.1", "ana").await];
    assert!(held.iter().all(Result::is_ok));
}
