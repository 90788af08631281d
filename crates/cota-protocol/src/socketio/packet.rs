use std::fmt;

use serde_json::{Map, Value as Json};

use super::namespace::Namespace;

/// Most binary attachments of one packet.
pub const MOST_ATTACHMENTS: usize = 10;
/// Digits of the largest whole number that a client in JavaScript can count to.
const MOST_DIGITS: usize = 16;
/// Stands in the arguments where an attachment belongs, beside its `num`.
const PLACEHOLDER: &str = "_placeholder";
/// Names that clients use for happenings of their own.
const RESERVED: [&str; 6] = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// One packet of Socket.IO.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Where it belongs.
    pub namespace: Namespace,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The client asks to enter, with what it knows itself by; or the server lets it in, with a `sid`.
    Connect(Option<Map<String, Json>>),
    /// Somebody leaves.
    Disconnect,
    /// Something happened.
    Event {
        /// What.
        name: String,
        /// The rest of it.
        arguments: Arguments,
        /// Under which number the sender wants an answer.
        ack: Option<AckId>,
    },
    /// The answer to an event.
    Ack {
        /// To which.
        id: AckId,
        /// What it says.
        arguments: Arguments,
    },
    /// The client may not enter. Mostly an object with a `message`.
    ConnectError(Json),
}

/// The number of an event whose sender wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckId(pub u64);

/// The arguments of an event or an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// The values. Where an attachment belongs there is an object `{_placeholder: true, num: N}`.
    pub values: Vec<Json>,
    /// The binary values, in the order of their `num`.
    pub attachments: Vec<Vec<u8>>,
}

/// Why a message of the transport is no packet of Socket.IO.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It does not begin with a type.
    #[error("a Socket.IO packet begins with its type, a digit from 0 to 6")]
    Type,
    /// The number of attachments is missing, or too large.
    #[error("a binary Socket.IO packet says how many attachments it has, at most {MOST_ATTACHMENTS}, and a `-` behind that")]
    Attachments,
    /// The namespace is not one.
    #[error("a namespace begins with `/`, has at most 128 bytes, no comma and no control character")]
    Namespace,
    /// The number of the answer is missing or too large.
    #[error("the number of a Socket.IO acknowledgement is missing or too large")]
    Ack,
    /// What follows is no JSON.
    #[error("the content of a Socket.IO packet is not valid JSON")]
    Json,
    /// What follows is not what belongs there.
    #[error("the content of this Socket.IO packet has to be {0}")]
    Content(&'static str),
    /// The event's name is a client's own.
    #[error("an event may not be called {0}: clients use that name for happenings of their own")]
    Reserved(&'static str),
    /// A placeholder stands for an attachment that there is none of.
    #[error("a placeholder of a binary Socket.IO packet has a `num` that no attachment has")]
    Placeholder,
}

impl Arguments {
    /// Whether there are bytes among them.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        !self.attachments.is_empty()
    }
}

impl From<Vec<Json>> for Arguments {
    fn from(values: Vec<Json>) -> Self {
        Self { values, attachments: Vec::new() }
    }
}

impl Packet {
    /// Reads a packet without its attachments, which come in messages of their own; their number is the second value.
    ///
    /// # Errors
    /// When it is no packet.
    pub fn decode(text: &str) -> Result<(Self, usize), PacketError> {
        let mut rest = text.chars();
        let kind = Kind::of(rest.next().ok_or(PacketError::Type)?)?;
        let mut rest = rest.as_str();
        let attachments = if kind.is_binary() { take_attachments(&mut rest)? } else { 0 };
        let namespace = take_namespace(&mut rest)?;
        let ack = take_ack(&mut rest)?;
        let content = if rest.is_empty() { None } else { Some(serde_json::from_slice(rest.as_bytes()).map_err(|_| PacketError::Json)?) };
        let body = kind.body(ack, content)?;
        if kind.is_binary() && !body.values().iter().all(|value| has_its_attachments(value, attachments)) {
            return Err(PacketError::Placeholder);
        }
        Ok((Self { namespace, body }, attachments))
    }

    /// The packet as text, and its attachments, each a binary message behind it.
    #[must_use]
    pub fn encode(self) -> (String, Vec<Vec<u8>>) {
        (self.to_string(), self.body.into_attachments())
    }
}

