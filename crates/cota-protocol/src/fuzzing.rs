//! The fuzzed functions: what holds for any bytes at all. The property tests and the fuzz targets run the same ones.

use cota_core::ids::Timestamp;
use cota_core::limits::{IMAGE_BYTES, MESSAGE_BYTES};

use crate::openai::{self, Accumulator, ApiError};
use crate::rest::MessageRequest;
use crate::socketio::engine::{Data, Transport, decode_payload, encode_payload};
use crate::socketio::{self, MOST_ATTACHMENTS, Session, Settings};
use crate::sse::{Decoder, Event, EventTooLarge};
use crate::websocket::{ClientFrame, FRAME_BYTES};

const MAX_EVENT_BYTES: usize = 64;
const MAX_ANSWER_BYTES: usize = 256;

/// A stream of events: the first byte says how it is cut. However that is, the events are the same, and they survive being
/// written and read once more.
pub fn sse(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let whole = events([stream]);
    assert_eq!(whole, events(stream.chunks(usize::from(*cut % 8) + 1)), "the chunks changed the events");
    for event in &whole.0 {
        assert!(event.data.len() <= 3 * MAX_EVENT_BYTES, "an event is over the bound");
        let mut again = Decoder::new(usize::MAX);
        again.feed(event.encode().as_bytes());
        assert_eq!(again.next_event(), Ok(Some(event.clone())), "an event was changed by being written and read");
    }
}

/// A client's frame, and the same bytes as the body of a message: what is accepted keeps the limits.
pub fn client_frame(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match ClientFrame::decode(&text) {
        Ok(ClientFrame::Text(frame)) => assert!(frame.text.len() <= MESSAGE_BYTES, "a text is over the limit"),
        Ok(ClientFrame::Image(frame)) => assert!(frame.image.len() <= IMAGE_BYTES, "an image is over the limit"),
        Ok(ClientFrame::Join(_) | ClientFrame::Leave(_) | ClientFrame::Ping) => {
            assert!(text.len() <= FRAME_BYTES, "a frame is over the limit");
        }
        Err(error) => {
            assert!(!error.message.is_empty(), "a frame was refused without a reason");
            assert!(error.answer().encode().contains("\"error\""), "a refusal is no error frame");
        }
    }
    if let Ok(request) = MessageRequest::decode(data) {
        assert!(request.text.len() <= MESSAGE_BYTES, "a text is over the limit");
    }
}

/// An LLM server's whole answer, in every format and as an error.
pub fn completion(data: &[u8]) {
    for answer in [openai::decode_completion(data), openai::custom::decode(data)] {
        match answer {
            Ok(answer) => {
                assert!(answer.tool_calls.iter().all(|call| !call.id.is_empty() && !call.arguments.is_empty()), "a call without an id");
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "an error of several lines"),
        }
    }
    assert!(ApiError::decode(data).message.chars().count() <= 500, "an error's message is over the bound");
}

/// An LLM server's stream, bytes and all: its pieces make up the answer, within the bound.
pub fn stream(data: &[u8]) {
    let mut decoder = Decoder::new(MAX_ANSWER_BYTES);
    let mut answer = Accumulator::new(MAX_ANSWER_BYTES);
    let mut pieces = String::new();
    decoder.feed(data);
    decoder.end();
    while let Ok(Some(event)) = decoder.next_event() {
        match answer.feed(&event.data) {
            Ok(piece) => pieces.push_str(&piece.unwrap_or_default()),
            Err(_) => return,
        }
    }
    assert!(pieces.len() <= MAX_ANSWER_BYTES, "an answer is over the bound");
    if let Ok(completion) = answer.finish() {
        assert_eq!(completion.content.unwrap_or_default(), pieces, "the pieces are not the answer");
    }
}

