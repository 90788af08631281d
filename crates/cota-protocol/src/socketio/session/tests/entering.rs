//! Socket.IO: namespaces, events, acknowledgements.

use super::*;
use crate::socketio::AssemblyError;

#[test]
fn entering_namespaces() {
    for (frame, answers) in [
        ("40", vec!["40{\"sid\":\"of /\"}", "42[\"auth\",{}]"]),
        ("40{\"token\":\"123\"}", vec!["40{\"sid\":\"of /\"}", "42[\"auth\",{\"token\":\"123\"}]"]),
        ("40/custom,", vec!["40/custom,{\"sid\":\"of /custom\"}", "42/custom,[\"auth\",{}]"]),
        ("40/custom,{\"token\":\"abc\"}", vec!["40/custom,{\"sid\":\"of /custom\"}", "42/custom,[\"auth\",{\"token\":\"abc\"}]"]),
        ("40/random", vec!["44/random,{\"message\":\"Invalid namespace\"}"]),
    ] {
        let mut echo = Echo::socket();
        assert_eq!(echo.say(frame), answers);
        assert!(echo.session.wants_socket());
    }
    let mut echo = Echo::socket();
    assert!(echo.say("4abc").is_empty());
    assert!(!echo.session.wants_socket(), "no packet at all ends it");
}

#[test]
fn what_is_no_packet_ends_the_connection() {
    for frame in ["4abc", "42{}", "42abc[\"message-with-ack\",1,\"2\",{\"3\":[false]}]"] {
        let mut echo = Echo::connected();
        assert!(echo.say(frame).is_empty());
        assert!(!echo.session.wants_socket() && matches!(echo.closed.as_slice(), [CloseReason::Packet(_)]), "{frame}: {:?}", echo.closed);
    }
}

#[test]
fn leaving_namespaces() {
    let mut echo = Echo::connected();
    echo.say("40/custom,");
    assert!(echo.say("41/custom,").is_empty());
    assert!(echo.say("42/custom,[\"message\"]").is_empty(), "who is not in it is not heard in it");
    assert_eq!(echo.say("42[\"message\",\"to main\"]"), ["42[\"message-back\",\"to main\"]"]);
    assert!(echo.say("41").is_empty());
    echo.pass(300);
    assert_eq!(echo.frames(), [Data::Text("2".to_owned())], "the connection lives on");
    assert_eq!(echo.say("40").len(), 2, "it may come back");
}

#[test]
fn a_client_that_enters_nothing_is_sent_away() {
    let settings = Settings { alone_ms: 100, ..settings() };
    let mut echo = Echo::socket();
    echo.session = Session::new(SID, Transport::WebSocket, settings, START);
    assert_eq!(echo.session.next_timeout(), Some(START.plus_ms(100)));
    echo.say("40/random");
    echo.pass(100);
    assert_eq!(echo.closed, [CloseReason::Alone]);
}

#[test]
fn there_is_an_end_to_namespaces() {
    let mut echo = Echo::connected();
    let mut session = Session::new(SID, Transport::WebSocket, settings(), START);
    for n in 0..9 {
        session.receive_frame(Data::Text(format!("40/{n},")), START);
    }
    echo.session = session;
    let asked = std::iter::from_fn(|| echo.session.next_event()).count();
    let Some(Data::Text(refusal)) = echo.frames().pop() else { panic!("the ninth was not refused") };
    assert_eq!((asked, refusal.starts_with("44/8,{\"message\":\"too many")), (8, true), "{refusal}");
}

#[test]
fn events_and_acknowledgements() {
    for (frame, answer) in [
        ("42[\"message\",1,\"2\",{\"3\":[true]}]", "42[\"message-back\",1,\"2\",{\"3\":[true]}]"),
        ("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]", "43456[1,\"2\",{\"3\":[false]}]"),
    ] {
        assert_eq!(Echo::connected().say(frame), [answer]);
    }
    assert!(Echo::connected().say("431[\"unasked\"]").is_empty());
}

#[test]
fn events_and_acknowledgements_with_attachments() {
    for (frame, answer) in [
        (
            "452-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
            "452-[\"message-back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
        ),
        (
            "452-789[\"message-with-ack\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
            "462-789[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
        ),
    ] {
        let mut echo = Echo::connected();
        assert!(echo.say(frame).is_empty());
        echo.frame(Data::Binary(vec![1, 2, 3]));
        echo.frame(Data::Binary(vec![4, 5, 6]));
        let expected = [Data::Text(answer.to_owned()), Data::Binary(vec![1, 2, 3]), Data::Binary(vec![4, 5, 6])];
        assert_eq!(echo.frames(), expected);
    }
    let mut echo = Echo::connected();
    echo.say("451-[\"message\",{\"_placeholder\":true,\"num\":0}]");
    echo.say("42[\"between\"]");
    assert_eq!(echo.closed, [CloseReason::Packet(AssemblyError::TextInstead)]);
}

#[test]
fn who_does_not_read_is_cut_off() {
    let mut echo = Echo::polling();
    echo.post("40").unwrap();
    let mut posts = 0;
    while echo.session.has_room() {
        echo.post("42[\"a\",\"0123456789\"]").unwrap();
        posts += 1;
    }
    assert!(posts > 10 && echo.closed.is_empty(), "there is room left for answers: {posts}");
    while echo.post("42[\"a\",\"0123456789\"]").is_ok() && echo.closed.is_empty() {}
    assert_eq!(echo.closed, [CloseReason::Unread]);
}
