//! Executors, the real client and a real server between them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cota_core::bot::ExecutorKind::{self, Http};
use cota_core::bot::HttpMethod::{Get, Post, Put};
use cota_core::bot::Safety::{AtMostOnce, Idempotent, ReadOnly};
use cota_core::bot::{MockCall, ScriptCall};
use cota_core::limits::EXECUTOR_ANSWER_BYTES;
use cota_core::machine::{EffectError, FailureKind};
use cota_effects::StandardEffects;
use cota_effects::executor::{RunScript, ScriptRun};
use cota_effects::http::{NativeHttp, Trust};
use serde_json::{Value as Json, json};

use crate::bots::{CANARY, SystemClock, effects, execute, http};
use crate::logs;
use crate::server::{Received, Reply, Server};

#[tokio::test]
async fn get_sends_the_slots_as_the_query() {
    let server = Server::always(Reply::json(200, &json!({"text": "sunny", "metadata": {"t": 21}}))).await;
    let call = Http(http(Get, server.url("/w/{city}?unit=c")));
    let slots = json!({"city": "São/Paulo", "day": "to morrow&x=1", "n": 0, "none": null});
    let (text, metadata) = execute(&effects(), call, ReadOnly, &slots).await.unwrap();
    assert_eq!((text.as_str(), Json::Object(metadata)), ("sunny", json!({"t": 21})));
    let request = server.received().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/w/S%C3%A3o%2FPaulo?unit=c&day=to+morrow%26x%3D1&n=0"));
    assert_eq!((request.header("idempotency-key"), request.header("x-api-key")), (Some("run/7"), Some(CANARY)));
    assert_eq!((request.body.as_str(), request.header("content-type")), ("", None));
}

