//! The routes of a conversation, asked as a client asks them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value as Json, json};

use client::{MESSAGES, answer, ask, body, get, post, post_raw};
use cota_core::bot::OnBusy;
use support::{World, two_processes, world, world_with};

/// The status and the stable code of a refusal.
async fn refusal(router: &Router, request: Request<Body>) -> (u16, String) {
    let (status, problem) = answer(router, request).await;
    assert_eq!(problem["status"], status.as_u16(), "{problem}");
    (status.as_u16(), problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_message_is_answered_with_the_whole_turn() {
    let router = world().gateway.router();
    let (status, answer) = answer(&router, post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["conversation_id"], &answer["message_id"]), (&json!("c1"), &json!("m1")));
    assert_eq!(answer["replies"][0]["text"], "you said: hi");
    let actions: Vec<_> = answer["actions"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap()).collect();
    assert_eq!(actions, ["UserUtter", "Selector", "BotUtter"]);
    assert_eq!((&answer["form"], &answer["slots"]), (&Json::Null, &json!({})));
    assert_eq!((&answer["usage"]["llm_calls"], &answer["usage"]["prompt_tokens"]), (&json!(2), &json!(6)));
}

#[tokio::test]
async fn a_message_without_an_id_gets_one_and_the_sender_defaults() {
    let router = world().gateway.router();
    let (_, first) = answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await;
    let (_, second) = answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await;
    assert_ne!(first["message_id"], second["message_id"]);
    assert_eq!(first["actions"][0]["sender_id"], "user");
    let (_, third) = answer(&router, post("/v1/conversations/c1/messages?sender_id=ana", &json!({"text": "hi"}))).await;
    let (_, fourth) = answer(&router, post("/v1/conversations/c1/messages?sender_id=ana", &json!({"text": "hi", "sender_id": "bo"}))).await;
    assert_eq!((&third["actions"][0]["sender_id"], &fourth["actions"][0]["sender_id"]), (&json!("ana"), &json!("bo")));
}

#[tokio::test]
async fn a_repeat_gets_the_recorded_answer_and_another_text_is_refused() {
    let world = world();
    let router = world.gateway.router();
    let (_, first) = answer(&router, post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}))).await;
    let (status, again) = answer(&router, post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}))).await;
    assert_eq!((status, &again), (StatusCode::OK, &first));
    let (status, shown) = answer(&router, get("/v1/conversations/c1/messages/m1")).await;
    assert_eq!((status, &shown), (StatusCode::OK, &first));
    let other = post(MESSAGES, &json!({"text": "bye", "message_id": "m1"}));
    assert_eq!(refusal(&router, other).await, (409, "id_reused".to_owned()));
    let (status, of_another) = answer(&router, post(MESSAGES, &json!({"text": "bye", "message_id": "m1", "sender_id": "ana"}))).await;
    assert_eq!((status, &of_another["replies"][0]["text"]), (StatusCode::OK, &json!("you said: bye")));
}

