//! Whatever happens to a connection, in whatever order.

use proptest::prelude::*;

use super::*;

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
