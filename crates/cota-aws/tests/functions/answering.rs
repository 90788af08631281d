//! The `api` function alone: every route behind a Function URL.

use std::path::PathBuf;

use cota_testkit::lambda::{Function, FunctionUrl, Settings};
use serde_json::json;

use super::support::{self, Bundles, http, program};

struct Api {
    function: Function,
    url: FunctionUrl,
    _bundles: Bundles,
}

impl Api {
    async fn start(bundles: Bundles) -> Self {
        let settings = Settings::new("api", program("api"))
            .with("COTA_STORE", "memory")
            .with("COTA_INSECURE_NO_IDENTITY", "true")
            .with("COTA_BUNDLES", bundles.folder());
        // A store in memory is one process's own.
        let function = Function::new(Settings { concurrency: 1, ..settings });
        let url = FunctionUrl::start(function.clone()).await;
        Self { function, url, _bundles: bundles }
    }

    fn address(&self) -> String {
        self.url.address()
    }
}

#[test]
fn a_message_is_answered_through_a_function_url() {
    support::run(async {
        let api = Api::start(Bundles::of_examples(&["weather"])).await;
        let path = "/v1/conversations/hello/messages";
        let body = json!({"text": "what is the weather in Oslo tomorrow?", "message_id": "m1"}).to_string();
        let answer = http::post(&api.address(), path, &[], body.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.replies()), (200, vec!["Oslo, tomorrow: 12 degrees, light rain. Anything else?".to_owned()]));
        let again = http::post(&api.address(), path, &[], body.as_bytes()).await.unwrap();
        assert_eq!(again.body, answer.body, "a repeat gets the recorded answer");
        assert_eq!(api.function.started(), 1);
    });
}

#[test]
fn an_answer_comes_as_events_and_ends() {
    support::run(async {
        let api = Api::start(Bundles::of_examples(&["weather"])).await;
        let body = json!({"text": "hello"}).to_string();
        let headers = ["accept: text/event-stream"];
        let answer = http::post(&api.address(), "/v1/conversations/s/messages", &headers, body.as_bytes()).await.unwrap();
        let names: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!((answer.status, names.as_slice()), (200, &["action", "action", "action", "message", "done"][..]), "{answer:?}");
        let read = http::get(&api.address(), "/v1/conversations/s").await.unwrap();
        assert_eq!((read.status, &read.json()["seq"]), (200, &json!(4)));
        let unknown = http::get(&api.address(), "/v1/conversations/other").await.unwrap();
        assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    });
}

#[test]
fn a_bot_that_is_not_there_or_broken_is_a_typed_error_of_the_function() {
    support::run(async {
        let function = Function::new(
            Settings::new("api", program("api"))
                .with("COTA_STORE", "memory")
                .with("COTA_BUNDLES", PathBuf::from("/nowhere").display().to_string()),
        );
        let failed = function.invoke(&json!({})).await.unwrap_err();
        assert_eq!(failed.to_string(), "Cota.Bundles: cannot read /nowhere: No such file or directory (os error 2)");
    });
}