#[tokio::test]
async fn the_idempotency_key_is_the_message_id() {
    let router = world().gateway.router();
    let keyed = |key: &str, body: &Json| {
        let mut request = post(MESSAGES, body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request
    };
    for key in ["k1", "\"k1\""] {
        let (status, answer) = answer(&router, keyed(key, &json!({"text": "hi"}))).await;
        assert_eq!((status, &answer["message_id"]), (StatusCode::OK, &json!("k1")));
    }
    assert_eq!(answer(&router, keyed("k1", &json!({"text": "hi", "message_id": "k1"}))).await.0, StatusCode::OK);
    assert_eq!(refusal(&router, keyed("k1", &json!({"text": "hi", "message_id": "k2"}))).await.0, 400);
    assert_eq!(refusal(&router, keyed("two words", &json!({"text": "hi"}))).await.0, 400);
}

#[tokio::test]
async fn a_turn_that_outlasts_the_request_is_answered_later() {
    let world = world_with(OnBusy::Queue, |options| options.request_ms = 20);
    let router = world.gateway.router();
    let waiting = json!({"text": "wait", "message_id": "m1"});
    let response = ask(&router, post(MESSAGES, &waiting)).await;
    assert_eq!((response.status(), response.headers()[header::RETRY_AFTER].as_bytes()), (StatusCode::ACCEPTED, b"1".as_slice()));
    let pending = json!({"status": "running", "message_id": "m1"});
    assert_eq!(body(response).await, pending.to_string());
    let uri = "/v1/conversations/c1/messages/m1";
    assert_eq!(answer(&router, get(uri)).await, (StatusCode::ACCEPTED, pending));
    let (_, state) = answer(&router, get("/v1/conversations/c1")).await;
    assert_eq!((&state["running"], &state["waiting"]), (&json!(true), &json!(0)));

    let (repeat, ()) = tokio::join!(ask(&router, post(MESSAGES, &waiting)), async { world.model.may_answer.add_permits(1) });
    let repeat: Json = serde_json::from_str(&body(repeat).await).unwrap();
    assert_eq!(repeat["replies"][0]["text"], "you said: wait");
    assert_eq!(answer(&router, get(uri)).await, (StatusCode::OK, repeat));
}

#[tokio::test]
async fn two_requests_with_one_message_get_one_answer() {
    let world = world();
    let router = world.gateway.router();
    let request = || post(MESSAGES, &json!({"text": "wait", "message_id": "m1"}));
    let (first, second, ()) = tokio::join!(answer(&router, request()), answer(&router, request()), async {
        world.model.waiting.acquire().await.unwrap().forget();
        world.model.may_answer.add_permits(1);
    });
    assert_eq!(first, second);
    let (_, page) = answer(&router, get("/v1/conversations/c1/events")).await;
    assert_eq!(page["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "turn_end").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_a_stable_code() {
    let router = world().gateway.router();
    let bare = |content_type: Option<&str>| {
        let request = Request::post(MESSAGES);
        let request = content_type.into_iter().fold(request, |request, value| request.header(header::CONTENT_TYPE, value));
        request.body(Body::from("{\"text\": \"hi\"}")).unwrap()
    };
    let accepting = |accept: &str| {
        let mut request = post(MESSAGES, &json!({"text": "hi"}));
        request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        request
    };
    for (request, status, code) in [
        (post_raw(MESSAGES, "{\"text\": "), 400, "bad_json"),
        (post_raw(MESSAGES, b"{\"text\": \"\xff\"}".to_vec()), 400, "bad_json"),
        (post_raw(MESSAGES, "[]"), 400, "bad_request"),
        (post(MESSAGES, &json!({})), 400, "bad_request"),
        (post(MESSAGES, &json!({"text": "x".repeat(16 * 1024 + 1)})), 413, "text_too_long"),
        (post(MESSAGES, &json!({"text": "x", "more": "x".repeat(64 * 1024)})), 413, "payload_too_large"),
        (bare(None), 415, "unsupported_media_type"),
        (bare(Some("text/plain")), 415, "unsupported_media_type"),
        (accepting("text/html"), 406, "not_acceptable"),
        (post("/v1/conversations/c%201/messages", &json!({"text": "hi"})), 400, "bad_request"),
        (post(&format!("/v1/conversations/{}/messages", "x".repeat(129)), &json!({"text": "hi"})), 400, "bad_request"),
        (post("/v1/conversations/c1/messages?bot=nobody", &json!({"text": "hi"})), 404, "unknown_bot"),
        (get("/v1/conversations/c1"), 404, "not_found"),
        (get("/v1/conversations/c1/events"), 404, "not_found"),
        (get("/v1/conversations/c1/events?after=x"), 400, "bad_request"),
        (get("/v1/conversations/c1/messages/m1"), 404, "not_found"),
        (get("/v1/conversations/c1/messages"), 405, "method_not_allowed"),
        (get("/nowhere"), 404, "not_found"),
    ] {
        let address = format!("{} {}", request.method(), request.uri());
        assert_eq!(refusal(&router, request).await, (status, code.to_owned()), "{address}");
    }
}

#[tokio::test]
async fn another_bot_is_named_by_header_or_query() {
    let router = world().gateway.router();
    let by = |header: Option<&str>, uri: &str| {
        let mut request = post(uri, &json!({"text": "hi", "message_id": "m1"}));
        if let Some(header) = header {
            request.headers_mut().insert("x-cota-bot", header.parse().unwrap());
        }
        request
    };
    for (header, uri, bot) in [
        (None, MESSAGES, "parrot"),
        (Some("other"), MESSAGES, "other"),
        (None, "/v1/conversations/c1/messages?bot=other", "other"),
        (Some("other"), "/v1/conversations/c1/messages?bot=other", "other"),
    ] {
        let (_, answer) = answer(&router, by(header, uri)).await;
        assert_eq!(answer["actions"][2]["sender_id"], bot);
    }
    let contrary = by(Some("parrot"), "/v1/conversations/c1/messages?bot=other");
    assert_eq!(refusal(&router, contrary).await, (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn a_busy_bot_and_a_full_queue_say_when_to_come_back() {
    for (on_busy, more, status, code) in [(OnBusy::Reject, 0, 409, "busy"), (OnBusy::Queue, 2, 429, "queue_full")] {
        let world = world_with(on_busy, |options| options.request_ms = 20);
        let router = world.gateway.router();
        assert_eq!(ask(&router, post(MESSAGES, &json!({"text": "wait"}))).await.status(), StatusCode::ACCEPTED);
        for _ in 0..more {
            assert_eq!(ask(&router, post(MESSAGES, &json!({"text": "hi"}))).await.status(), StatusCode::ACCEPTED);
        }
        let response = ask(&router, post(MESSAGES, &json!({"text": "hi"}))).await;
        assert_eq!((response.status().as_u16(), response.headers()[header::RETRY_AFTER].as_bytes()), (status, b"1".as_slice()));
        assert!(body(response).await.contains(code));
    }
}

#[tokio::test]
async fn who_waits_for_a_superseded_message_is_told() {
    let world = world_with(OnBusy::Latest, |_| {});
    let router = world.gateway.router();
    let (first, second) = tokio::join!(refusal(&router, post(MESSAGES, &json!({"text": "wait", "message_id": "m1"}))), async {
        world.model.waiting.acquire().await.unwrap().forget();
        answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await
    });
    assert_eq!(first, (409, "superseded".to_owned()));
    assert_eq!(second.1["replies"][0]["text"], "you said: hi");
    assert_eq!(refusal(&router, get("/v1/conversations/c1/messages/m1")).await, (409, "superseded".to_owned()));
}

#[tokio::test]
async fn messages_that_were_taken_together_have_one_answer() {
    let world = world_with(OnBusy::Merge, |_| {});
    let router = world.gateway.router();
    let send = |text: &str| answer(&router, post(MESSAGES, &json!({"text": text})));
    let all_accepted = async {
        world.accepted(3).await;
        world.model.may_answer.add_permits(1);
    };
    let (_, (_, second), (_, third), ()) = tokio::join!(send("wait"), send("two"), send("three"), all_accepted);
    assert_eq!(second["replies"], third["replies"]);
    assert_eq!(second["replies"][0]["text"], "you said: two\nthree");
    assert_ne!(second["message_id"], third["message_id"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_another_process_is_found_in_the_record() {
    let [here, there] = two_processes();
    let send = |world: &World, text: &str| {
        let (router, request) = (world.gateway.router(), post(MESSAGES, &json!({"text": text})));
        async move { answer(&router, request).await }
    };
    let (waiting, (status, said)) = tokio::join!(send(&there, "wait"), async {
        here.model.waiting.acquire().await.unwrap().forget();
        here.model.may_answer.add_permits(1);
        send(&here, "hi").await
    });
    assert_eq!((waiting.0, status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(said["replies"][0]["text"], "you said: hi");
}

#[tokio::test]
async fn a_forgotten_conversation_answers_nobody() {
    let world = world();
    let router = world.gateway.router();
    let delete = || Request::delete("/v1/conversations/c1").body(Body::empty()).unwrap();
    let (waiting, ()) = tokio::join!(refusal(&router, post(MESSAGES, &json!({"text": "wait"}))), async {
        world.model.waiting.acquire().await.unwrap().forget();
        assert_eq!(ask(&router, delete()).await.status(), StatusCode::NO_CONTENT);
    });
    assert_eq!(waiting, (404, "not_found".to_owned()));
    assert_eq!(ask(&router, delete()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(refusal(&router, get("/v1/conversations/c1")).await.0, 404);
}

#[tokio::test]
async fn the_record_is_read_page_by_page() {
    let router = world().gateway.router();
    for text in ["one", "two"] {
        assert_eq!(answer(&router, post(MESSAGES, &json!({"text": text}))).await.0, StatusCode::OK);
    }
    let (mut after, mut seqs, mut pages) = (0, Vec::new(), 0);
    loop {
        let (_, page) = answer(&router, get(&format!("/v1/conversations/c1/events?after={after}&limit=3"))).await;
        seqs.extend(page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()));
        after = page["next_after"].as_u64().unwrap();
        pages += 1;
        if page["more"] == false {
            break;
        }
    }
    assert_eq!((seqs, pages), ((1..=8).collect(), 3));
    let (_, state) = answer(&router, get("/v1/conversations/c1")).await;
    assert_eq!((&state["seq"], &state["running"]), (&json!(8), &json!(false)));
}

#[tokio::test]
async fn every_answer_is_guarded_and_head_and_options_work() {
    let world = world();
    let router = world.gateway.router();
    for (method, uri, status, allow) in [
        (Method::GET, "/health", 200, None),
        (Method::HEAD, "/health", 200, None),
        (Method::GET, "/ready", 200, None),
        (Method::GET, "/nowhere", 404, None),
        (Method::OPTIONS, "/health", 204, Some("GET,HEAD")),
        (Method::OPTIONS, MESSAGES, 204, Some("POST")),
        (Method::PUT, "/v1/conversations/c1", 405, Some("GET,HEAD,DELETE")),
    ] {
        let request = Request::builder().method(&method).uri(uri).body(Body::empty()).unwrap();
        let response = ask(&router, request).await;
        assert_eq!(response.status().as_u16(), status, "{method} {uri}");
        assert_eq!(response.headers().get(header::ALLOW).map(|allow| allow.to_str().unwrap()), allow, "{method} {uri}");
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
            assert_eq!(response.headers()[name], value, "{method} {uri}");
        }
    }
    let (_, version) = answer(&router, get("/version")).await;
    assert_eq!(version, json!({"version": env!("CARGO_PKG_VERSION")}));
    assert_eq!(answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await.0, StatusCode::OK);
    let metrics = body(ask(&router, get("/metrics")).await).await;
    assert!(metrics.contains("cota_turns_total{outcome=\"replied\"} 1"), "{metrics}");
    world.host.stop().await;
    assert_eq!(refusal(&router, post(MESSAGES, &json!({"text": "hi"}))).await, (503, "shutting_down".to_owned()));
}
