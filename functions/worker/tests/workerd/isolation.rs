//! Conversations at one time never see one another, and the messages of one conversation keep their order.

use std::time::Duration;

use cota_testkit::llm_server::{Settings, scripts};
use futures_util::future::join_all;
use serde_json::json;

use super::support::{self, Record, Socket, Workerd, model, socket};

const CONVERSATIONS: usize = 50;

#[test]
fn fifty_conversations_at_once_keep_their_secrets() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(20))).await;
        let mut workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut sockets = join_all((0..CONVERSATIONS).map(|n| tell(&workerd.address, n))).await;
        join_all(sockets.iter_mut().enumerate().map(|(n, socket)| ask(socket, n))).await;
        let records = join_all((0..CONVERSATIONS).map(|n| saved(&workerd.address, n))).await;
        workerd.kill();
        workerd.start_again().await;
        let after = join_all((0..CONVERSATIONS).map(|n| saved(&workerd.address, n))).await;
        assert_eq!(after, records, "a restart changed the record");
    });
}

/// Tells the bot a secret.
async fn tell(address: &str, n: usize) -> Socket {
    let session = session(n);
    let mut socket = Socket::join(address, &format!("sender-{n}"), &session, &json!({})).await;
    socket.say(&session, "told", &format!("my secret is #{}", secret(n))).await;
    let answer = socket.answer_to("told").await.unwrap();
    assert_eq!(answer["text"], format!("It is #{}.", secret(n)), "{answer}");
    socket
}

/// Asks for it.
async fn ask(socket: &mut Socket, n: usize) {
    let session = session(n);
    socket.say(&session, "asked", "what was my secret?").await;
    let answer = socket.answer_to("asked").await.unwrap();
    assert_eq!(answer["text"], format!("It is #{}.", secret(n)), "{answer}");
    assert_eq!(answer["session_id"], session, "{answer}");
}

/// Checks what is saved of a conversation.
async fn saved(address: &str, n: usize) -> Record {
    let record = Record::read(address, &session(n)).await;
    assert_eq!(record.answered_in_order(), ["told", "asked"]);
    let reply = format!("It is #{}.", secret(n));
    assert_eq!(record.replies(), [reply.clone(), reply]);
    let foreign = (0..CONVERSATIONS).filter(|other| *other != n).find(|other| {
        let text = format!("#{}.", secret(*other));
        record.said().iter().any(|said| said.text.contains(&text))
    });
    assert_eq!(foreign, None, "conversation {n} knows another's secret");
    record
}

fn session(n: usize) -> String {
    format!("secret-{n}")
}

fn secret(n: usize) -> String {
    format!("s{n}-{}", support::scatter(n as u64 + 1, 1_000_000))
}

#[test]
fn five_messages_at_once_are_answered_in_the_order_of_their_acceptance() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(10))).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut watcher = Socket::join(&workerd.address, "watcher", "five", &json!({})).await;
        let ids: Vec<String> = (0..5).map(|n| format!("m{n}")).collect();
        let sent = ids.iter().map(|id| {
            let body = json!({"text": format!("this is #{id}"), "sender_id": format!("sender-{id}"), "message_id": id});
            let workerd = &workerd;
            async move { workerd.say("five", &body).await }
        });
        let answers = join_all(sent).await;
        for (id, answer) in ids.iter().zip(&answers) {
            assert_eq!((answer.status, answer.replies()), (200, vec![format!("It is #{id}.")]), "{answer:?}");
        }
        let (mut accepted, mut answered) = (Vec::new(), Vec::new());
        while answered.len() < ids.len() {
            let frame = watcher.next().await.unwrap();
            if socket::is_from(&frame, "user") {
                accepted.push(frame["message_id"].as_str().unwrap().to_owned());
            } else if socket::is_from(&frame, "bot") {
                answered.push(frame["reply_to"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(answered, accepted);
        assert_eq!(Record::read(&workerd.address, "five").await.answered_in_order(), accepted);
    });
}

#[test]
fn five_frames_on_one_socket_are_answered_in_the_order_they_were_sent() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut socket = Socket::join(&workerd.address, "ann", "frames", &json!({})).await;
        for n in 0..5 {
            socket.say("frames", &format!("m{n}"), &format!("this is #m{n}")).await;
        }
        for n in 0..5 {
            let answer = socket.until(|frame| socket::is_from(frame, "bot")).await.unwrap();
            assert_eq!((&answer["reply_to"], &answer["text"]), (&json!(format!("m{n}")), &json!(format!("It is #m{n}."))));
        }
    });
}
