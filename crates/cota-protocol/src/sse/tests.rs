use proptest::prelude::*;

use super::*;

fn decode(chunks: &[&[u8]]) -> Vec<Event> {
    let mut decoder = Decoder::new(1024);
    for chunk in chunks {
        decoder.feed(chunk);
    }
    drain(&mut decoder)
}

fn drain(decoder: &mut Decoder) -> Vec<Event> {
    std::iter::from_fn(|| decoder.next_event().unwrap()).collect()
}

#[test]
fn the_standard_format() {
    let cases: &[(&str, &[Event])] = &[
        ("data: a\n\n", &[Event::new("a")]),
        ("data:a\n\n", &[Event::new("a")]),
        ("data:  a\n\n", &[Event::new(" a")]),
        ("data: a\r\rdata: b\r\n\r\n", &[Event::new("a"), Event::new("b")]),
        ("data: a\ndata: b\n\n", &[Event::new("a\nb")]),
        ("data\n\n", &[Event::new("")]),
        ("data\ndata\n\n", &[Event::new("\n")]),
        ("data: a: b\n\n", &[Event::new("a: b")]),
        ("\u{FEFF}data: a\n\n", &[Event::new("a")]),
        ("data: a\n\n\u{FEFF}data: b\n\n", &[Event::new("a")]),
        (": comment\ndata: a\n:\n\n", &[Event::new("a")]),
        ("event: x\ndata: a\n\ndata: b\n\n", &[Event::new("a").named("x"), Event::new("b")]),
        ("event: x\nevent:\ndata: a\n\n", &[Event::new("a")]),
        ("event: x\n\ndata: a\n\n", &[Event::new("a")]),
        ("id: 7\ndata: a\n\ndata: b\n\n", &[Event::new("a").with_id("7"), Event::new("b")]),
        ("id: 7\nid: 8\0\ndata: a\n\n", &[Event::new("a").with_id("7")]),
        ("id\ndata: a\n\n", &[Event::new("a").with_id("")]),
        ("Data: a\nnonsense\n data: b\n\n", &[]),
        ("data: cut", &[]),
        ("data: cut\n", &[]),
    ];
    for (stream, events) in cases {
        assert_eq!(decode(&[stream.as_bytes()]), *events, "{stream:?}");
    }
}

#[test]
fn a_line_end_of_two_bytes_may_be_cut() {
    assert_eq!(decode(&[b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n"]), [Event::new("a\nb")]);
    assert_eq!(decode(&[b"data: a\r", b"\r", b"\ndata: b\n\n"]), [Event::new("a"), Event::new("b")]);
}

#[test]
fn broken_utf8_is_replaced() {
    assert_eq!(decode(&[b"data: \xF0\x9F", b"\x98\x80 \xFFx\n\n"]), [Event::new("\u{1F600} \u{FFFD}x")]);
}

#[test]
fn the_last_id_and_the_retry_time_outlive_their_event() {
    let mut decoder = Decoder::new(1024);
    decoder.feed(b"id: 7\nretry: 1500\ndata: a\n\nid: 8\n\nretry: 1s\nretry:\ndata: b\n\n");
    assert_eq!(drain(&mut decoder).iter().map(|event| event.retry).collect::<Vec<_>>(), [Some(1500), None]);
    assert_eq!((decoder.last_event_id(), decoder.retry()), ("8", Some(1500)));
}

#[test]
fn the_end_may_stand_for_the_empty_line() {
    for stream in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r"] {
        let mut decoder = Decoder::new(1024);
        decoder.feed(stream.as_bytes());
        decoder.end();
        assert_eq!(drain(&mut decoder), [Event::new("[DONE]")], "{stream:?}");
    }
}

#[test]
fn an_event_over_the_bound_is_an_error_after_the_events_before_it() {
    let too_large = Err(EventTooLarge { max_bytes: 16 });
    for rest in ["data: 0123456789abcdef", "data: 0123456789\ndata: 0123456789\n\n", ":0123456789abcdef"] {
        let mut decoder = Decoder::new(16);
        decoder.feed(format!("data: ok\n\n{rest}").as_bytes());
        decoder.feed(b"\n\ndata: late\n\n");
        assert_eq!(decoder.next_event(), Ok(Some(Event::new("ok"))), "{rest:?}");
        assert_eq!((decoder.next_event(), decoder.next_event()), (too_large.clone(), too_large.clone()), "{rest:?}");
    }
    let mut decoder = Decoder::new(16);
    decoder.feed("data: 0123456789\n\n".repeat(100).as_bytes());
    assert_eq!(drain(&mut decoder).len(), 100, "the bound is one event's");
}

#[test]
fn the_encoded_form() {
    let event = Event { retry: Some(500), ..Event::new("a\r\nb\rc\n").named("x\ndata: forged").with_id("1\r\n2\0") };
    assert_eq!(event.encode(), "retry: 500\nid: 12\nevent: xdata: forged\ndata: a\ndata: b\ndata: c\ndata: \n\n");
    assert_eq!(Event::new("").encode(), "data: \n\n");
    assert_eq!(comment("a\ndata: b"), ": a\n: data: b\n\n");
}

#[test]
fn comments_are_no_events() {
    let stream = [KEEP_ALIVE, &comment("data: a\r\ndata: b"), &Event::new("c").encode()].concat();
    assert_eq!(decode(&[stream.as_bytes()]), [Event::new("c")]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        id in prop::option::of("[^\r\n\0]{0,8}"),
        event in prop::option::of("[^\r\n]{1,8}"),
        data in "([ :a-ü]|\n){0,24}",
        retry: Option<u64>,
    ) {
        let event = Event { id, event, data, retry };
        prop_assert_eq!(decode(&[event.encode().as_bytes()]), [event]);
    }
}