#[tokio::test]
async fn other_methods_send_the_slots_as_json() {
    let server = Server::start(|request: &Received| Reply::whole(200, &[], format!("got {}", request.body))).await;
    for (method, name) in [(Post, "POST"), (Put, "PUT")] {
        let slots = json!({"z": "Oslo", "a": [1]});
        let (text, _) = execute(&effects(), Http(http(method, server.url("/{z}"))), AtMostOnce, &slots).await.unwrap();
        assert_eq!(text, r#"got {"z":"Oslo","a":[1]}"#);
        let request = server.received().pop().unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), (name, "/Oslo"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_limit() {
    for (size, fits) in [(EXECUTOR_ANSWER_BYTES, true), (EXECUTOR_ANSWER_BYTES + 1, false), (20 * EXECUTOR_ANSWER_BYTES, false)] {
        let server = Server::always(Reply::whole(200, &[], vec![b'x'; size])).await;
        match execute(&effects(), Http(http(Get, server.url("/"))), ReadOnly, &json!({})).await {
            Ok((text, _)) => assert!(fits && text.len() == size),
            Err(error) => assert!(!fits && error.kind == FailureKind::Rejected && error.message.contains("larger than"), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_error_without_the_services_page_or_the_bots_secrets() {
    logs::start();
    let long = format!("{CANARY} {}", "x".repeat(5_000));
    for (status, body, kind, says) in [
        (500, "db is\n\tdown", FailureKind::Transient, "answered 500 Internal Server Error: db is down"),
        (429, "slow down", FailureKind::Transient, "slow down"),
        (404, "no such city", FailureKind::Rejected, "no such city"),
        (304, "", FailureKind::Rejected, "answered 304"),
        (400, &long, FailureKind::Rejected, "*** xxx"),
        (502, "<html>secret page</html>", FailureKind::Transient, "answered 502"),
    ] {
        let server = Server::always(Reply::whole(status, &[], body)).await;
        let error = execute(&effects(), Http(http(Get, server.url("/"))), ReadOnly, &json!({})).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(says), "{error}");
        assert!(!error.message.contains("sk-canary") && !error.message.contains("secret page"), "{error}");
        assert!(error.message.chars().count() < 260, "{error}");
    }
    assert!(!logs::written().contains("sk-canary"));
}

#[tokio::test]
async fn what_may_have_happened_is_not_called_undone() {
    let cut = || Reply::head(200, &[("content-length", "9")]).send("x");
    for (reply, safety, kind) in [
        (cut(), AtMostOnce, FailureKind::OutcomeUnknown),
        (cut(), Idempotent, FailureKind::Transient),
        (cut(), ReadOnly, FailureKind::Transient),
        (Reply::default(), AtMostOnce, FailureKind::OutcomeUnknown),
        (Reply::default(), ReadOnly, FailureKind::Transient),
    ] {
        let server = Server::always(reply).await;
        let error = execute(&effects(), Http(http(Post, server.url("/"))), safety, &json!({})).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    let nobody = Http(http(Post, "http://127.0.0.1:1/".to_owned()));
    assert_eq!(execute(&effects(), nobody, AtMostOnce, &json!({})).await.unwrap_err().kind, FailureKind::Transient);
}

/// Redirects `/{n}` to `/{n-1}`, and answers at `/0`.
async fn countdown(status: u16) -> Server {
    Server::start(move |request| match request.target.trim_start_matches('/').parse::<u32>().unwrap() {
        0 => Reply::whole(200, &[], format!("{} {}", request.method, request.body)),
        n => Reply::whole(status, &[("location", &format!("/{}", n - 1))], ""),
    })
    .await
}

#[tokio::test]
async fn redirects_within_the_service_are_followed_five_times() {
    for (status, method, answer) in
        [(302, Post, "GET "), (303, Put, "GET "), (307, Post, "POST {}"), (308, Put, "PUT {}"), (301, Get, "GET ")]
    {
        let server = countdown(status).await;
        let (text, _) = execute(&effects(), Http(http(method, server.url("/5"))), Idempotent, &json!({})).await.unwrap();
        assert_eq!(text, answer.trim(), "{status}");
        assert_eq!(server.received().last().unwrap().header("x-api-key"), Some(CANARY));
        let error = execute(&effects(), Http(http(method, server.url("/6"))), Idempotent, &json!({})).await.unwrap_err();
        assert!(error.message.contains("more than 5 times"), "{error}");
    }
}

#[tokio::test]
async fn neither_a_redirect_nor_a_slot_leads_to_a_private_host() {
    let inside = Server::always(Reply::whole(200, &[], "internal")).await;
    for location in [
        inside.url("/"),
        format!("http://localhost:{}/", inside.port),
        format!("//2130706433:{}/", inside.port),
        format!("http://[::1]:{}/", inside.port),
        "http://169.254.169.254/latest".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let server = Server::always(Reply::whole(302, &[("location", &location)], "")).await;
        let error = execute(&effects(), Http(http(Get, server.url("/"))), ReadOnly, &json!({})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Rejected, "{location}: {error}");
        assert!(error.message.starts_with("the service was not called"), "{location}: {error}");
    }
    for host in ["127.0.0.1", "localhost", "0x7f.1", "017700000001"] {
        let call = Http(http(Get, format!("http://{{host}}:{}/", inside.port)));
        let error = execute(&effects(), call, ReadOnly, &json!({"host": host})).await.unwrap_err();
        assert!(error.message.contains("is not public"), "{host}: {error}");
    }
    let metadata = Http(http(Get, "http://169.254.169.254/".to_owned()));
    assert!(execute(&effects(), metadata, ReadOnly, &json!({})).await.unwrap_err().message.contains("metadata"));
    assert!(inside.received().is_empty());
}

#[tokio::test]
async fn mocks_and_types_that_do_not_run_here() {
    let slots = json!({"city": "Oslo", "n": 1});
    let mock = |text: Option<&str>| ExecutorKind::Mock(MockCall { text: text.map(str::to_owned) });
    assert_eq!(execute(&effects(), mock(Some("rain in {city} {x}")), ReadOnly, &slots).await.unwrap().0, "rain in Oslo {x}");
    assert_eq!(execute(&effects(), mock(None), ReadOnly, &slots).await.unwrap().0, r#"{"city":"Oslo","n":1}"#);
    let python = ExecutorKind::Unsupported { written: "python".to_owned(), way_out: "Make it a web service.".to_owned() };
    let error = execute(&effects(), python, AtMostOnce, &slots).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (FailureKind::Rejected, "executers of type `python` are not run here. Make it a web service.")
    );
}

#[derive(Default)]
struct FakeScripts(Mutex<Vec<ScriptRun>>);

#[async_trait]
impl RunScript for FakeScripts {
    async fn run(&self, script: ScriptRun) -> Result<Vec<u8>, EffectError> {
        let large = script.path == "large";
        self.0.lock().unwrap().push(script);
        Ok(if large { vec![b'x'; EXECUTOR_ANSWER_BYTES + 1] } else { br#"{"text": "done"}"#.to_vec() })
    }
}

#[tokio::test]
async fn a_script_gets_its_slots_as_whole_arguments() {
    let script = |path: &str| {
        ExecutorKind::Script(ScriptCall {
            path: path.to_owned(),
            args: vec!["--city={city}".to_owned(), "{city}".to_owned(), "{x}".to_owned()],
        })
    };
    let slots = json!({"city": "Oslo; rm -rf / {x}"});
    let scripts = Arc::new(FakeScripts::default());
    let effects_here = StandardEffects::with_scripts(
        Arc::new(NativeHttp::new(Trust::System).unwrap()),
        Arc::new(SystemClock),
        Arc::clone(&scripts) as Arc<dyn RunScript>,
    );
    assert_eq!(execute(&effects_here, script("w.py"), AtMostOnce, &slots).await.unwrap().0, "done");
    let run = scripts.0.lock().unwrap().remove(0);
    assert_eq!(run.args, ["--city=Oslo; rm -rf / {x}", "Oslo; rm -rf / {x}", "{x}"]);
    assert_eq!((run.bot.as_str(), run.path.as_str(), run.idempotency_key.as_str()), ("bot", "w.py", "run/7"));
    assert!(execute(&effects_here, script("large"), AtMostOnce, &slots).await.unwrap_err().message.contains("larger than"));
    let error = execute(&effects(), script("w.py"), AtMostOnce, &slots).await.unwrap_err();
    assert!(error.message.contains("only on the local server"), "{error}");
}
