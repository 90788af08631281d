//! Who sits in a room is asked for where somebody may, and nowhere else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use cota_testkit::targets::bot;
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::{self, Bundles, Deployment, Plan, Socket, calls};

/// Turns of which the cheapest counts.
const TURNS: usize = 4;
/// Well below the time after which a watchdog would be heard.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn a_turn_over_http_takes_three_calls_until_somebody_sits_in_its_room() {
    support::run(async {
        let variables = vec![("COTA_LOG_LEVEL", "debug".to_owned())];
        // One environment of each function, which remembers how far it has told a room.
        let plan = Plan { variables, concurrency: 1, ..Plan::default() };
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), plan).await;
        let say = |conversation: &'static str| fewest(&deployment, conversation);
        assert_eq!((say("alone").await, say("room").await), (3, 3));
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "room", &json!({})).await;
        // Who sits there is read, and how far they were told is written.
        assert_eq!((say("room").await, say("alone").await), (5, 3));
        socket.say("room", "m1", "hello").await;
        socket.answer_to("m1").await.unwrap();
    });
}

/// The fewest calls of DynamoDB that one of some turns takes: those of a slow one are more.
async fn fewest(deployment: &Deployment, conversation: &str) -> u64 {
    let before = calls(&deployment.api).len();
    for _ in 0..TURNS {
        assert_eq!(deployment.say(conversation, &json!({"text": "hello"})).await.status, 200);
    }
    while calls(&deployment.api).len() < before + TURNS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    calls(&deployment.api).into_iter().skip(before).min().unwrap()
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