/// The text of the packet, without its attachments.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, ack) = match &self.body {
            Body::Connect(_) => (Kind::Connect, None),
            Body::Disconnect => (Kind::Disconnect, None),
            Body::Event { arguments, ack, .. } if arguments.is_binary() => (Kind::BinaryEvent, *ack),
            Body::Event { ack, .. } => (Kind::Event, *ack),
            Body::Ack { id, arguments } if arguments.is_binary() => (Kind::BinaryAck, Some(*id)),
            Body::Ack { id, .. } => (Kind::Ack, Some(*id)),
            Body::ConnectError(_) => (Kind::ConnectError, None),
        };
        write!(f, "{}", kind.digit())?;
        if kind.is_binary() {
            write!(f, "{}-", self.body.attachments().len())?;
        }
        if !self.namespace.is_main() {
            write!(f, "{},", self.namespace)?;
        }
        if let Some(AckId(id)) = ack {
            write!(f, "{id}")?;
        }
        match &self.body {
            Body::Connect(None) | Body::Disconnect => Ok(()),
            Body::Connect(Some(auth)) => write!(f, "{}", JsonText(auth)),
            Body::Event { name, arguments, .. } => {
                write!(f, "[{}", JsonText(name))?;
                arguments.values.iter().try_for_each(|value| write!(f, ",{value}"))?;
                f.write_str("]")
            }
            Body::Ack { arguments, .. } => write!(f, "{}", JsonText(&arguments.values)),
            Body::ConnectError(error) => write!(f, "{error}"),
        }
    }
}

impl Body {
    /// The attachments.
    #[must_use]
    pub fn attachments(&self) -> &[Vec<u8>] {
        match self {
            Self::Event { arguments, .. } | Self::Ack { arguments, .. } => &arguments.attachments,
            Self::Connect(_) | Self::Disconnect | Self::ConnectError(_) => &[],
        }
    }

    /// Adds one more attachment to a body that has arguments.
    pub(super) fn attach(&mut self, bytes: Vec<u8>) {
        match self {
            Self::Event { arguments, .. } | Self::Ack { arguments, .. } => arguments.attachments.push(bytes),
            Self::Connect(_) | Self::Disconnect | Self::ConnectError(_) => {}
        }
    }

    fn into_attachments(self) -> Vec<Vec<u8>> {
        match self {
            Self::Event { arguments, .. } | Self::Ack { arguments, .. } => arguments.attachments,
            Self::Connect(_) | Self::Disconnect | Self::ConnectError(_) => Vec::new(),
        }
    }

