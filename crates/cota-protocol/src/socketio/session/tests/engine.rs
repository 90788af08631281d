//! Engine.IO: handshakes, packets, heartbeats, ends.

use serde_json::json;

use super::*;
use crate::socketio::AssemblyError;
use crate::socketio::engine::EngineError;

#[test]
fn a_handshake_over_polling() {
    let mut echo = Echo::new(Transport::Polling);
    let handshake: Json = serde_json::from_str(echo.polled().unwrap().strip_prefix('0').unwrap()).unwrap();
    let expected = json!({"sid": SID, "upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1024});
    assert_eq!(handshake, expected);
}

#[test]
fn a_handshake_over_a_socket() {
    let frames = Echo::new(Transport::WebSocket).frames();
    let expected = r#"0{"sid":"s3cr3t","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1024}"#;
    assert_eq!(frames, [Data::Text(expected.to_owned())]);
}

#[test]
fn packets_over_polling() {
    let mut echo = Echo::polling();
    assert_eq!(echo.post("40"), Ok(()));
    assert_eq!(echo.polled().unwrap(), "40{\"sid\":\"of /\"}\u{1e}42[\"auth\",{}]");
    assert_eq!(echo.polled(), None, "the request waits while there is nothing");
    assert_eq!(echo.post("42[\"a\",1]\u{1e}42[\"b\"]"), Ok(()));
    assert_eq!(echo.answer().unwrap(), "42[\"a-back\",1]\u{1e}42[\"b-back\"]");
    assert_eq!(echo.post("451-[\"c\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA=="), Ok(()));
    assert_eq!(echo.polled().unwrap(), "451-[\"c-back\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==");
}

#[test]
fn a_body_that_is_no_packets_ends_the_session() {
    let large = format!("4{}", "x".repeat(1024));
    for (body, closed) in [
        (b"abc".as_slice(), CloseReason::Engine(EngineError::UnknownType('a'))),
        (b"", CloseReason::Engine(EngineError::Empty)),
        (b"\xff", CloseReason::NotUtf8),
        (b"2", CloseReason::OutOfPlace),
        (b"5", CloseReason::OutOfPlace),
        (b"44{}", CloseReason::OutOfPlace),
        (b"40\x1e40", CloseReason::OutOfPlace),
        (b"bAQ", CloseReason::Packet(AssemblyError::Unannounced)),
        (large.as_bytes(), CloseReason::TooLarge(1024)),
    ] {
        let mut echo = Echo::polling();
        assert!(echo.session.receive_body(body, START).is_err(), "{closed}");
        echo.settle();
        assert_eq!(echo.closed, [closed]);
        assert_eq!(echo.poll(), Err(RequestError::UnknownSession));
        assert_eq!(echo.post("40"), Err(RequestError::UnknownSession));
        assert_eq!(echo.session.next_timeout(), None);
    }
}

#[test]
fn a_second_poll_ends_the_session() {
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    assert!(matches!(echo.poll(), Err(RequestError::BadRequest(_))));
    assert_eq!(echo.answer().unwrap(), "1");
    assert_eq!((echo.poll(), echo.closed), (Err(RequestError::UnknownSession), vec![CloseReason::SecondPoll]));
}

#[test]
fn a_poll_that_breaks_off_ends_the_session() {
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    echo.session.poll_gone();
    echo.settle();
    assert_eq!((echo.poll(), &echo.closed), (Err(RequestError::UnknownSession), &vec![CloseReason::PollGone]));
    let mut echo = Echo::polling();
    echo.session.poll_gone();
    assert_eq!(echo.polled(), None, "none waited");
    echo.session.begin_upgrade(echo.now).unwrap();
    assert_eq!(echo.say("2probe"), ["3probe"]);
    echo.session.poll_gone();
    echo.frame(Data::Text("5".to_owned()));
    assert!(echo.session.wants_socket() && echo.closed.is_empty(), "a client that knows its socket needs no poll");
}

#[test]
fn a_frame_that_is_no_packet_ends_the_session() {
    let mut echo = Echo::socket();
    assert!(echo.say("abc").is_empty());
    assert_eq!((echo.session.wants_socket(), echo.closed), (false, vec![CloseReason::Engine(EngineError::UnknownType('a'))]));
}

#[test]
fn a_heartbeat_over_polling() {
    let mut echo = Echo::polling();
    echo.post("40").unwrap();
    echo.polled();
    for _ in 0..3 {
        assert_eq!(echo.polled(), None);
        let due = echo.session.next_timeout().unwrap();
        assert_eq!(due.since(echo.now), 300);
        echo.pass(300);
        assert_eq!(echo.answer().unwrap(), "2");
        echo.pass(199);
        assert_eq!(echo.post("3"), Ok(()));
    }
}

#[test]
fn a_heartbeat_over_a_socket() {
    let mut echo = Echo::connected();
    for _ in 0..3 {
        echo.pass(300);
        assert_eq!(echo.frames(), [Data::Text("2".to_owned())]);
        echo.pass(199);
        assert!(echo.say("3").is_empty() && echo.closed.is_empty());
    }
}

#[test]
fn a_heartbeat_that_stops() {
    for mut echo in [Echo::polling(), Echo::connected()] {
        echo.pass(300);
        echo.pass(199);
        assert_eq!(echo.closed, []);
        echo.pass(1);
        assert_eq!(echo.closed, [CloseReason::PingTimeout]);
        assert_eq!(echo.poll(), Err(RequestError::UnknownSession));
        assert!(!echo.session.wants_socket());
    }
}

#[test]
fn a_client_ends_the_session() {
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    assert_eq!(echo.post("1"), Ok(()));
    assert_eq!(echo.answer().unwrap(), "6");
    assert_eq!((echo.poll(), echo.closed), (Err(RequestError::UnknownSession), vec![CloseReason::ByClient]));
    let mut echo = Echo::connected();
    assert!(echo.say("1").is_empty());
    assert_eq!((echo.session.wants_socket(), echo.closed), (false, vec![CloseReason::ByClient]));
    let mut echo = Echo::connected();
    echo.session.socket_gone();
    echo.settle();
    assert_eq!(echo.closed, [CloseReason::SocketGone]);
}

#[test]
fn a_server_ends_the_session() {
    let mut echo = Echo::polling();
    echo.post("40").unwrap();
    echo.session.close();
    assert!(echo.session.next_event().is_some_and(|event| event == Event::Closed(CloseReason::ByServer)));
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    echo.session.close();
    assert_eq!(echo.answer().unwrap(), "6", "a client that is told of the end may not come back");
    let mut echo = Echo::connected();
    echo.session.emit(&Namespace::main(), "last", Arguments::default());
    echo.session.close();
    assert_eq!(echo.frames(), [Data::Text("42[\"last\"]".to_owned())], "what waits is sent");
}
