//! Engine.IO 4: packets in the frames of a WebSocket, and many of them in the body of a long poll.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// Between two packets of a body.
const SEPARATOR: char = '\u{1e}';
/// Before a binary message in a body.
const BINARY: char = 'b';
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// HTTP requests: one waits for packets, others bring some.
    Polling,
    /// Frames of a WebSocket.
    WebSocket,
}

/// What the server says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// The name of the session. Who knows it may speak in it.
    pub sid: String,
    /// Transports that the client may change to.
    pub upgrades: Vec<Transport>,
    /// Between two pings of the server, in milliseconds.
    pub ping_interval: u64,
    /// How long a pong may take, in milliseconds.
    pub ping_timeout: u64,
    /// Most bytes of a frame or body that the server takes.
    pub max_payload: usize,
}

/// Text or bytes: what a message carries, and what a frame of a WebSocket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// One packet of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The session begins.
    Open(Handshake),
    /// The session ends.
    Close,
    /// Is anybody there? A probe says `probe`.
    Ping(String),
    /// Somebody is, with what the ping said.
    Pong(String),
    /// Something for the layer above.
    Message(Data),
    /// The client has changed the transport.
    Upgrade,
    /// Nothing: it ends a poll.
    Noop,
}

/// Why something is no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is nothing at all.
    #[error("an Engine.IO packet is empty; it begins with its type, a digit from 0 to 6")]
    Empty,
    /// It begins with something else than a type.
    #[error("an Engine.IO packet begins with {0:?}; its type is a digit from 0 to 6")]
    UnknownType(char),
    /// The handshake is no JSON of the right shape.
    #[error(
        "the handshake of an Engine.IO packet cannot be read; it is a JSON object with sid, upgrades, pingInterval, pingTimeout and maxPayload"
    )]
    Handshake,
    /// Bytes in a body are not written as base64.
    #[error("a binary message in a body is not valid base64")]
    Base64,
}

impl Data {
    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Packet {
    /// Reads the text frame of a WebSocket. A binary frame is a message as it is. Data behind a packet that has none is skipped.
    ///
    /// # Errors
    /// When it is no packet.
    pub fn decode(text: &str) -> Result<Self, EngineError> {
        let mut rest = text.chars();
        let kind = rest.next().ok_or(EngineError::Empty)?;
        let data = rest.as_str();
        match kind {
            '0' => serde_json::from_slice(data.as_bytes()).map(Self::Open).map_err(|_| EngineError::Handshake),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(data.to_owned())),
            '3' => Ok(Self::Pong(data.to_owned())),
            '4' => Ok(Self::Message(Data::Text(data.to_owned()))),
            '5' => Ok(Self::Upgrade),
            '6' => Ok(Self::Noop),
            other => Err(EngineError::UnknownType(other)),
        }
    }

    /// The packet as a frame of a WebSocket.
    #[must_use]
    pub fn into_frame(self) -> Data {
        match self {
            Self::Message(Data::Binary(bytes)) => Data::Binary(bytes),
            Self::Open(_) | Self::Close | Self::Ping(_) | Self::Pong(_) | Self::Message(Data::Text(_)) | Self::Upgrade | Self::Noop => {
                let mut text = String::new();
                self.write(&mut text);
                Data::Text(text)
            }
        }
    }

    fn write(&self, text: &mut String) {
        let (kind, data) = match self {
            Self::Open(handshake) => ('0', serde_json::to_string(handshake).unwrap_or_default().into()),
            Self::Close => ('1', "".into()),
            Self::Ping(data) => ('2', data.as_str().into()),
            Self::Pong(data) => ('3', data.as_str().into()),
            Self::Message(Data::Text(data)) => ('4', data.as_str().into()),
            Self::Message(Data::Binary(bytes)) => (BINARY, std::borrow::Cow::from(BASE64.encode(bytes))),
            Self::Upgrade => ('5', "".into()),
            Self::Noop => ('6', "".into()),
        };
        text.push(kind);
        text.push_str(&data);
    }
}

/// Reads the body of a request of a polling client, packet by packet.
///
/// The iterator yields an error for each thing between two separators that is no packet; an empty body has one of them.
pub fn decode_payload(body: &str) -> impl Iterator<Item = Result<Packet, EngineError>> {
    body.split(SEPARATOR).map(|text| match text.strip_prefix(BINARY) {
        Some(base64) => BASE64.decode(base64).map(|bytes| Packet::Message(Data::Binary(bytes))).map_err(|_| EngineError::Base64),
        None => Packet::decode(text),
    })
}