    fn values(&self) -> &[Json] {
        match self {
            Self::Event { arguments, .. } | Self::Ack { arguments, .. } => &arguments.values,
            Self::Connect(_) | Self::Disconnect | Self::ConnectError(_) => &[],
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl Kind {
    fn of(digit: char) -> Result<Self, PacketError> {
        match digit {
            '0' => Ok(Self::Connect),
            '1' => Ok(Self::Disconnect),
            '2' => Ok(Self::Event),
            '3' => Ok(Self::Ack),
            '4' => Ok(Self::ConnectError),
            '5' => Ok(Self::BinaryEvent),
            '6' => Ok(Self::BinaryAck),
            _ => Err(PacketError::Type),
        }
    }

    fn digit(self) -> char {
        match self {
            Self::Connect => '0',
            Self::Disconnect => '1',
            Self::Event => '2',
            Self::Ack => '3',
            Self::ConnectError => '4',
            Self::BinaryEvent => '5',
            Self::BinaryAck => '6',
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    fn body(self, ack: Option<AckId>, content: Option<Json>) -> Result<Body, PacketError> {
        match (self, content) {
            (Self::Connect, None) => Ok(Body::Connect(None)),
            (Self::Connect, Some(Json::Object(auth))) => Ok(Body::Connect(Some(auth))),
            (Self::Connect, Some(_)) => Err(PacketError::Content("an object, or nothing")),
            (Self::Disconnect, None) => Ok(Body::Disconnect),
            (Self::Disconnect, Some(_)) => Err(PacketError::Content("nothing")),
            (Self::Event | Self::BinaryEvent, Some(Json::Array(values))) => event(values, ack),
            (Self::Event | Self::BinaryEvent, _) => Err(PacketError::Content("a list that begins with the event's name")),
            (Self::Ack | Self::BinaryAck, Some(Json::Array(values))) => {
                Ok(Body::Ack { id: ack.ok_or(PacketError::Ack)?, arguments: values.into() })
            }
            (Self::Ack | Self::BinaryAck, _) => Err(PacketError::Content("a list")),
            (Self::ConnectError, Some(error @ (Json::Object(_) | Json::String(_)))) => Ok(Body::ConnectError(error)),
            (Self::ConnectError, _) => Err(PacketError::Content("an object or a string")),
        }
    }
}

fn event(mut values: Vec<Json>, ack: Option<AckId>) -> Result<Body, PacketError> {
    let first = if values.is_empty() { None } else { Some(values.remove(0)) };
    let Some(Json::String(name)) = first else {
        return Err(PacketError::Content("a list that begins with the event's name"));
    };
    if let Some(reserved) = RESERVED.into_iter().find(|reserved| *reserved == name) {
        return Err(PacketError::Reserved(reserved));
    }
    Ok(Body::Event { name, arguments: values.into(), ack })
}

fn take_attachments(rest: &mut &str) -> Result<usize, PacketError> {
    let (count, behind) = rest.split_once('-').ok_or(PacketError::Attachments)?;
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| is_number && *count <= MOST_ATTACHMENTS).ok_or(PacketError::Attachments)?;
    *rest = behind;
    Ok(count)
}

fn take_namespace(rest: &mut &str) -> Result<Namespace, PacketError> {
    if !rest.starts_with('/') {
        return Ok(Namespace::main());
    }
    let (name, behind) = rest.split_once(',').unwrap_or((rest, ""));
    *rest = behind;
    Namespace::new(name)
}

fn take_ack(rest: &mut &str) -> Result<Option<AckId>, PacketError> {
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.strip_suffix(behind).unwrap_or_default();
    if digits.is_empty() {
        return Ok(None);
    }
    if digits.len() > MOST_DIGITS {
        return Err(PacketError::Ack);
    }
    *rest = behind;
    digits.parse().map(|id| Some(AckId(id))).map_err(|_| PacketError::Ack)
}

/// Whether every placeholder in the value stands for one of so many attachments.
fn has_its_attachments(value: &Json, attachments: usize) -> bool {
    match value {
        Json::Array(values) => values.iter().all(|value| has_its_attachments(value, attachments)),
        Json::Object(fields) if fields.get(PLACEHOLDER) == Some(&Json::Bool(true)) => {
            let number = fields.get("num").and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok());
            number.is_some_and(|number| number < attachments)
        }
        Json::Object(fields) => fields.values().all(|value| has_its_attachments(value, attachments)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// A value as JSON text.
struct JsonText<'v, T>(&'v T);

impl<T: serde::Serialize> fmt::Display for JsonText<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn packet(namespace: &str, body: Body) -> Packet {
        Packet { namespace: Namespace::new(namespace).unwrap(), body }
    }

    fn event(name: &str, values: Json, ack: Option<u64>) -> Body {
        let arguments = values.as_array().unwrap().clone().into();
        Body::Event { name: name.to_owned(), arguments, ack: ack.map(AckId) }
    }

    fn object(value: Json) -> Option<Map<String, Json>> {
        value.as_object().cloned()
    }

    #[test]
    fn packets_as_the_protocol_writes_them() {
        for (text, expected) in [
            ("0", packet("/", Body::Connect(None))),
            (r#"0{"token":"123"}"#, packet("/", Body::Connect(object(json!({"token": "123"}))))),
            (r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#, packet("/admin", Body::Connect(object(json!({"sid": "oSO0OpakMV_3jnilAAAA"}))))),
            ("1/admin,", packet("/admin", Body::Disconnect)),
            (r#"2["hello",1]"#, packet("/", event("hello", json!([1]), None))),
            (r#"2/admin,456["project:delete",123]"#, packet("/admin", event("project:delete", json!([123]), Some(456)))),
            (r#"2["message",1,"2",{"3":[true]}]"#, packet("/", event("message", json!([1, "2", {"3": [true]}]), None))),
            ("3/admin,456[]", packet("/admin", Body::Ack { id: AckId(456), arguments: Arguments::default() })),
            (r#"313["bar"]"#, packet("/", Body::Ack { id: AckId(13), arguments: vec![json!("bar")].into() })),
            (r#"4/admin,{"message":"Not authorized"}"#, packet("/admin", Body::ConnectError(json!({"message": "Not authorized"})))),
            (r#"4"no""#, packet("/", Body::ConnectError(json!("no")))),
            (r#"2["a",{"_placeholder":true,"num":7}]"#, packet("/", event("a", json!([{"_placeholder": true, "num": 7}]), None))),
        ] {
            assert_eq!(Packet::decode(text), Ok((expected.clone(), 0)), "{text}");
            assert_eq!(expected.encode(), (text.to_owned(), Vec::new()));
        }
        assert_eq!(Packet::decode("1/admin").unwrap().0, packet("/admin", Body::Disconnect), "the comma may be left out at the end");
        assert_eq!(Packet::decode("0/").unwrap().0, packet("/", Body::Connect(None)));
    }

    #[test]
    fn packets_with_attachments() {
        let placeholder = json!([{"_placeholder": true, "num": 0}]);
        for (text, expected) in [
            (r#"51-["hello",{"_placeholder":true,"num":0}]"#, packet("/", event("hello", placeholder.clone(), None))),
            (r#"51-/admin,456["a",{"_placeholder":true,"num":0}]"#, packet("/admin", event("a", placeholder, Some(456)))),
            (
                r#"61-/admin,456[{"b":{"_placeholder":true,"num":0}}]"#,
                packet("/admin", Body::Ack { id: AckId(456), arguments: vec![json!({"b": {"_placeholder": true, "num": 0}})].into() }),
            ),
        ] {
            let (mut read, count) = Packet::decode(text).unwrap();
            assert_eq!((&read, count), (&expected, 1), "{text}");
            read.body.attach(vec![1, 2]);
            assert_eq!(read.encode(), (text.to_owned(), vec![vec![1, 2]]));
        }
    }

    #[test]
    fn what_is_no_packet() {
        let too_many = format!(r#"5{}-["a"]"#, MOST_ATTACHMENTS + 1);
        let long_name = format!("0/{},", "a".repeat(128));
        for (text, error) in [
            ("", PacketError::Type),
            ("abc", PacketError::Type),
            ("7", PacketError::Type),
            ("é", PacketError::Type),
            (r#"5["a"]"#, PacketError::Attachments),
            (r#"5-["a"]"#, PacketError::Attachments),
            (r#"5+1-["a"]"#, PacketError::Attachments),
            (&too_many, PacketError::Attachments),
            (&long_name, PacketError::Namespace),
            ("0/a\u{0}b,", PacketError::Namespace),
            (r#"299999999999999999["a"]"#, PacketError::Ack),
            (r#"3["a"]"#, PacketError::Ack),
            ("0[]", PacketError::Content("an object, or nothing")),
            ("1[]", PacketError::Content("nothing")),
            ("2", PacketError::Content("a list that begins with the event's name")),
            ("2{}", PacketError::Content("a list that begins with the event's name")),
            ("2[]", PacketError::Content("a list that begins with the event's name")),
            ("2[1]", PacketError::Content("a list that begins with the event's name")),
            ("31", PacketError::Content("a list")),
            ("4[]", PacketError::Content("an object or a string")),
            ("2[\"a\"", PacketError::Json),
            (r#"2["a"]x"#, PacketError::Json),
            (r#"2["connect"]"#, PacketError::Reserved("connect")),
            (r#"2["disconnecting",1]"#, PacketError::Reserved("disconnecting")),
            (r#"51-["a",{"_placeholder":true,"num":1}]"#, PacketError::Placeholder),
            (r#"51-["a",[{"x":{"_placeholder":true}}]]"#, PacketError::Placeholder),
        ] {
            assert_eq!(Packet::decode(text), Err(error), "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Vec<Json>> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            ".{0,8}".prop_map(Json::from),
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                prop::collection::vec(("[a-z]{0,4}", inner), 0..3).prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        });
        prop::collection::vec(value, 0..4)
    }

    fn arguments() -> impl Strategy<Value = Arguments> {
        let attachments = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..3);
        (values(), attachments).prop_map(|(mut values, attachments)| {
            values.extend((0..attachments.len()).map(|num| json!({"_placeholder": true, "num": num})));
            Arguments { values, attachments }
        })
    }

    fn packets() -> impl Strategy<Value = Packet> {
        let name = ".{0,8}".prop_filter("a client's own name", |name| !RESERVED.contains(&name.as_str()));
        let ack = 0..10u64.pow(16);
        let body = prop_oneof![
            values().prop_map(|values| Body::Connect(values.first().and_then(Json::as_object).cloned())),
            Just(Body::Disconnect),
            (name, arguments(), prop::option::of(ack.clone())).prop_map(|(name, arguments, ack)| Body::Event {
                name,
                arguments,
                ack: ack.map(AckId)
            }),
            (ack, arguments()).prop_map(|(id, arguments)| Body::Ack { id: AckId(id), arguments }),
            ".{0,8}".prop_map(|message| Body::ConnectError(json!({ "message": message }))),
        ];
        ("/[a-z0-9?=]{0,8}", body).prop_map(|(namespace, body)| packet(&namespace, body))
    }

    proptest! {
        #[test]
        fn a_packet_is_read_as_it_was_written(packet in packets()) {
            let (text, attachments) = packet.clone().encode();
            let (mut read, count) = Packet::decode(&text).unwrap();
            prop_assert_eq!(count, attachments.len());
            attachments.into_iter().for_each(|bytes| read.body.attach(bytes));
            prop_assert_eq!(read, packet);
        }

        #[test]
        fn any_text_is_a_packet_or_an_error(text in "[0-9]{0,4}(/[a-z]{0,3},?)?[0-9]{0,3}[\\[\\]{}\",:a-z0-9]{0,12}") {
            if let Ok((packet, count)) = Packet::decode(&text) {
                prop_assert!(count <= MOST_ATTACHMENTS);
                let (again, _) = Packet::decode(&packet.to_string()).unwrap();
                prop_assert_eq!(again, packet);
            }
        }
    }
}
