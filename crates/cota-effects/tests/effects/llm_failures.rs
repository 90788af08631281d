//! Everything a server can do wrong, and what the turn is told about it.

use cota_core::bot::Llm;
use cota_core::machine::FailureKind::{self, RateLimited, Rejected, Transient};
use cota_driver::ports::{Effects as _, Pieces};
use serde_json::json;

use crate::bots::{CANARY, ask, bot, effects, job, llm, question};
use crate::logs;
use crate::server::{Reply, Server, Step};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];

struct Case {
    what: &'static str,
    reply: Reply,
    kind: FailureKind,
    wait: Option<u64>,
    says: &'static str,
}

fn case(what: &'static str, reply: Reply, kind: FailureKind, wait: Option<u64>, says: &'static str) -> Case {
    Case { what, reply, kind, wait, says }
}

fn cases() -> Vec<Case> {
    let error = |status, message: &str| Reply::json(status, &json!({"error": {"message": message, "code": "c"}}));
    let echo = format!("you sent Bearer {CANARY}");
    let long = format!("{}{CANARY}", "x".repeat(490));
    let begun = json!({"choices": [{"delta": {"content": "Hel"}}]}).to_string();
    let with_wait = |status, wait| Reply::whole(status, &[("retry-after", wait)], echo.as_bytes());
    let no_credit = json!({"error": {"message": "no credit", "code": "insufficient_quota"}});
    let page = format!("<!DOCTYPE html><html><body>Bad gateway {CANARY}</body></html>");
    vec![
        case("a 500", error(500, &echo), Transient, None, "answered 500"),
        case("a 500 with a page", Reply::whole(500, &[], &page), Transient, None, "answered 500"),
        case("a 502 without a body", Reply::whole(502, &[], ""), Transient, None, "answered 502"),
        case("a 503", error(503, &echo), Transient, None, "***"),
        case("a 503 that asks for patience", with_wait(503, "3"), RateLimited, Some(3_000), "***"),
        case("a 408", error(408, &echo), Transient, None, "***"),
        case("a 429", error(429, &echo), RateLimited, None, "***"),
        case("a 429 that says for how long", with_wait(429, "7"), RateLimited, Some(7_000), "***"),
        case("a 429 that never ends", Reply::json(429, &no_credit), Rejected, None, "no credit"),
        case("a 400", error(400, &echo), Rejected, None, "you sent Bearer ***"),
        case("a 400 with the key where its words are cut", error(400, &long), Rejected, None, "xxx"),
        case("a 400 in plain text", Reply::whole(400, &[], &echo), Rejected, None, "***"),
        case("a 401", error(401, &echo), Rejected, None, "check `key` and `model` under `llms.main`"),
        case("a 403", error(403, &echo), Rejected, None, "llms.main"),
        case("a 404", error(404, "no such model"), Rejected, None, "no such model"),
        case("a redirect", Reply::whole(302, &[("location", "http://127.0.0.1:1/")], ""), Rejected, None, "never followed"),
        case("broken JSON", Reply::whole(200, JSON, r#"{"choices": ["#), Rejected, None, "not JSON"),
        case("a page", Reply::whole(200, &[("content-type", "text/html")], &page), Rejected, None, "not JSON"),
        case("other JSON", Reply::json(200, &json!({"hello": 1})), Rejected, None, "`choices`"),
        case("null", Reply::whole(200, JSON, "null"), Rejected, None, "`choices`"),
        case("an error in the clothes of an answer", error(200, &echo), Rejected, None, "***"),
        case(
            "an answer that nobody asked to compress",
            Reply::whole(200, &[("content-encoding", "gzip")], b"\x1f\x8b\x08"),
            Rejected,
            None,
            "compressed",
        ),
        case("nothing at all", Reply::default(), Transient, None, "broke off"),
        case("no HTTP", Reply::default().send("SSH-2.0-x\r\n\r\n"), Transient, None, "broke off"),
        case(
            "a whole answer cut in the middle",
            Reply::head(200, &[("content-length", "100"), JSON[0]]).send(r#"{"cho"#),
            Transient,
            None,
            "broke off",
        ),
        case("a stream cut between two events", Reply::events(&[&begun]), Transient, None, "ended before"),
        case("a stream cut in an event", Reply::events(&[&begun]).send(r#"data: {"choi"#), Transient, None, "ended before"),
        case(
            "a chunked stream cut",
            Reply::head(200, &[("transfer-encoding", "chunked"), EVENTS[0]]).send("a\r\ndata: "),
            Transient,
            None,
            "broke off",
        ),
        case("a stream that gives up", Reply::events(&[&begun, &json!({"error": {"message": echo}}).to_string()]), Transient, None, "***"),
        case("a stream of prose", Reply::events(&["hello"]), Rejected, None, "not JSON"),
        case("10 MB of text", Reply::whole(200, JSON, vec![b'x'; 10 << 20]), Rejected, None, "answer too large"),
        case(
            "10 MB in a stream",
            Reply::events(&vec![&*json!({"choices": [{"delta": {"content": "x".repeat(1 << 16)}}]}).to_string(); 160]),
            Rejected,
            None,
            "answer too large",
        ),
        case("a line of 10 MB", Reply::head(200, EVENTS).send(vec![b'x'; 10 << 20]), Rejected, None, "answer too large"),
    ]
}

#[tokio::test]
async fn each_failure_says_what_would_help_and_never_the_key() {
    logs::start();
    let effects = effects();
    for Case { what, reply, kind, wait, says } in cases() {
        let server = Server::always(reply).await;
        let (result, _) = ask(&effects, llm(&server.url("/v1")), true).await;
        let error = result.expect_err(what);
        assert_eq!((error.kind, error.retry_after_ms), (kind, wait), "{what}: {error}");
        assert!(error.message.contains(says), "{what}: {error}");
        assert!(error.message.contains("LLM `main`"), "{what}: {error}");
        assert!(!error.message.contains("sk-canary") && !error.message.contains("127.0.0.1"), "{what}: {error}");
        assert!(error.message.chars().count() < 420, "{what}: {error}");
    }
    let written = logs::written();
    assert!(written.contains("LLM call failed") && written.contains("purpose=\"utter\""));
    assert!(!written.contains("sk-canary"));
}

#[tokio::test]
async fn nobody_at_the_address_is_worth_another_try() {
    let (result, _) = ask(&effects(), llm("http://127.0.0.1:1/v1"), true).await;
    assert_eq!(result.unwrap_err().kind, Transient);
    let (result, _) = ask(&effects(), llm("http://nobody.invalid/v1"), true).await;
    assert_eq!(result.unwrap_err().kind, Transient);
    let server = Server::always(Reply::default().send("no TLS here")).await;
    let (result, _) = ask(&effects(), llm(&format!("https://127.0.0.1:{}", server.port)), true).await;
    let error = result.unwrap_err();
    assert!(error.kind == Transient && error.message.contains("secure connection"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_asked_is_named() {
    let (result, _) = ask(&effects(), llm("not an address"), false).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Rejected);
    assert!(error.message.contains("`apibase`") && error.message.contains("`llms.main`"), "{error}");
    let (result, _) = ask(&effects(), Llm { name: "other".to_owned(), ..llm("") }, false).await;
    assert!(result.unwrap_err().message.contains("no LLM `main`"));
}

#[tokio::test]
async fn a_dropped_call_leaves_a_server_that_hangs() {
    for reply in [Reply::default(), Reply::head(200, EVENTS), Reply::events(&[r#"{"choices":[]}"#])] {
        let mut server = Server::always(reply.then(Step::Hang)).await;
        let bot = bot(llm(&server.url("")), None, cota_core::bot::Safety::ReadOnly);
        let effects = effects();
        let mut call = effects.perform(job(&bot, question(true)), Pieces::ignored());
        while server.received().is_empty() {
            tokio::select! {
                outcome = &mut call => panic!("{outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(call);
        server.gone().await;
    }
}
