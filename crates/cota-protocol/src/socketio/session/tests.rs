//! The cases of the published test suites of Engine.IO 4 and Socket.IO 5, spoken to an application that says back what it hears.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::socketio::AssemblyError;
use crate::socketio::engine::EngineError;

const START: Timestamp = Timestamp(1_000_000);
const SID: &str = "s3cr3t";

/// A connection with an application that says back what it hears.
struct Echo {
    session: Session,
    now: Timestamp,
    closed: Vec<CloseReason>,
    emitted: usize,
}

fn settings() -> Settings {
    Settings { ping_interval_ms: 300, ping_timeout_ms: 200, max_payload: 1024, max_buffer: 4096, ..Settings::default() }
}

impl Echo {
    fn new(transport: Transport) -> Self {
        Self { session: Session::new(SID, transport, settings(), START), now: START, closed: Vec::new(), emitted: 0 }
    }

    /// A polling client that has its handshake.
    fn polling() -> Self {
        let mut echo = Self::new(Transport::Polling);
        assert!(echo.poll().is_ok());
        assert!(echo.answer().unwrap().starts_with('0'));
        echo
    }

    /// A client on a socket that has its handshake.
    fn socket() -> Self {
        let mut echo = Self::new(Transport::WebSocket);
        assert_eq!(echo.frames().len(), 1);
        echo
    }

    /// A client on a socket that is in the main namespace.
    fn connected() -> Self {
        let mut echo = Self::socket();
        assert_eq!(echo.say("40"), ["40{\"sid\":\"of /\"}", "42[\"auth\",{}]"]);
        echo
    }

    fn poll(&mut self) -> Result<(), RequestError> {
        let polled = self.session.poll();
        self.settle();
        polled
    }

    fn post(&mut self, body: &str) -> Result<(), RequestError> {
        let posted = self.session.receive_body(body.as_bytes(), self.now);
        self.settle();
        posted
    }

    fn answer(&mut self) -> Option<String> {
        self.session.take_poll()
    }

    fn polled(&mut self) -> Option<String> {
        self.poll().unwrap();
        self.answer()
    }

    fn frame(&mut self, frame: Data) {
        self.session.receive_frame(frame, self.now);
        self.settle();
    }

    /// Sends a text frame; what comes back as text.
    fn say(&mut self, text: &str) -> Vec<String> {
        self.frame(Data::Text(text.to_owned()));
        let texts = self.frames().into_iter().map(|frame| match frame {
            Data::Text(text) => text,
            Data::Binary(bytes) => format!("{bytes:?}"),
        });
        texts.collect()
    }

