//! Who sits in a room is asked for where somebody may, and nowhere else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use cota_testkit::targets::bot;
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::{self, Bundles, Deployment, Plan, Socket, calls};

/// Well below the time after which a watchdog would be heard.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn a_turn_over_http_takes_three_calls_until_somebody_sits_in_its_room() {
    support::run(async {
        let variables = vec![("COTA_LOG_LEVEL", "debug".to_owned())];
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan { variables, ..Plan::default() }).await;
        for conversation in ["alone", "alone", "room", "room"] {
            assert_eq!(deployment.say(conversation, &json!({"text": "hello"})).await.status, 200);
        }
        assert_eq!(calls(&deployment.api), [3, 3, 3, 3]);
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "room", &json!({})).await;
        deployment.say("room", &json!({"text": "hello", "message_id": "m1"})).await;
        socket.answer_to("m1").await.unwrap();
        deployment.say("alone", &json!({"text": "hello"})).await;
        // Who sits there before the turn and after it, and how far they were told, read and written.
        assert_eq!(calls(&deployment.api)[4..], [7, 3]);
    });
}

#[test]
fn who_sits_down_while_the_first_turn_runs_hears_its_end() {
    support::run(async {
        let gate = Arc::new(Semaphore::new(0));
        let llm = LlmServer::start(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await.unwrap();
        let variables = vec![("COTA_TEST_LLM", llm.apibase())];
        let deployment = Deployment::start(Bundles::of(&[bot("chat")]), Plan { variables, ..Plan::default() }).await;
        let hello = json!({"text": "hello, this is #m1", "message_id": "m1"});
        let follow = async {
            while llm.count() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let mut socket = Socket::join(&deployment.sockets.address(), "ana", "s", &json!({})).await;
            let began = Instant::now();
            gate.add_permits(100);
            socket.answer_to("m1").await.unwrap();
            began.elapsed()
        };
        let (said, took) = futures_util::join!(deployment.say("s", &hello), follow);
        assert_eq!(said.status, 200);
        assert!(took < SOON, "it took {took:?}");
    });
}
