//! A second message while a turn runs: each setting of `on_busy`. A gate before the model holds the first turn.

use std::sync::Arc;

use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::http::Response;
use super::support::{self, Record, Socket, Workerd, model};

const SESSION: &str = "busy";

/// A bot whose first turn is held at the model.
struct Busy {
    workerd: Arc<Workerd>,
    gate: Arc<Semaphore>,
    first: tokio::task::JoinHandle<Response>,
    /// Sends what comes meanwhile.
    socket: Socket,
    _llm: LlmServer,
}

impl Busy {
    async fn start(bot: &str) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let llm = model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await;
        let workerd = Arc::new(Workerd::start(bot, &llm.apibase()).await);
        let first = tokio::spawn(say(Arc::clone(&workerd), "first"));
        llm.reached(1).await;
        let socket = Socket::join(&workerd.address, "ben", SESSION, &json!({})).await;
        Self { workerd, gate, first, socket, _llm: llm }
    }

    /// Sends a message and waits until it is accepted.
    async fn accepted(&mut self, id: &str) {
        self.socket.say(SESSION, id, &format!("this is #{id}")).await;
        self.socket.acknowledged(id).await.unwrap();
    }

    /// Lets the model answer whatever it is asked.
    fn open(&self) {
        self.gate.add_permits(1_000);
    }

    async fn record(&self) -> Record {
        Record::read(&self.workerd.address, SESSION).await
    }
}

async fn say(workerd: Arc<Workerd>, id: &str) -> Response {
    workerd.say(SESSION, &json!({"text": format!("this is #{id}"), "sender_id": "ann", "message_id": id})).await
}

#[test]
fn queue_answers_in_order_and_refuses_beyond_its_length() {
    support::run(async {
        let mut busy = Busy::start("short-queue").await;
        busy.accepted("second").await;
        busy.accepted("third").await;
        let refused = say(Arc::clone(&busy.workerd), "fourth").await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "queue_full"), "{refused:?}");
        busy.socket.say(SESSION, "fifth", "this is #fifth").await;
        let error = busy.socket.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&error["code"], &error["message_id"]), (&json!("queue_full"), &json!("fifth")), "{error}");
        busy.open();
        assert_eq!(busy.first.await.unwrap().replies(), ["It is #first."]);
        for id in ["second", "third"] {
            assert_eq!(busy.socket.answer_to(id).await.unwrap()["text"], format!("It is #{id}."));
        }
        let record = Record::read(&busy.workerd.address, SESSION).await;
        assert_eq!(record.answered_in_order(), ["first", "second", "third"]);
    });
}

#[test]
fn reject_refuses_and_records_nothing() {
    support::run(async {
        let busy = Busy::start("reject").await;
        let refused = say(Arc::clone(&busy.workerd), "second").await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "busy"), "{refused:?}");
        busy.open();
        let record = async { Record::read(&busy.workerd.address, SESSION).await };
        assert_eq!(busy.first.await.unwrap().replies(), ["It is #first."]);
        assert_eq!(record.await.answered_in_order(), ["first"]);
        let again = say(Arc::clone(&busy.workerd), "second").await;
        assert_eq!(again.replies(), ["It is #second."], "a refused id may be sent again: {again:?}");
    });
}

#[test]
fn latest_cancels_the_running_turn_and_keeps_what_was_said() {
    support::run(async {
        let mut busy = Busy::start("latest").await;
        busy.accepted("second").await;
        busy.open();
        let answer = busy.socket.answer_to("second").await.unwrap();
        assert_eq!(answer["text"], "It is #second.");
        let record = busy.record().await;
        let superseded = busy.first.await.unwrap();
        assert_eq!((superseded.status, superseded.code().as_str()), (409, "superseded"), "{superseded:?}");
        assert_eq!(record.heard(), ["this is #first", "this is #second"]);
        assert_eq!(record.replies(), ["It is #second."]);
        let outcomes = record.outcomes();
        assert_eq!(outcomes.first(), Some(&("first".to_owned(), "superseded".to_owned())));
        assert_eq!(outcomes.last(), Some(&("second".to_owned(), "replied".to_owned())));
    });
}

#[test]
fn merge_takes_what_waits_as_one_message_with_one_answer() {
    support::run(async {
        let mut busy = Busy::start("merge").await;
        busy.accepted("second").await;
        busy.accepted("third").await;
        busy.open();
        let answer = busy.socket.until(|frame| frame["sender"] == "bot" && frame["text"] == "It is #third.").await.unwrap();
        assert_eq!(
            busy.workerd.say(SESSION, &json!({"text": "this is #third", "sender_id": "ben", "message_id": "third"})).await.replies(),
            ["It is #third."]
        );
        assert_eq!(
            busy.workerd.say(SESSION, &json!({"text": "this is #second", "sender_id": "ben", "message_id": "second"})).await.replies(),
            ["It is #third."]
        );
        let record = busy.record().await;
        assert_eq!(busy.first.await.unwrap().replies(), ["It is #first."]);
        assert_eq!(record.heard(), ["this is #first", "this is #second", "this is #third"]);
        assert_eq!(record.replies(), ["It is #first.", "It is #third."]);
        assert_eq!(record.actions().iter().filter(|name| *name == "UserUtter").count(), 2, "two messages, one action: {answer}");
    });
}
