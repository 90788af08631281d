//! A client that changes from polling to a WebSocket.

use super::*;

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
