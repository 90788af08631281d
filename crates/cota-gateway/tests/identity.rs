//! Who comes in, and how far: proofs of identity and attacks on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod guarded;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use http::{Request, StatusCode, header};
use serde_json::json;

use cota_core::bot::OnBusy;
use cota_core::ids::Timestamp;
use cota_driver::host::Conversations as _;
use cota_driver::ledger::{Ledger as _, MemoryLedger};
use cota_gateway::identity::{Identities, keys};
use cota_gateway::websocket::Opening;
use cota_gateway::{Access, Scopes};

use client::{MESSAGES, answer, ask, body, get, post};
use guarded::{Counting, Guarded, Socket, empty_post, token, token_of, with_bearer};
use support::{START, world_with};

#[tokio::test]
async fn without_a_good_proof_no_conversation_is_reached() {
    let guarded = Guarded::new();
    let key = guarded.key(Scopes::CHAT).await;
    let message = json!({"text": "hi", "sender_id": "ana"});
    let routes = || {
        [
            post(MESSAGES, &message),
            get("/v1/conversations/c1?sender_id=ana"),
            get("/v1/conversations/c1/events?sender_id=ana"),
            get("/v1/conversations/c1/messages/m1?sender_id=ana"),
            Request::delete("/v1/conversations/c1?sender_id=ana").body(Body::empty()).unwrap(),
        ]
    };
    for request in routes() {
        assert_eq!(answer(&guarded.router, request).await.0, StatusCode::UNAUTHORIZED);
    }
    let none = format!("{}..", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    for bad in [
        "cota_0_0",
        &format!("{key}0"),
        &none,
        "x",
        "",
        &token_of("them", "ana", "chat", START.plus_ms(3_600_000)),
        &token_of("us", "ana", "chat", Timestamp(START.0 - 3_600_000)),
    ] {
        for request in routes() {
            let refused = ask(&guarded.router, with_bearer(bad, request)).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{bad}");
            assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
            let told = body(refused).await;
            assert!(bad.len() < 5 || !told.contains(bad), "a proof is not repeated: {told}");
        }
    }
    for header in ["Basic YTpi", "Bearer", key.as_str()] {
        let mut request = post(MESSAGES, &message);
        request.headers_mut().insert(header::AUTHORIZATION, header.parse().unwrap());
        assert_eq!(answer(&guarded.router, request).await.0, StatusCode::UNAUTHORIZED, "{header}");
    }
    for open in ["/health", "/ready", "/version", "/openapi.json"] {
        assert_eq!(ask(&guarded.router, get(open)).await.status(), StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn a_key_speaks_for_whom_it_names_and_has_to_name_somebody() {
    let guarded = Guarded::new();
    let key = guarded.key(Scopes::CHAT).await;
    let (status, problem) = guarded.ask(&key, post(MESSAGES, &json!({"text": "hi"}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("missing_sender")));
    assert_eq!(guarded.ask(&key, get("/v1/conversations/c1")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(guarded.ask(&key, post(MESSAGES, &json!({"text": "hi", "sender_id": "ana"}))).await.0, StatusCode::OK);
    assert_eq!(guarded.ask(&key, get("/v1/conversations/c1?sender_id=ana")).await.0, StatusCode::OK);
    assert_eq!(guarded.ask(&key, get("/v1/conversations/c1?sender_id=bo")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_person_is_nobody_else_and_reaches_nothing_of_others() {
    let guarded = Guarded::new();
    let (ana, bo) = (token("ana", "chat"), token("bo", "chat"));
    assert_eq!(guarded.ask(&ana, post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}))).await.0, StatusCode::OK);
    for (request, expected) in [
        (post(MESSAGES, &json!({"text": "hi", "sender_id": "ana"})), StatusCode::FORBIDDEN),
        (post(&format!("{MESSAGES}?sender_id=ana"), &json!({"text": "hi"})), StatusCode::FORBIDDEN),
        (post(&format!("{MESSAGES}?sender_id=bo"), &json!({"text": "hi", "sender_id": "ana"})), StatusCode::FORBIDDEN),
        (get("/v1/conversations/c1?sender_id=ana"), StatusCode::FORBIDDEN),
        (get("/v1/conversations/c1"), StatusCode::NOT_FOUND),
        (get("/v1/conversations/c1/events"), StatusCode::NOT_FOUND),
        (get("/v1/conversations/c1/messages/m1"), StatusCode::NOT_FOUND),
    ] {
        let address = request.uri().clone();
        assert_eq!(guarded.ask(&bo, request).await.0, expected, "{address}");
    }
    let forget = Request::delete("/v1/conversations/c1").body(Body::empty()).unwrap();
    assert_eq!(ask(&guarded.router, with_bearer(&bo, forget)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(guarded.ask(&ana, get("/v1/conversations/c1")).await.0, StatusCode::OK, "it was bo's own that was forgotten");
}

#[tokio::test]
async fn a_revoked_key_is_let_in_no_more() {
    let guarded = Guarded::new();
    let key = guarded.key(Scopes::CHAT).await;
    let id = key.split('_').nth(1).unwrap();
    keys::revoke(guarded.ledger.as_ref(), id, START).await.unwrap().unwrap();
    assert!(guarded.ledger.list("", START).await.unwrap().is_empty());
    assert_eq!(guarded.ask(&key, get("/v1/conversations/c1?sender_id=ana")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_opens_one_socket_within_a_minute() {
    let guarded = Guarded::new();
    let (ana, key) = (token("ana", "chat"), guarded.key(Scopes::CHAT).await);
    assert_eq!(guarded.open("/websocket?sender_id=ana").await.err(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(guarded.open("/websocket?ticket=none").await.err(), Some(StatusCode::UNAUTHORIZED));
    let ticket = guarded.ticket(&ana, "").await;
    let uri = format!("/websocket?sender_id=ana&ticket={ticket}");
    assert!(guarded.open(&uri).await.is_ok());
    assert_eq!(guarded.open(&uri).await.err(), Some(StatusCode::UNAUTHORIZED), "it was used");
    let ticket = guarded.ticket(&ana, "").await;
    assert_eq!(guarded.open(&format!("/websocket?sender_id=bo&ticket={ticket}")).await.err(), Some(StatusCode::FORBIDDEN));
    let late = guarded.ticket(&ana, "").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(guarded.open(&format!("/websocket?ticket={late}")).await.err(), Some(StatusCode::UNAUTHORIZED), "it has expired");
    // A backend's ticket is for the one it names.
    assert_eq!(guarded.ask(&key, empty_post("/v1/tickets")).await.0, StatusCode::BAD_REQUEST);
    let ticket = guarded.ticket(&key, "?sender_id=cy").await;
    assert_eq!(guarded.open(&format!("/websocket?ticket={ticket}")).await.unwrap().next().await["sender_id"], "cy");
    // It is for what cannot send headers, and makes nothing new.
    let ticket = guarded.ticket(&ana, "").await;
    assert_eq!(answer(&guarded.router, empty_post(&format!("/v1/tickets?ticket={ticket}"))).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(&guarded.router, empty_post("/v1/tickets")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(guarded.ask(&token("ana", "inspect"), empty_post("/v1/tickets")).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn an_invitation_lets_one_socket_into_one_conversation() {
    let guarded = Guarded::new();
    let ana = token("ana", "chat");
    let mut at_home = guarded.socket("ana").await;
    assert_eq!(at_home.send(json!({"type": "join", "session_id": "s1"})).await["type"], "join_confirm");
    let invitation = guarded.invitation(&ana, "s1").await;
    let (mut bo, mut cy) = (guarded.socket("bo").await, guarded.socket("cy").await);
    // Without it, and for another session, it is the guest's own conversation or none.
    assert_eq!(bo.send(json!({"type": "join", "session_id": "s1"})).await["room_info"]["user_count"], 1);
    assert_eq!(bo.send(json!({"type": "join", "session_id": "s2", "token": invitation})).await["code"], "forbidden");
    assert_eq!(bo.send(json!({"type": "join", "session_id": "s1", "token": "none"})).await["code"], "forbidden");
    let joined = bo.send(json!({"type": "join", "session_id": "s1", "token": invitation})).await;
    assert_eq!((&joined["type"], &joined["room_info"]["users"]), (&json!("join_confirm"), &json!(["ana", "bo"])));
    assert_eq!(at_home.next().await["user_id"], "bo");
    // It is used up.
    assert_eq!(cy.send(json!({"type": "join", "session_id": "s1", "token": invitation})).await["code"], "forbidden");
    // The guest speaks as itself, and the host hears it.
    assert_eq!(bo.send(json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "hi"})).await["code"], "forbidden");
    let said = bo.send(json!({"type": "text", "session_id": "s1", "text": "hi", "message_id": "m1"})).await;
    assert_eq!((&said["text"], &said["sender_id"]), (&json!("hi"), &json!("bo")));
    assert_eq!((at_home.next().await["text"].clone(), at_home.next().await["text"].clone()), (json!("hi"), json!("you said: hi")));
    // It holds for that socket alone.
    assert_eq!(guarded.ask(&token("bo", "chat"), get("/v1/conversations/s1")).await.0, StatusCode::NOT_FOUND);
    let mut again = guarded.socket("bo").await;
    assert_eq!(again.send(json!({"type": "join", "session_id": "s1"})).await["room_info"]["users"], json!(["bo"]));
    let late = guarded.invitation(&ana, "s1").await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(again.send(json!({"type": "join", "session_id": "s1", "token": late})).await["code"], "forbidden");
}

#[tokio::test]
async fn an_invitation_lets_one_stream_into_one_conversation() {
    let guarded = Guarded::new();
    let (ana, bo) = (token("ana", "chat"), token("bo", "chat"));
    let mut at_home = guarded.socket("ana").await;
    assert_eq!(at_home.send(json!({"type": "join", "session_id": "s1"})).await["type"], "join_confirm");
    let mut streams = Vec::new();
    for _ in 0..2 {
        let ticket = guarded.ticket(&bo, "").await;
        let mut stream = ask(&guarded.router, get(&format!("/sse?ticket={ticket}"))).await.into_body().into_data_stream();
        assert!(String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()).contains("login"));
        streams.push(stream);
    }
    let invitation = guarded.invitation(&ana, "s1").await;
    let join = json!({"type": "join", "session_id": "s1", "token": invitation});
    let (status, joined) = guarded.ask(&bo, post("/sse/message", &join)).await;
    assert_eq!((status, &joined["room_info"]["users"]), (StatusCode::OK, &json!(["ana", "bo"])));
    assert_eq!(at_home.next().await["user_id"], "bo");
    assert_eq!(guarded.ask(&bo, post("/sse/message", &join)).await.0, StatusCode::FORBIDDEN, "it is used up");
    let text = json!({"type": "text", "session_id": "s1", "text": "hi"});
    assert_eq!(guarded.ask(&bo, post("/sse/message", &text)).await.0, StatusCode::OK);
    let said = at_home.next().await;
    assert_eq!((&said["text"], &said["sender_id"]), (&json!("hi"), &json!("bo")));
    assert_eq!(guarded.ask(&bo, get("/v1/conversations/s1")).await.0, StatusCode::NOT_FOUND, "it holds for that stream alone");
}

#[tokio::test]
async fn without_identity_there_is_nothing_to_make_a_token_for() {
    let router = world_with(OnBusy::Queue, |_| {}).gateway.router();
    for uri in ["/v1/tickets", "/v1/conversations/c1/invitations"] {
        assert_eq!(answer(&router, empty_post(uri)).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_page_may_use_the_server_only_from_where_it_is_allowed() {
    let router = world_with(OnBusy::Queue, |options| options.hosts = vec!["bot.example".to_owned()]).gateway.router();
    for (host, origin, expected) in [
        ("localhost", None, StatusCode::OK),
        ("127.0.0.1:5005", Some("http://127.0.0.1:5005"), StatusCode::OK),
        ("bot.example", Some("https://bot.example"), StatusCode::OK),
        ("rebound.example", None, StatusCode::FORBIDDEN),
        ("rebound.example", Some("http://rebound.example"), StatusCode::FORBIDDEN),
        ("localhost", Some("https://evil.example"), StatusCode::FORBIDDEN),
        ("localhost", Some("null"), StatusCode::FORBIDDEN),
        ("bot.example.evil.example", Some("https://bot.example"), StatusCode::FORBIDDEN),
    ] {
        for method in ["GET", "OPTIONS"] {
            let request = Request::builder().method(method).uri("/health").header(header::HOST, host);
            let request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
            let request = origin.into_iter().fold(request, |request, origin| request.header(header::ORIGIN, origin));
            let response = ask(&router, request.body(Body::empty()).unwrap()).await;
            let expected = if method == "OPTIONS" && expected.is_success() { StatusCode::NO_CONTENT } else { expected };
            assert_eq!(response.status(), expected, "{method} {host} from {origin:?}");
            let may_read = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap());
            assert_eq!(may_read, origin.filter(|_| expected.is_success()), "{method} {host} from {origin:?}");
            assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }
}

#[tokio::test]
async fn only_an_operator_sets_a_proxy_user_going() {
    let guarded = Guarded::new();
    let say = || post("/v1/conversations/c1/messages?bot=rehearsal", &json!({"text": "hi"}));
    let (status, refused) = guarded.ask(&token("ana", "chat inspect"), say()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    assert_eq!(refused["detail"], "this needs the scope `operator`, which this key or token does not have");
    let asked = |bearer: &str| {
        let asked = json!({"model": "rehearsal", "messages": [{"role": "user", "content": "hi"}]});
        ask(&guarded.router, with_bearer(bearer, post("/v1/chat/completions", &asked)))
    };
    assert_eq!(asked(&token("ana", "chat")).await.status(), StatusCode::FORBIDDEN);
    let ticket = guarded.ticket(&token("ana", "chat"), "").await;
    let mut socket = guarded.open(&format!("/websocket?ticket={ticket}&bot=rehearsal")).await.unwrap();
    assert_eq!(socket.next().await["type"], "login");
    let refused = socket.send(json!({"type": "text", "session_id": "c1", "text": "hi", "message_id": "m1"})).await;
    assert_eq!((&refused["code"], &refused["message_id"]), (&json!("forbidden"), &json!("m1")));
    assert_eq!(guarded.world.host.metrics().accepted.load(Ordering::Relaxed), 0);
    assert_eq!(guarded.ask(&token("ana", "chat operator"), say()).await.0, StatusCode::OK);
    let models = get("/v1/models");
    assert_eq!(guarded.ask(&token("ana", "chat"), models).await.0, StatusCode::OK, "who may talk may know with whom");
    let open = world_with(OnBusy::Queue, |_| {}).gateway.router();
    assert_eq!(answer(&open, say()).await.0, StatusCode::OK, "nobody is identified: everybody may do everything");
}

#[tokio::test]
async fn the_first_key_locks_the_door_behind_itself() {
    let (ledger, chance) = (Arc::<MemoryLedger>::default(), Arc::<Counting>::default());
    let world = world_with(OnBusy::Queue, |options| {
        options.access = Access::until_first_key(Identities::new(ledger.clone(), options.clock.clone(), Arc::<Counting>::default()));
    });
    let router = world.gateway.router();
    let message = json!({"text": "hi", "sender_id": "ana"});
    assert_eq!(answer(&router, post(MESSAGES, &message)).await.0, StatusCode::OK);
    let mut parts = get("/websocket?sender_id=ana").into_parts().0;
    world.gateway.admit(&mut parts).await.unwrap();
    let Opening::Session(session) = world.gateway.open(&parts) else { panic!("everybody may come in") };
    let mut socket = Socket(*session);
    assert_eq!(socket.next().await["type"], "login");
    assert_eq!(world.options.access.look_for_keys().await, Ok(false));

    // Whoever comes with a key is believed to have made one.
    let text = keys::create(ledger.as_ref(), chance.as_ref(), "", Scopes::CHAT, START, None).await.ok().unwrap().text;
    let mine = answer(&router, with_bearer(&text, get("/v1/conversations/c1?sender_id=ana"))).await;
    assert_eq!(mine.0, StatusCode::NOT_FOUND, "what was said before is nobody's");
    assert_eq!(answer(&router, post(MESSAGES, &message)).await.0, StatusCode::UNAUTHORIZED);
    let public = json!({"text": "hi", "sender_id": "public"});
    assert_eq!(answer(&router, with_bearer(&text, post(MESSAGES, &public))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(socket.send(json!({"type": "text", "session_id": "c1", "text": "hi"})).await["code"], "unauthorized");
    assert_eq!(answer(&router, with_bearer(&text, post(MESSAGES, &message))).await.0, StatusCode::OK);

    // It stays locked when the last key is gone.
    let id = text.split('_').nth(1).unwrap();
    keys::revoke(ledger.as_ref(), id, START).await.unwrap().unwrap();
    assert_eq!(world.options.access.look_for_keys().await, Ok(true));
    assert_eq!(answer(&router, post(MESSAGES, &message)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_that_somebody_makes_up_locks_nobody_out() {
    let world = world_with(OnBusy::Queue, |options| {
        options.access =
            Access::until_first_key(Identities::new(Arc::<MemoryLedger>::default(), options.clock.clone(), Arc::<Counting>::default()));
    });
    let router = world.gateway.router();
    let request = with_bearer("cota_0_0", post(MESSAGES, &json!({"text": "hi"})));
    assert_eq!(answer(&router, request).await.0, StatusCode::OK);
}
