//! A turn that does not fit its invocation.

use std::path::Path;
use std::time::Duration;

use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use serde_json::json;

use super::support::{self, Bundles, Deployment, Plan, Record, http};

/// Four calls of 10 seconds on a function of 15, three times as fast: what is left of an invocation is enough for a busy machine.
const CALL: Duration = Duration::from_millis(3_333);
const FUNCTION: Duration = Duration::from_millis(5_000);

#[test]
fn four_calls_that_fit_no_invocation_together_are_answered_once() {
    support::run(async {
        let llm = LlmServer::start(Settings::new(scripts::weather()).latency(CALL)).await.unwrap();
        let bot = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cota-cli/tests/bots/weather");
        let plan = Plan { timeout: FUNCTION, variables: vec![("COTA_TEST_LLM", llm.apibase())], ..Plan::default() };
        let deployment = Deployment::start(Bundles::of(&[bot]), plan).await;
        let body = json!({"text": "what is the weather?", "message_id": "m1"});
        let answer = deployment.say("long", &body).await;
        assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("running")), "{answer:?}");
        let replies = loop {
            let answer = http::get(&deployment.address(), "/v1/conversations/long/messages/m1").await.unwrap();
            match answer.status {
                200 => break answer.replies(),
                202 => tokio::time::sleep(Duration::from_millis(200)).await,
                _ => panic!("{answer:?}"),
            }
        };
        assert_eq!(replies, ["That is all I know."]);
        assert_eq!(Record::read(&deployment.address(), "long").await.answered_in_order(), ["m1"]);
        assert_eq!(llm.count(), 4, "no call was made twice");
        assert_eq!(deployment.functions().map(cota_testkit::lambda::Function::deaths), [0, 0, 0], "no invocation was cut off");
    });
}
