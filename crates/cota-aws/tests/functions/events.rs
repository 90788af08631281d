//! Events: every sample of AWS's documents is read, and whatever else comes is refused without harm.

use std::fs;
use std::path::Path;

use cota_testkit::lambda::{Function, Settings};
use serde_json::{Value as Json, json};

use super::support::{self, Bundles, program};

fn samples(kind: &str) -> Vec<(String, Json)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions/events").join(kind);
    let mut samples: Vec<(String, Json)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(!samples.is_empty(), "there are no samples of {kind}");
    samples
}

fn function(name: &str, bundles: &Bundles) -> Function {
    let settings = Settings::new(name, program(name))
        .with("COTA_STORE", "memory")
        .with("COTA_INSECURE_NO_IDENTITY", "true")
        .with("COTA_BUNDLES", bundles.folder())
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        // Nobody listens there.
        .with("COTA_CONNECTIONS_URL", "http://127.0.0.1:9/test");
    Function::new(settings)
}

/// The status of a streaming answer.
async fn http_status(function: &Function, event: &Json) -> u64 {
    let answer = function.invoke(event).await.unwrap();
    let end = answer.windows(8).position(|window| window == [0; 8]).unwrap();
    serde_json::from_slice::<Json>(&answer[..end]).unwrap()["statusCode"].as_u64().unwrap()
}

async fn socket_status(function: &Function, event: &Json) -> u64 {
    let answer: Json = serde_json::from_slice(&function.invoke(event).await.unwrap()).unwrap();
    answer["statusCode"].as_u64().unwrap()
}

#[test]
fn every_sample_of_an_http_request_is_read() {
    support::run(async {
        let bundles = Bundles::of_examples(&["weather"]);
        let api = function("api", &bundles);
        for (name, event) in samples("http") {
            // None of them is of a route that there is, and some name a host under which nobody expects the deployment.
            let status = http_status(&api, &event).await;
            assert!([403, 404].contains(&status), "{name}: {status}");
        }
        assert_eq!(api.deaths(), 0);
    });
}

#[test]
fn every_sample_of_a_socket_is_read() {
    support::run(async {
        let bundles = Bundles::of_examples(&["weather"]);
        let socket = function("websocket", &bundles);
        for (name, event) in samples("socket") {
            // Who connects has to say who it is, and no sample does; a connection that nobody knows is ended without a word.
            let expected = if name.starts_with("connect") { 400 } else { 200 };
            assert_eq!(socket_status(&socket, &event).await, expected, "{name}");
        }
        assert_eq!(socket.deaths(), 0);
    });
}

#[test]
fn every_sample_of_a_queue_is_read_and_named_as_unheard() {
    support::run(async {
        let bundles = Bundles::of_examples(&["weather"]);
        let turn = function("turn", &bundles);
        for (name, event) in samples("queue") {
            let answer: Json = serde_json::from_slice(&turn.invoke(&event).await.unwrap()).unwrap();
            assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "MessageID_1"}]}), "{name}");
        }
        let failed = turn.invoke(&json!({"detail": {}})).await.unwrap_err();
        assert!(failed.to_string().starts_with("Cota.Event: "), "{failed}");
        assert_eq!(turn.deaths(), 0);
    });
}

#[test]
fn a_malformed_event_is_the_senders_fault_and_harms_nobody() {
    support::run(async {
        let bundles = Bundles::of_examples(&["weather"]);
        let (api, socket) = (function("api", &bundles), function("websocket", &bundles));
        let good = samples("http").into_iter().find(|(name, _)| name == "function-url.json").unwrap().1;
        let with = |pointer: &str, value: Json| {
            let mut event = good.clone();
            *event.pointer_mut(pointer).unwrap() = value;
            event
        };
        let no_body = |mut event: Json| {
            event["body"] = json!("%%%");
            event["isBase64Encoded"] = json!(true);
            event
        };
        for event in [
            json!([]),
            json!({}),
            json!("text"),
            json!({"requestContext": 7}),
            with("/rawPath", json!("no slash")),
            with("/rawPath", json!("/\u{7f}\n")),
            with("/requestContext/http/method", json!("G E T")),
            with("/requestContext/domainName", json!("a\nb")),
            with("/headers/accept", json!("a\r\nb")),
            no_body(good.clone()),
        ] {
            assert_eq!(http_status(&api, &event).await, 400, "{event}");
        }
        for event in
            [json!([]), json!({}), json!({"requestContext": {"routeKey": "$connect"}}), json!({"requestContext": {"connectionId": "a"}})]
        {
            assert_eq!(socket_status(&socket, &event).await, 400, "{event}");
        }
        assert_eq!((api.deaths(), socket.deaths()), (0, 0));
        assert_eq!((api.started(), socket.started()), (1, 1), "one process took them all");
    });
}
