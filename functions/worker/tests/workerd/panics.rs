//! A panic in one object: the isolate begins anew, and what another object was in the middle of is done once.

use std::time::Duration;

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;

use super::support::{self, Record, Socket, Workerd, http, model};

#[test]
fn a_reply_that_streams_while_another_object_panics_is_given_once() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat()).pieces(2, Duration::from_millis(50))).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut socket = Socket::join(&workerd.address, "ann", "streams", &json!({"stream": true})).await;
        socket.say("streams", "m1", "this is #m1").await;
        socket.until(|frame| frame["type"] == "delta").await.unwrap();
        let address = workerd.address.clone();
        // Whoever asked the object that panics may wait for ever.
        let asking = tokio::spawn(async move { http::get(&address, "/tried/store/panic").await });
        while !workerd.logged().contains("the isolate panicked and begins anew") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = socket.answer_to("m1").await.unwrap();
        assert_eq!(answer["text"], "It is #m1.", "{answer}");
        let record = Record::read(&workerd.address, "streams").await;
        asking.abort();
        assert_eq!((record.answered_in_order(), record.replies()), (vec!["m1".to_owned()], vec!["It is #m1.".to_owned()]));
    });
}
