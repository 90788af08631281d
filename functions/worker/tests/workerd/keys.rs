//! API keys that the Worker was given: who has one comes in, for whom it says, as far as its scopes go.

use cota_core::ids::Timestamp;
use cota_gateway::Scopes;
use cota_gateway::identity::keys::Issued;
use serde_json::json;

use super::support::http::{self, Response};
use super::support::{self, Socket, Workerd, issue};

const PATH: &str = "/v1/conversations/shared";
const HELLO: &str = "/v1/conversations/shared/messages";

#[test]
fn a_key_lets_in_whom_it_names_as_far_as_its_scopes_go() {
    support::run(async {
        let (chat, all) = (issue(1, Scopes::CHAT, None).await, issue(2, Scopes::ALL, None).await);
        let (ended, unknown) = (issue(3, Scopes::ALL, Some(Timestamp(1))).await, issue(4, Scopes::ALL, None).await);
        let given = serde_json::to_string(&[&chat.key, &all.key, &ended.key]).unwrap();
        let workerd = Workerd::start_with(&[
            ("COTA_TEST_LLM", support::NO_MODEL),
            ("COTA_DEFAULT_BOT", "weather"),
            ("COTA_API_KEYS", given.as_str()),
            ("COTA_LOG_LEVEL", "trace"),
        ])
        .await;
        let address = workerd.address.as_str();
        let secret_of_another = chat.text.replace(secret(&chat), secret(&all));
        for wrong in [None, Some(&ended.text), Some(&unknown.text), Some(&secret_of_another), Some(&"a.b.c".to_owned())] {
            let refused = say(address, wrong, HELLO, &json!({"text": "hello", "sender_id": "ann"})).await;
            assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{wrong:?}: {refused:?}");
        }
        let nobody = say(address, Some(&chat.text), HELLO, &json!({"text": "hello"})).await;
        assert_eq!((nobody.status, nobody.code().as_str()), (400, "missing_sender"), "{nobody:?}");

        let answer = say(address, Some(&chat.text), HELLO, &json!({"text": "hello", "sender_id": "ann"})).await;
        assert_eq!((answer.status, answer.replies().len()), (200, 1), "{answer:?}");
        let of_ann = get(address, &all, &format!("{PATH}/events?sender_id=ann")).await;
        let discreet = get(address, &chat, &format!("{PATH}/events?sender_id=ann")).await;
        assert!(of_ann.body.contains("\"policy\"") && !discreet.body.contains("\"policy\""), "{of_ann:?} {discreet:?}");
        assert_eq!(get(address, &all, &format!("{PATH}?sender_id=ben")).await.status, 404, "it is nobody else's");
        let task = json!({"task": "trip", "input": "Oslo", "sender_id": "ann"});
        assert_eq!(say(address, Some(&chat.text), "/v1/tasks", &task).await.code(), "forbidden");
        assert_eq!(say(address, Some(&all.text), "/v1/tasks", &task).await.status, 202);

        let bearer = format!("Bearer {}", chat.text);
        let mut socket = Socket::join_with(address, "", &[("authorization", &bearer)], "ann", "shared").await;
        socket.say("shared", "m2", "what is the weather in Oslo tomorrow?").await;
        assert_eq!(socket.answer_to("m2").await.unwrap()["text"], "Oslo, tomorrow: 12 degrees, light rain. Anything else?");
        let ticket = say(address, Some(&chat.text), "/v1/tickets?sender_id=ann", &json!({})).await.json();
        let ticket = format!("bot=clinic&ticket={}", ticket["ticket"].as_str().unwrap());
        let mut clinic = Socket::join_with(address, &ticket, &[], "ann", "rehearsal").await;
        clinic.say("rehearsal", "m1", "hello").await;
        let refused = clinic.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&refused["code"], &refused["message_id"]), (&json!("forbidden"), &json!("m1")), "a bot that plays its user: {refused}");

        let logged = workerd.logged();
        assert!([&chat, &all, &ended].iter().all(|issued| !logged.contains(secret(issued))), "a key is in the log");
    });
}

#[test]
fn keys_that_cannot_be_read_let_nobody_in_and_are_not_told() {
    support::run(async {
        let key = issue(1, Scopes::CHAT, None).await.text;
        let variables = [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_DEFAULT_BOT", "weather"), ("COTA_API_KEYS", key.as_str())];
        let workerd = Workerd::start_with(&variables).await;
        let refused = say(&workerd.address, Some(&key), HELLO, &json!({"text": "hello", "sender_id": "ann"})).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "identity_unavailable"), "{refused:?}");
        assert!(workerd.logged().contains("COTA_API_KEYS is not what `cota key export` prints"), "{}", workerd.logged());
        assert!(!workerd.logged().contains(&key) && !refused.body.contains(&key));
    });
}

async fn say(address: &str, key: Option<&String>, path: &str, body: &serde_json::Value) -> Response {
    let bearer = key.map(|key| format!("authorization: Bearer {key}"));
    let headers: Vec<&str> = bearer.iter().map(String::as_str).collect();
    http::post(address, path, &headers, body.to_string().as_bytes()).await.unwrap()
}

async fn get(address: &str, key: &Issued, path: &str) -> Response {
    http::exchange(address, "GET", path, &[&format!("authorization: Bearer {}", key.text)], b"").await.unwrap()
}

fn secret(key: &Issued) -> &str {
    key.text.rsplit('_').next().unwrap()
}
