//! COTA's frames on sockets that sleep: rooms, replay, and what becomes of them when their objects do.

use std::time::Duration;

use serde_json::json;

use super::support::{self, Socket, Workerd, http};

#[test]
fn a_room_hears_what_is_said_and_who_comes_and_goes() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut ann = Socket::join(&workerd.address, "ann", "room", &json!({})).await;
        let mut ben = Socket::join(&workerd.address, "ben", "room", &json!({})).await;
        let joined = ann.until(|frame| frame["type"] == "user_joined").await.unwrap();
        assert_eq!((&joined["user_id"], &joined["room_info"]["users"]), (&json!("ben"), &json!(["ann", "ben"])), "{joined}");
        ben.say("room", "m1", "hello").await;
        for socket in [&mut ann, &mut ben] {
            let said = socket.acknowledged("m1").await.unwrap();
            assert_eq!((&said["sender_id"], said.get("seq")), (&json!("ben"), None), "{said}");
            let answer = socket.answer_to("m1").await.unwrap();
            assert!(answer["seq"].is_u64(), "{answer}");
        }
        ben.send(&json!({"type": "leave", "session_id": "room"})).await;
        ben.until(|frame| frame["type"] == "leave_confirm").await.unwrap();
        let left = ann.until(|frame| frame["type"] == "user_left").await.unwrap();
        assert_eq!((&left["user_id"], &left["room_info"]["user_count"]), (&json!("ben"), &json!(1)), "{left}");
    });
}

#[test]
fn two_sockets_of_one_sender_hear_the_same_and_a_repeat_is_answered_alone() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut phone = Socket::join(&workerd.address, "ann", "two", &json!({})).await;
        let mut laptop = Socket::join(&workerd.address, "ann", "two", &json!({})).await;
        phone.say("two", "m1", "hello").await;
        let first = phone.answer_to("m1").await.unwrap();
        assert_eq!(laptop.answer_to("m1").await.unwrap(), first);
        laptop.say("two", "m1", "hello").await;
        let again = laptop.answer_to("m1").await.unwrap();
        assert_eq!((&again["message_id"], &again["text"]), (&first["message_id"], &first["text"]));
        laptop.say("two", "m1", "something else").await;
        let refused = laptop.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&refused["code"], &refused["message_id"]), (&json!("id_reused"), &json!("m1")), "{refused}");
    });
}

#[test]
fn a_client_gets_what_it_missed_from_its_place_on() {
    support::run(async {
        let mut workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut socket = Socket::join(&workerd.address, "ann", "missed", &json!({})).await;
        socket.say("missed", "m1", "hello").await;
        let seen = socket.answer_to("m1").await.unwrap()["seq"].as_u64().unwrap();
        drop(socket);
        workerd.say("missed", &json!({"text": "what is the weather in Oslo tomorrow?", "message_id": "m2"})).await;
        workerd.kill();
        workerd.start_again().await;
        let mut again = Socket::join(&workerd.address, "ann", "missed", &json!({"after": seen})).await;
        let question = again.until(|frame| frame["type"] == "text").await.unwrap();
        assert_eq!((&question["message_id"], question["seq"].is_u64()), (&json!("m2"), true), "{question}");
        let answer = again.answer_to("m2").await.unwrap();
        assert_eq!(answer["text"], "Oslo, tomorrow: 12 degrees, light rain. Anything else?");
    });
}

#[test]
fn who_was_connected_to_a_process_that_was_killed_is_in_the_room_no_more() {
    support::run(async {
        let mut workerd = Workerd::start("weather", support::NO_MODEL).await;
        let before = [
            Socket::join(&workerd.address, "ann", "room", &json!({})).await,
            Socket::join(&workerd.address, "ben", "room", &json!({})).await,
        ];
        workerd.kill();
        drop(before);
        workerd.start_again().await;
        let mut ann = Socket::join(&workerd.address, "ann", "room", &json!({})).await;
        ann.say("room", "m1", "hello").await;
        let left = ann.until(|frame| frame["type"] == "user_left").await.unwrap();
        assert_eq!((&left["user_id"], &left["room_info"]["users"]), (&json!("ben"), &json!(["ann"])), "{left}");
    });
}

#[test]
fn what_is_no_frame_is_answered_and_the_socket_stays_open() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut socket = Socket::join(&workerd.address, "ann", "odd", &json!({})).await;
        socket.send_raw("not JSON").await;
        assert_eq!(socket.next().await.unwrap()["code"], "bad_json");
        socket.send_bytes(b"\x00\x01").await;
        assert_eq!(socket.next().await.unwrap()["code"], "bad_frame");
        socket.send(&json!({"type": "join", "session_id": "odd", "sender_id": "ben"})).await;
        assert_eq!(socket.next().await.unwrap()["code"], "forbidden");
        for ping in [r#"{"type":"ping"}"#, r#"{"type": "ping"}"#] {
            socket.send_raw(ping).await;
            assert_eq!(socket.next().await.unwrap(), json!({"type": "pong"}));
        }
        let plain = http::get(&workerd.address, "/websocket?sender_id=ann").await.unwrap();
        assert_eq!((plain.status, plain.code().as_str()), (400, "bad_request"), "{plain:?}");
    });
}

#[test]
fn a_socket_that_slept_with_its_objects_hears_what_is_said_later() {
    support::run(async {
        let variables = [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_DEFAULT_BOT", "weather"), ("COTA_LOG_LEVEL", "debug")];
        let workerd = Workerd::start_with(&variables).await;
        let mut socket = Socket::join(&workerd.address, "ann", "asleep", &json!({})).await;
        socket.say("asleep", "m1", "hello").await;
        let first = socket.answer_to("m1").await.unwrap();
        // workerd puts objects to sleep after ten seconds in which nothing happens.
        let awake_again = || workerd.logged().matches("a connection object is awake again").count();
        let before = awake_again();
        for n in 2.. {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let id = format!("m{n}");
            let text = "what is the weather in Oslo tomorrow?";
            workerd.say("asleep", &json!({"text": text, "message_id": id, "sender_id": "ben"})).await;
            let answer = socket.answer_to(&id).await.unwrap();
            assert!(answer["seq"].as_u64() > first["seq"].as_u64(), "{answer}");
            if awake_again() > before {
                break;
            }
        }
    });
}