    fn frames(&mut self) -> Vec<Data> {
        std::iter::from_fn(|| self.session.next_frame()).collect()
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.session.tick(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.session.next_event() {
            assert!(self.closed.is_empty(), "nothing comes after the end");
            match event {
                Event::Connecting { namespace, auth } if ["/", "/custom"].contains(&namespace.as_str()) => {
                    self.session.accept(&namespace, &format!("of {namespace}"));
                    self.session.emit(&namespace, "auth", vec![Json::Object(auth)].into());
                }
                Event::Connecting { namespace, .. } => self.session.refuse(&namespace, "Invalid namespace", None, self.now),
                Event::Emitted { namespace, name, arguments, ack } => {
                    self.emitted += 1;
                    match ack {
                        Some(id) => self.session.acknowledge(&namespace, id, arguments),
                        None => self.session.emit(&namespace, format!("{name}-back"), arguments),
                    }
                }
                Event::Left(_) => {}
                Event::Closed(reason) => self.closed.push(reason),
            }
        }
        assert_eq!(self.session.is_closed(), !self.closed.is_empty());
    }
}

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
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    echo.session.poll_gone();
    assert_eq!(echo.poll(), Ok(()), "one that broke off is none");
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

#[test]
fn a_change_to_a_socket() {
    let mut echo = Echo::polling();
    echo.post("40").unwrap();
    echo.polled();
    assert_eq!(echo.polled(), None);
    assert_eq!(echo.session.begin_upgrade(echo.now), Ok(()));
    assert!(echo.session.begin_upgrade(echo.now).is_err(), "one at a time");
    assert_eq!(echo.answer(), None, "the request waits until the socket is known to work");
    assert_eq!(echo.say("2probe"), ["3probe"]);
    assert_eq!(echo.answer().unwrap(), "6");
    assert_eq!(echo.post("42[\"a\"]"), Ok(()), "what is on its way still arrives");
    assert_eq!(echo.polled().unwrap(), "42[\"a-back\"]");
    assert_eq!(echo.polled().unwrap(), "6");
    echo.post("42[\"b\"]").unwrap();
    assert_eq!(echo.say("5"), ["42[\"b-back\"]"], "what nobody polled comes over the socket");
    assert_eq!(echo.say("42[\"c\"]"), ["42[\"c-back\"]"]);
    assert!(matches!(echo.poll(), Err(RequestError::BadRequest(_))));
    assert!(matches!(echo.post("42[\"d\"]"), Err(RequestError::BadRequest(_))));
    assert!(matches!(echo.session.begin_upgrade(echo.now), Err(RequestError::BadRequest(_))));
    assert_eq!((echo.emitted, echo.closed.len()), (3, 0));
}

#[test]
fn frames_of_a_change_may_come_at_once() {
    let mut echo = Echo::polling();
    assert_eq!(echo.polled(), None);
    echo.session.begin_upgrade(echo.now).unwrap();
    for text in ["2probe", "5", "40"] {
        echo.frame(Data::Text(text.to_owned()));
    }
    assert_eq!(echo.answer().unwrap(), "6", "the request that waits is let go");
    assert_eq!(echo.frames().len(), 3);
}

#[test]
fn a_change_that_fails_leaves_the_polling_alone() {
    for frames in [vec!["5"], vec!["2"], vec!["2probe", "2probe"], vec!["2probe", "42[\"a\"]"], vec!["abc"]] {
        let mut echo = Echo::polling();
        echo.session.begin_upgrade(echo.now).unwrap();
        frames.iter().for_each(|frame| echo.frame(Data::Text((*frame).to_owned())));
        assert!(!echo.session.wants_socket(), "{frames:?}");
        assert_eq!(echo.post("40"), Ok(()));
        assert!(echo.polled().unwrap().starts_with("40"));
    }
    let mut echo = Echo::new(Transport::Polling);
    echo.session = Session::new(SID, Transport::Polling, Settings::default(), START);
    echo.session.begin_upgrade(START).unwrap();
    assert_eq!(echo.session.next_timeout(), Some(START.plus_ms(10_000)));
    echo.pass(10_000);
    assert!(!echo.session.wants_socket());
    assert_eq!(echo.session.begin_upgrade(echo.now), Ok(()), "it may be tried again");
    echo.session.socket_gone();
    assert!(!echo.session.wants_socket() && !echo.session.is_closed());
}

#[test]
fn a_server_that_ends_lets_a_change_come_to_its_end() {
    let changing = |frames: &[&str]| {
        let mut echo = Echo::polling();
        assert_eq!(echo.polled(), None);
        echo.session.begin_upgrade(echo.now).unwrap();
        frames.iter().for_each(|frame| drop(echo.say(frame)));
        echo.session.close();
        echo.settle();
        assert_eq!(echo.answer().unwrap(), "6", "the request that waits is let go");
        echo
    };
    assert_eq!(changing(&[]).closed, [CloseReason::ByServer], "a client that waits for its socket still polls");
    let mut echo = changing(&["2probe"]);
    assert!(echo.session.wants_socket(), "one that knows its socket does not");
    assert_eq!(echo.polled().unwrap(), "6");
    assert!(echo.say("5").is_empty());
    assert_eq!((echo.session.wants_socket(), echo.closed), (false, vec![CloseReason::ByServer]));
    let mut echo = changing(&["2probe"]);
    echo.session.socket_gone();
    echo.settle();
    assert_eq!(echo.closed, [CloseReason::ByServer]);
    let mut echo = changing(&["2probe"]);
    echo.session.tick(echo.now.plus_ms(settings().upgrade_timeout_ms));
    echo.settle();
    assert_eq!(echo.closed.len(), 1);
}

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
fn leaving_namespaces() {
    let mut echo = Echo::connected();
    echo.say("40/custom,");
    assert!(echo.say("41/custom,").is_empty());
    assert!(echo.say("42/custom,[\"message\"]").is_empty(), "who is not in it is not heard in it");
    assert_eq!(echo.say("42[\"message\",\"to main\"]"), ["42[\"message-back\",\"to main\"]"]);
    assert!(echo.say("41").is_empty());
    assert!(echo.session.wants_socket());
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

/// What may happen to a connection.
#[derive(Clone, Debug)]
enum Input {
    Poll,
    PollGone,
    Answer,
    Post(String),
    Upgrade,
    Frame(Data),
    Frames,
    SocketGone,
    Close,
    Pass(u64),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let known = prop::sample::select(vec![
        "1",
        "2probe",
        "3",
        "40",
        "40/custom,",
        "41",
        "42[\"a\",1]",
        "421[\"b\"]",
        "451-[\"c\",{\"_placeholder\":true,\"num\":0}]",
        "5",
        "6",
        "bAQID",
        "40/no,",
    ]);
    let text = prop_oneof![9 => known.prop_map(str::to_owned), 1 => "[0-9a-z\\[\\]\"]{0,5}"];
    let body = prop::collection::vec(text.clone(), 1..4).prop_map(|packets| packets.join("\u{1e}"));
    let input = prop_oneof![
        Just(Input::Poll),
        Just(Input::PollGone),
        Just(Input::Answer),
        body.prop_map(Input::Post),
        Just(Input::Upgrade),
        text.prop_map(|text| Input::Frame(Data::Text(text))),
        Just(Input::Frame(Data::Binary(vec![1, 2, 3]))),
        Just(Input::Frames),
        Just(Input::SocketGone),
        Just(Input::Close),
        (0u64..250).prop_map(Input::Pass),
    ];
    prop::collection::vec(input, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_a_connection_keeps_its_rules(is_socket: bool, inputs in inputs()) {
        let mut echo = Echo::new(if is_socket { Transport::WebSocket } else { Transport::Polling });
        for input in inputs {
            let was_closed = echo.session.is_closed();
            match input {
                Input::Poll => {
                    let taken = echo.poll();
                    prop_assert!(!was_closed || taken == Err(RequestError::UnknownSession));
                }
                Input::PollGone => echo.session.poll_gone(),
                Input::Answer => {
                    if let Some(body) = echo.answer() {
                        prop_assert!(decode_payload(&body).all(|packet| packet.is_ok()));
                        prop_assert_eq!(echo.answer(), None, "a request has one answer");
                    }
                }
                Input::Post(body) => {
                    let taken = echo.post(&body);
                    prop_assert!(!was_closed || taken == Err(RequestError::UnknownSession));
                }
                Input::Upgrade => drop(echo.session.begin_upgrade(echo.now)),
                Input::Frame(frame) => echo.frame(frame),
                Input::Frames => drop(echo.frames()),
                Input::SocketGone => {
                    echo.session.socket_gone();
                    echo.settle();
                }
                Input::Close => {
                    echo.session.close();
                    echo.settle();
                }
                Input::Pass(ms) => echo.pass(ms),
            }
            prop_assert!(!echo.session.is_closed() || !echo.session.wants_socket());
            prop_assert_eq!(echo.session.next_timeout().is_none(), echo.session.is_closed());
            prop_assert!(echo.closed.len() <= 1);
        }
    }

    #[test]
    fn packets_mean_the_same_in_any_bodies(events in prop::collection::vec("[a-z]{1,4}", 1..8), cuts in prop::collection::vec(any::<bool>(), 8)) {
        let mut echo = Echo::polling();
        echo.post("40").unwrap();
        echo.polled();
        let mut body = String::new();
        for (event, cut) in events.iter().zip(cuts) {
            body.push_str(&format!("{}42[\"x-{event}\"]", if body.is_empty() { "" } else { "\u{1e}" }));
            if cut {
                prop_assert_eq!(echo.post(&std::mem::take(&mut body)), Ok(()));
            }
        }
        if !body.is_empty() {
            prop_assert_eq!(echo.post(&body), Ok(()));
        }
        let expected: Vec<String> = events.iter().map(|event| format!("42[\"x-{event}-back\"]")).collect();
        prop_assert_eq!(echo.polled(), Some(expected.join("\u{1e}")));
    }
}
