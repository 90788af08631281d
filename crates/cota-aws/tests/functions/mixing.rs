//! One conversation over both ways in at once: a room, two sockets of one sender, a replay, connections that end.

use std::time::Duration;

use serde_json::json;

use super::support::{self, Bundles, Deployment, Plan, Record, Socket};

#[test]
fn a_room_hears_what_is_said_over_http_and_over_sockets() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let sockets = deployment.sockets.address();
        let mut first = Socket::join(&sockets, "ana", "room", &json!({})).await;
        let mut second = Socket::join(&sockets, "ana", "room", &json!({})).await;
        let mut other = Socket::join(&sockets, "bo", "room", &json!({})).await;
        let joined = first.until(|frame| frame["type"] == "user_joined").await.unwrap();
        assert_eq!((&joined["user_id"], &joined["room_info"]["user_count"]), (&json!("bo"), &json!(2)));

        second.say("room", "m1", "hello").await;
        for socket in [&mut first, &mut second, &mut other] {
            let own = socket.acknowledged("m1").await.unwrap();
            assert_eq!((&own["sender_id"], own.get("seq")), (&json!("ana"), None));
            let answer = socket.answer_to("m1").await.unwrap();
            assert_eq!(answer["text"], "Hello! I can tell you the weather. Which city and which day?");
        }
        let posted =
            deployment.say("room", &json!({"text": "what is the weather in Oslo tomorrow?", "sender_id": "cy", "message_id": "m2"})).await;
        for socket in [&mut first, &mut second, &mut other] {
            socket.acknowledged("m2").await.unwrap();
            let answer = socket.answer_to("m2").await.unwrap();
            assert_eq!(Some(answer["text"].as_str().unwrap()), posted.replies().first().map(String::as_str));
        }
        assert_eq!(Record::read(&deployment.address(), "room").await.answered_in_order(), ["m1", "m2"]);

        drop(other);
        let left = first.until(|frame| frame["type"] == "user_left").await.unwrap();
        assert_eq!((&left["user_id"], &left["room_info"]["users"]), (&json!("bo"), &json!(["ana"])));
    });
}

#[test]
fn who_comes_back_is_sent_what_it_missed() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        deployment.say("again", &json!({"text": "hello", "sender_id": "ana", "message_id": "m1"})).await;
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "again", &json!({"after": 0})).await;
        let own = socket.acknowledged("m1").await.unwrap();
        assert_eq!(own["seq"], 1, "a replay shows both sides with their places");
        let answer = socket.answer_to("m1").await.unwrap();
        assert_eq!(answer["seq"], 3);
    });
}

#[test]
fn a_frame_that_cannot_be_obeyed_is_answered_and_the_socket_stays_open() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "s", &json!({})).await;
        for (frame, code) in [
            ("{", "bad_json"),
            (r#"{"type":"dance"}"#, "unknown_type"),
            (r#"{"type":"text","session_id":"s","sender_id":"eve","text":"hi"}"#, "forbidden"),
        ] {
            socket.send_raw(frame).await;
            let error = socket.until(|frame| frame["type"] == "error").await.unwrap();
            assert_eq!(error["code"], code, "{frame}");
        }
        socket.send_bytes(b"\0\xff").await;
        assert_eq!(socket.until(|frame| frame["type"] == "error").await.unwrap()["code"], "bad_frame");
        socket.send(&json!({"type": "ping"})).await;
        socket.until(|frame| frame["type"] == "pong").await.unwrap();
    });
}

#[test]
fn a_socket_without_a_sender_is_refused_before_it_is_open() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let address = deployment.sockets.address();
        let tcp = tokio::net::TcpStream::connect(&address).await.unwrap();
        let refused = tokio_tungstenite::client_async(format!("ws://{address}/test"), tcp).await.unwrap_err();
        assert!(refused.to_string().contains("400"), "{refused}");
        assert!(deployment.sockets.connections().is_empty());
    });
}

#[test]
fn a_connection_that_is_gone_is_forgotten_and_holds_nobody_up() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let address = deployment.sockets.address();
        let mut stays = Socket::join(&address, "ana", "s", &json!({})).await;
        let goes = Socket::join(&address, "bo", "s", &json!({})).await;
        // Its end is not told: the event is lost, as it may be.
        deployment.sockets.forget_function();
        drop(goes);
        while deployment.sockets.connections().len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        deployment.sockets.serve(deployment.socket.clone());
        stays.say("s", "m1", "hello").await;
        stays.answer_to("m1").await.unwrap();
        let mut third = Socket::join(&address, "cy", "s", &json!({})).await;
        third.send(&json!({"type": "leave", "session_id": "s"})).await;
        third.until(|frame| frame["type"] == "leave_confirm").await.unwrap();
        let left = stays.until(|frame| frame["type"] == "user_left").await.unwrap();
        assert_eq!(left["room_info"]["users"], json!(["ana"]), "bo is no longer counted");
    });
}
