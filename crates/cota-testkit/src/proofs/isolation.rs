//! Conversations at one time never see one another, and the messages of one conversation keep their order.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::speaker::BUSY_STORE;
use super::{Address, Heard, Server, Speaker, Target, Ways, model};
use crate::client::{Record, Socket, socket};
use crate::llm_server::{Settings, scripts};
use crate::seeds::scatter;

const CONVERSATIONS: usize = 50;
const MESSAGES: usize = 5;

/// Fifty are told a secret each and asked for it, all at once; a restart leaves every record as it was.
pub async fn fifty_conversations_keep_their_secrets(target: &impl Target, ways: Ways) {
    let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(20))).await;
    let mut server = target.start("chat", &llm.apibase()).await;
    let address = server.address();
    let mut speakers: Vec<Speaker> = (0..CONVERSATIONS).map(|n| Speaker::new(&address, &format!("sender-{n}"), &session(n))).collect();
    for (m, (id, words)) in ["told", "asked"].into_iter().zip([tell as fn(usize) -> String, ask]).enumerate() {
        let said = speakers.iter_mut().enumerate().map(|(n, speaker)| async move {
            let heard = speaker.say(ways.of(n + m), id, &words(n)).await;
            assert_eq!(heard, Heard::Reply(reply(n)), "conversation {n}, {id}");
        });
        join_all(said).await;
    }
    let records = join_all((0..CONVERSATIONS).map(|n| saved(&address, n))).await;
    server.restart().await;
    let address = server.address();
    let after = join_all((0..CONVERSATIONS).map(|n| saved(&address, n))).await;
    assert_eq!(after, records, "a restart changed the record");
}

/// Checks what is saved of a conversation.
async fn saved(address: &Address, n: usize) -> Record {
    let record = Record::read(&address.http, &session(n)).await;
    assert_eq!(record.answered_in_order(), ["told", "asked"]);
    assert_eq!(record.replies(), [reply(n), reply(n)]);
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
    format!("s{n}-{}", scatter(n as u64 + 1, 1_000_000))
}

fn tell(n: usize) -> String {
    format!("my secret is #{}", secret(n))
}

fn ask(_: usize) -> String {
    "what was my secret?".to_owned()
}

fn reply(n: usize) -> String {
    format!("It is #{}.", secret(n))
}

/// Five people speak at once in one conversation; somebody listens.
pub async fn five_messages_are_answered_in_the_order_of_acceptance(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(10))).await;
    let server = target.start("chat", &llm.apibase()).await;
    for ways in Ways::ALL {
        five_at_once(&server, ways, &format!("five-{ways:?}")).await;
    }
}

async fn five_at_once<S: Server>(server: &S, ways: Ways, session: &str) {
    let address = server.address();
    let mut watcher = Socket::join(&address.sockets, "watcher", session, &json!({})).await;
    let said = (0..MESSAGES).map(|n| {
        let address = &address;
        async move {
            let id = format!("m{n}");
            let mut speaker = Speaker::new(address, &format!("sender-{n}"), session);
            let heard = speaker.say(ways.of(n), &id, &format!("this is #{id}")).await;
            assert_eq!(heard, Heard::Reply(format!("It is #{id}.")));
        }
    });
    join_all(said).await;
    let (mut accepted, mut answered) = (Vec::new(), Vec::new());
    while accepted.len() < MESSAGES || answered.len() < MESSAGES {
        let frame = watcher.next().await.unwrap();
        let (heard, id) = if socket::is_from(&frame, "user") {
            (&mut accepted, &frame["message_id"])
        } else if socket::is_from(&frame, "bot") {
            (&mut answered, &frame["reply_to"])
        } else {
            continue;
        };
        let id = id.as_str().unwrap().to_owned();
        // A frame may come twice.
        if !heard.contains(&id) {
            heard.push(id);
        }
    }
    let mut recorded = Record::read(&address.http, session).await.answered_in_order();
    if !S::ORDERED {
        answered.sort();
        recorded.sort();
    }
    assert_eq!(answered, recorded, "{ways:?}");
    // Who hears of several acceptances at one moment hears of each, in any order.
    accepted.sort();
    recorded.sort();
    assert_eq!(accepted, recorded, "{ways:?}");
}

/// One client sends five frames without waiting.
pub async fn five_frames_of_one_socket_are_each_answered(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat())).await;
    let server = target.start("chat", &llm.apibase()).await;
    frames_are_answered(&server).await;
}

async fn frames_are_answered<S: Server>(server: &S) {
    let address = server.address();
    let sent: Vec<String> = (0..MESSAGES).map(|n| format!("m{n}")).collect();
    let text = |id: &str| format!("this is #{id}");
    let mut socket = Socket::join(&address.sockets, "ann", "frames", &json!({})).await;
    for id in &sent {
        socket.say("frames", id, &text(id)).await;
    }
    let mut answered = Vec::new();
    while answered.len() < MESSAGES {
        let frame = socket.until(|frame| socket::is_from(frame, "bot") || frame["type"] == "error").await.unwrap();
        if frame["type"] == "error" {
            assert_eq!(frame["code"], BUSY_STORE, "{frame}");
            let id = frame["message_id"].as_str().unwrap().to_owned();
            socket.say("frames", &id, &text(&id)).await;
            continue;
        }
        let id = frame["reply_to"].as_str().unwrap().to_owned();
        assert_eq!(frame["text"], format!("It is #{id}."));
        // A frame may come twice.
        if !answered.contains(&id) {
            answered.push(id);
        }
    }
    let mut recorded = Record::read(&address.http, "frames").await.answered_in_order();
    if !S::ORDERED {
        answered.sort();
        recorded.sort();
    }
    assert_eq!((answered, recorded), (sent.clone(), sent));
}
