//! Conversations that end: on request while a turn runs, and by themselves when nobody touches them.

use std::sync::Arc;

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::{self, Record, Socket, Workerd, http, model};

const PATH: &str = "/v1/conversations/forgotten";

#[test]
fn a_running_turn_does_not_bring_back_what_was_forgotten() {
    support::run(async {
        let gate = Arc::new(Semaphore::new(0));
        let llm = model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await;
        let mut workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut socket = Socket::join(&workerd.address, "ann", "forgotten", &json!({})).await;
        socket.say("forgotten", "m1", "my secret is #s1").await;
        llm.reached(1).await;
        let forgotten = http::exchange(&workerd.address, "DELETE", PATH, &[], b"").await.unwrap();
        assert_eq!(forgotten.status, 204);
        gate.add_permits(Semaphore::MAX_PERMITS >> 1);
        let told = socket.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!(told["code"], "not_found", "{told}");
        // Whatever the turn still does has come to its end when a later one has.
        workerd.say("another", &json!({"text": "this is #m1"})).await;
        assert_eq!(http::get(&workerd.address, PATH).await.unwrap().status, 404);
        workerd.kill();
        workerd.start_again().await;
        assert_eq!(http::get(&workerd.address, PATH).await.unwrap().status, 404);
        let anew = workerd.say("forgotten", &json!({"text": "this is #m1", "message_id": "m1"})).await;
        assert_eq!(anew.replies(), ["It is #m1."], "{anew:?}");
        assert_eq!(Record::read(&workerd.address, "forgotten").await.heard(), ["this is #m1"]);
    });
}

#[test]
fn a_conversation_that_nobody_touches_ends_by_itself_but_not_in_the_middle_of_a_turn() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        support::keeps(&workerd, "/tried/store/retention").await;
    });
}
