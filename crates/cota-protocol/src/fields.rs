//! Reading a client's JSON object field by field, so that a refusal names the field and the way out.

use cota_core::ids::{InvalidName, SenderId};
use cota_core::limits::MESSAGE_BYTES;
use serde_json::{Map, Value as Json};

use crate::problem::{Code, Problem};

/// The receiver that stands for the bot; clients may also leave the receiver out.
const BOT: &str = "bot";

/// A JSON object that a client sent.
pub(crate) struct Fields(Map<String, Json>);

/// Why a client's object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no JSON at all.
    NotJson { line: usize, column: usize },
    /// It is JSON, but no object.
    NotObject,
    /// A field is missing or has a wrong value.
    Field { name: &'static str, fault: String },
    /// A field is longer than allowed.
    TooLong { code: Code, name: &'static str, bytes: usize, max: usize },
}

impl Fault {
    pub(crate) fn field(name: &'static str, fault: impl Into<String>) -> Self {
        Self::Field { name, fault: fault.into() }
    }

    /// The field at fault, if it is one field's fault.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Field { name, .. } | Self::TooLong { name, .. } => Some(name),
            Self::NotJson { .. } | Self::NotObject => None,
        }
    }

    /// The code for it; `otherwise` is for JSON that has the wrong shape.
    pub(crate) fn code(&self, otherwise: Code) -> Code {
        match self {
            Self::NotJson { .. } => Code::BadJson,
            Self::NotObject | Self::Field { .. } => otherwise,
            Self::TooLong { code, .. } => *code,
        }
    }

    /// The answer to a request whose body this is the fault of.
    pub(crate) fn problem(&self) -> Problem {
        let problem = Problem::new(self.code(Code::BadRequest), self.describe("the body"));
        match self.name() {
            Some(field) => problem.with("field", field),
            None => problem,
        }
    }

    /// What is wrong, where, and how to mend it. `what` is the thing sent: `the frame`, `the body`.
    pub(crate) fn describe(&self, what: &str) -> String {
        match self {
            Self::NotJson { line, column } => format!("{what} is not valid JSON, see line {line}, column {column}"),
            Self::NotObject => format!("{what} has to be a JSON object"),
            Self::Field { name, fault } => format!("`{name}` {fault}"),
            Self::TooLong { name, bytes, max, .. } => format!("`{name}` has {bytes} bytes of UTF-8, at most {max} are allowed"),
        }
    }
}

impl Fields {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Fault> {
        match serde_json::from_slice(json) {
            Ok(Json::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Fault::NotObject),
            Err(error) => Err(Fault::NotJson { line: error.line(), column: error.column() }),
        }
    }

    /// An object that was read already.
    pub(crate) fn of(object: Map<String, Json>) -> Self {
        Self(object)
    }

    /// A field that has to be text.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Fault> {
        self.optional_text(name)?.ok_or_else(|| Fault::field(name, "is missing, it has to be a string"))
    }

    /// A field that is text, or is absent or null.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Fault> {
        match self.present(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_kind(name, other, "a string")),
        }
    }

    /// The `text` of a message, within the limit of the turn contract.
    pub(crate) fn message_text(&self) -> Result<String, Fault> {
        self.message_text_in("text")
    }

    /// The text of a message that is called otherwise.
    pub(crate) fn message_text_in(&self, name: &'static str) -> Result<String, Fault> {
        let text = self.text(name)?;
        if text.len() > MESSAGE_BYTES {
            return Err(Fault::TooLong { code: Code::TextTooLong, name, bytes: text.len(), max: MESSAGE_BYTES });
        }
        Ok(text.to_owned())
    }

    /// A name that has to be there.
    pub(crate) fn name<T: TryFrom<String, Error = InvalidName>>(&self, name: &'static str) -> Result<T, Fault> {
        parse_name(name, self.text(name)?)
    }

    /// A name that may be absent.
    pub(crate) fn optional_name<T: TryFrom<String, Error = InvalidName>>(&self, name: &'static str) -> Result<Option<T>, Fault> {
        self.optional_text(name)?.map(|text| parse_name(name, text)).transpose()
    }

    /// Somebody other than the bot.
    pub(crate) fn receiver(&self) -> Result<Option<SenderId>, Fault> {
        Ok(self.optional_name("receiver")?.filter(|receiver: &SenderId| receiver.as_str() != BOT))
    }

    /// A flag; absent means no.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Fault> {
        match self.present(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(other) => Err(wrong_kind(name, other, "true or false")),
        }
    }

    /// A whole number from 0 on.
    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<u64>, Fault> {
        match self.present(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong_kind(name, value, "a whole number from 0 on")),
            },
        }
    }

    /// An object; absent means an empty one.
    pub(crate) fn object(&self, name: &'static str) -> Result<Map<String, Json>, Fault> {
        match self.present(name) {
            None => Ok(Map::new()),
            Some(Json::Object(fields)) => Ok(fields.clone()),
            Some(other) => Err(wrong_kind(name, other, "an object")),
        }
    }

    /// A list that has to be there.
    pub(crate) fn list(&self, name: &'static str) -> Result<&[Json], Fault> {
        match self.present(name) {
            Some(_) => self.optional_list(name),
            None => Err(Fault::field(name, "is missing, it has to be a list")),
        }
    }

    /// A list; absent means an empty one.
    pub(crate) fn optional_list(&self, name: &'static str) -> Result<&[Json], Fault> {
        match self.present(name) {
            None => Ok(&[]),
            Some(Json::Array(items)) => Ok(items),
            Some(other) => Err(wrong_kind(name, other, "a list")),
        }
    }

    fn present(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

fn parse_name<T: TryFrom<String, Error = InvalidName>>(name: &'static str, text: &str) -> Result<T, Fault> {
    T::try_from(text.to_owned()).map_err(|error| Fault::field(name, error.fault))
}

fn wrong_kind(name: &'static str, found: &Json, wanted: &str) -> Fault {
    let found = match found {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    Fault::field(name, format!("has to be {wanted}, not {found}"))
}