/// Packets as the body of an answer to a polling client.
#[must_use]
pub fn encode_payload<'p>(packets: impl IntoIterator<Item = &'p Packet>) -> String {
    let mut body = String::new();
    for packet in packets {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        packet.write(&mut body);
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Packet {
        Packet::Message(Data::Text(text.to_owned()))
    }

    #[test]
    fn packets_as_the_protocol_writes_them() {
        let open = Handshake {
            sid: "lv_VI97HAXpY6yYWAAAC".to_owned(),
            upgrades: vec![Transport::WebSocket],
            ping_interval: 25_000,
            ping_timeout: 20_000,
            max_payload: 1_000_000,
        };
        let handshake =
            r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        for (packet, text) in [
            (Packet::Open(open), handshake),
            (Packet::Close, "1"),
            (Packet::Ping(String::new()), "2"),
            (Packet::Ping("probe".into()), "2probe"),
            (Packet::Pong(String::new()), "3"),
            (Packet::Pong("probe".into()), "3probe"),
            (message("hello"), "4hello"),
            (message("h€l\u{1f600}"), "4h€l\u{1f600}"),
            (message(""), "4"),
            (Packet::Upgrade, "5"),
            (Packet::Noop, "6"),
        ] {
            assert_eq!(Packet::decode(text), Ok(packet.clone()), "{text}");
            assert_eq!(packet.into_frame(), Data::Text(text.to_owned()));
        }
        let bytes = Packet::Message(Data::Binary(vec![1, 2, 3, 4]));
        assert_eq!(bytes.into_frame(), Data::Binary(vec![1, 2, 3, 4]), "a frame of bytes is a message as it is");
    }

    #[test]
    fn bodies_as_the_protocol_writes_them() {
        let bytes = Packet::Message(Data::Binary(vec![1, 2, 3, 4]));
        for (packets, body) in [
            (vec![message("hello")], "4hello"),
            (vec![message("test1"), message("test2"), message("test3")], "4test1\x1e4test2\x1e4test3"),
            (vec![message("hello"), bytes.clone()], "4hello\x1ebAQIDBA=="),
            (vec![Packet::Ping(String::new()), message("€")], "2\x1e4€"),
        ] {
            assert_eq!(decode_payload(body).collect::<Result<Vec<_>, _>>(), Ok(packets.clone()), "{body}");
            assert_eq!(encode_payload(&packets), body);
        }
        assert_eq!(decode_payload("bAQIDBA").collect::<Vec<_>>(), [Ok(bytes)], "padding may be left out");
        assert_eq!(decode_payload("1ignored").collect::<Vec<_>>(), [Ok(Packet::Close)]);
    }

    #[test]
    fn what_is_no_packet() {
        for (body, error) in [
            ("", EngineError::Empty),
            ("\x1e", EngineError::Empty),
            ("4a\x1e", EngineError::Empty),
            ("abc", EngineError::UnknownType('a')),
            ("7", EngineError::UnknownType('7')),
            ("é", EngineError::UnknownType('é')),
            ("0{}", EngineError::Handshake),
            ("0", EngineError::Handshake),
            ("b!", EngineError::Base64),
            ("bA", EngineError::Base64),
        ] {
            assert!(decode_payload(body).any(|packet| packet == Err(error.clone())), "{body:?}");
        }
    }

    fn packets() -> impl Strategy<Value = Vec<Packet>> {
        let text = "[^\u{1e}]{0,12}";
        let packet = prop_oneof![
            Just(Packet::Close),
            Just(Packet::Upgrade),
            Just(Packet::Noop),
            text.prop_map(Packet::Ping),
            text.prop_map(Packet::Pong),
            text.prop_map(|text| Packet::Message(Data::Text(text))),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Packet::Message(Data::Binary(bytes))),
        ];
        prop::collection::vec(packet, 1..6)
    }

    proptest! {
        #[test]
        fn a_body_is_read_as_it_was_written(packets in packets()) {
            prop_assert_eq!(decode_payload(&encode_payload(&packets)).collect::<Result<Vec<_>, _>>(), Ok(packets));
        }

        #[test]
        fn whatever_is_read_can_be_written(body in "[0-9b{}\":\u{1e}A-C=é]{0,40}") {
            let packets: Vec<_> = decode_payload(&body).filter_map(Result::ok).collect();
            if !packets.is_empty() {
                prop_assert_eq!(decode_payload(&encode_payload(&packets)).collect::<Result<Vec<_>, _>>(), Ok(packets));
            }
        }
    }
}