/// What a client of Socket.IO sends, as a body and as a frame: what is read can be written, and a connection ends once at most.
pub fn socketio(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let packets: Vec<_> = decode_payload(&text).filter_map(Result::ok).collect();
    if !packets.is_empty() {
        let again = decode_payload(&encode_payload(&packets)).collect::<Result<Vec<_>, _>>();
        assert_eq!(again, Ok(packets), "a body was changed by being written and read");
    }
    if let Ok((packet, attachments)) = socketio::Packet::decode(&text) {
        assert!(attachments <= MOST_ATTACHMENTS, "a packet has too many attachments");
        let again = socketio::Packet::decode(&packet.to_string()).map(|(packet, _)| packet);
        assert!(attachments > 0 || again == Ok(packet), "a packet was changed by being written and read");
    }
    for transport in [Transport::Polling, Transport::WebSocket] {
        let mut session = Session::new("sid", transport, Settings::default(), Timestamp(0));
        let refused = session.receive_body(data, Timestamp(0)).is_err();
        assert!(refused || transport == Transport::Polling, "a body was taken beside a socket");
        session.receive_frame(Data::Text(text.clone().into_owned()), Timestamp(0));
        session.receive_frame(Data::Binary(data.to_vec()), Timestamp(0));
        let events: Vec<_> = std::iter::from_fn(|| session.next_event()).collect();
        let ends = events.iter().filter(|event| matches!(event, socketio::Event::Closed(_))).count();
        assert_eq!(ends, usize::from(session.is_closed()), "a connection ends once, and says so");
    }
}

fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Result<(), EventTooLarge>) {
    let mut decoder = Decoder::new(MAX_EVENT_BYTES);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
    }
    (events, Ok(()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Bytes of which many mean something: fields and line ends, broken off and mixed with noise.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            &b"data: "[..],
            b"data",
            b":",
            b"event:x",
            b"id: 7",
            b"id: \0",
            b"retry: 10",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\xEF\xBB\xBF",
            b"\xF0\x9F",
            b" ",
            b"[DONE]",
            b"data: {\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}\n\n",
            b"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
            b"data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
            b"data: {\"error\":\"no\"}\n\n",
        ])
        .prop_map(<[u8]>::to_vec);
        let noise = prop::collection::vec(any::<u8>(), 0..12);
        prop::collection::vec(prop_oneof![4 => known, 1 => noise], 0..24).prop_map(|parts| parts.concat())
    }

    /// JSON made of the names that the decoders look for, with values of any kind behind them.
    fn json() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i32>().prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(|n| n.to_string()),
            prop::sample::select(vec!["", "text", "image", "join", "ping", "stop", "bot", "https://a/b", "a\u{0}", "ü"])
                .prop_map(|s| serde_json::Value::from(s).to_string()),
        ];
        let name = prop::sample::select(vec![
            "type",
            "session_id",
            "sender_id",
            "text",
            "image",
            "message_id",
            "receiver",
            "metadata",
            "after",
            "stream",
            "token",
            "choices",
            "message",
            "content",
            "tool_calls",
            "function",
            "function_call",
            "name",
            "arguments",
            "id",
            "index",
            "usage",
            "prompt_tokens",
            "finish_reason",
            "error",
            "errors",
            "detail",
            "code",
            "delta",
        ]);
        leaf.prop_recursive(6, 48, 5, move |inner| {
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
                3 => prop::collection::vec((name.clone(), inner), 0..5).prop_map(|fields| {
                    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
        .prop_map(String::into_bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_stream_means_the_same_in_any_chunks(cut: u8, stream in stream()) {
            super::sse(&[&[cut], stream.as_slice()].concat());
            super::stream(&stream);
        }

        #[test]
        fn any_json_is_an_answer_or_an_error(json in json()) {
            super::completion(&json);
            super::client_frame(&json);
            super::socketio(&[b"42[\"message\",", json.as_slice(), b"]"].concat());
            super::socketio(&[b"2[\"message\",", json.as_slice(), b"]"].concat());
            super::stream(&[b"data: ", json.as_slice(), b"\n\ndata: [DONE]\n\n"].concat());
        }

        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            super::sse(&bytes);
            super::stream(&bytes);
            super::completion(&bytes);
            super::client_frame(&bytes);
            super::socketio(&bytes);
        }
    }
}
