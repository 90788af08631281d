//! A queue's poller, in place of an event source mapping: one message a call, again what was not heard, at last aside.

use std::time::Duration;

use cota_testkit::lambda::{Function, Mischief, Poller, Queue};
use cota_testkit::services::moto::Moto;
use serde_json::{Value as Json, json};

use super::{events, function, names, sample, until};

struct Polled {
    queue: Queue,
    dead: Queue,
    function: Function,
    _poller: Poller,
    _moto: Moto,
}

async fn polled(mischief: Mischief) -> Polled {
    let moto = Moto::start();
    let address = moto.url().trim_start_matches("http://").to_owned();
    let dead = Queue::create(&address, "dead", Duration::from_secs(1), None).await;
    let queue = Queue::create(&address, "queue", Duration::from_secs(1), Some((&dead, 2))).await;
    let function = function();
    let poller = Poller::start(queue.clone(), function.clone(), mischief);
    Polled { queue, dead, function, _poller: poller, _moto: moto }
}

impl Polled {
    /// The bodies of the messages that the function was called with, once there are so many.
    async fn heard(&self, many: usize) -> Vec<String> {
        let body = |event: &Json| event["Records"][0]["body"].as_str().unwrap().to_owned();
        until(|| {
            let heard: Vec<String> = events(&self.function).iter().map(body).collect();
            (heard.len() >= many).then_some(heard)
        })
        .await
    }
}

#[tokio::test]
async fn a_message_comes_in_the_documented_form_and_once_when_it_is_heard() {
    let polled = polled(Mischief::default()).await;
    polled.queue.send("one").await;
    polled.queue.send("two").await;
    let mut heard = polled.heard(2).await;
    heard.sort();
    assert_eq!(heard, ["one", "two"]);
    let event = &events(&polled.function)[0];
    let records = |json: &Json| names(&json["Records"][0]);
    let known = records(event);
    let documented = records(&sample("queue/messages.json"));
    let own_attributes = |name: &String| name.starts_with("messageAttributes.") || name == "md5OfMessageAttributes";
    let missing: Vec<String> = documented.into_iter().filter(|name| !known.contains(name) && !own_attributes(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing: {event}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(polled.heard(2).await.len(), 2, "what was heard does not come again");
}

#[tokio::test]
async fn what_is_not_heard_comes_again_and_then_goes_aside() {
    for body in ["unheard", "fail", "die"] {
        let polled = polled(Mischief::default()).await;
        polled.queue.send(body).await;
        assert_eq!(polled.heard(2).await, [body, body]);
        let mut aside = Vec::new();
        while aside.is_empty() {
            aside = polled.dead.bodies().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(aside, [body]);
    }
}

#[tokio::test]
async fn mischief_is_done_as_it_is_ordered() {
    let twice = polled(Mischief { twice: true, ..Mischief::default() }).await;
    twice.queue.send("one").await;
    assert_eq!(twice.heard(2).await, ["one", "one"]);

    let lost = polled(Mischief { lost: true, ..Mischief::default() }).await;
    let later = u64::MAX >> 1;
    lost.queue.send(&json!({"at": 0}).to_string()).await;
    lost.queue.send(&json!({"at": later}).to_string()).await;
    assert_eq!(lost.heard(1).await, [json!({"at": later}).to_string()], "a watchdog is heard, a bell that is rung at once is not");
}
