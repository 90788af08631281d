//! What a client is told when something goes wrong: one table of codes for HTTP (problem+json, RFC 9457) and the frames.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

/// The media type of a problem in an HTTP answer.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The members that a problem has by itself; extra members never replace them.
const OWN_MEMBERS: [&str; 5] = ["type", "title", "status", "code", "detail"];

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $status:literal,)*) => {
        /// A stable error code. Clients may branch on it; it is never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of its HTTP status.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as clients read it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }
        }
    };
}

codes! {
    /// The body or frame is not valid JSON.
    BadJson "bad_json" 400,
    /// The request breaks the route's rules: a field is missing or has a wrong value.
    BadRequest "bad_request" 400,
    /// The frame breaks its type's rules: a field is missing or has a wrong value.
    BadFrame "bad_frame" 400,
    /// The frame's `type` is none that the channel knows.
    UnknownType "unknown_type" 400,
    /// The identity is a backend's, and the request does not say for whom.
    MissingSender "missing_sender" 400,
    /// No identity, or one that is not valid any more.
    Unauthorized "unauthorized" 401,
    /// The identity may not do this.
    Forbidden "forbidden" 403,
    /// There is no such route, conversation or message.
    NotFound "not_found" 404,
    /// The deployment has no bot of this name.
    UnknownBot "unknown_bot" 404,
    /// The route knows other methods.
    MethodNotAllowed "method_not_allowed" 405,
    /// None of the media types that the client accepts can be had.
    NotAcceptable "not_acceptable" 406,
    /// The message id was used before, with another text.
    IdReused "id_reused" 409,
    /// A turn is running, and the bot takes one message at a time.
    Busy "busy" 409,
    /// A later message took this one's place.
    Superseded "superseded" 409,
    /// The turn was cancelled on request.
    Cancelled "cancelled" 409,
    /// The body or frame is larger than allowed.
    PayloadTooLarge "payload_too_large" 413,
    /// The message's text is longer than allowed.
    TextTooLong "text_too_long" 413,
    /// The image is larger than allowed.
    ImageTooLarge "image_too_large" 413,
    /// The body is of another media type than the route takes.
    UnsupportedMediaType "unsupported_media_type" 415,
    /// Too many messages wait in this conversation.
    QueueFull "queue_full" 429,
    /// Too many requests, tokens or connections of this identity or address.
    RateLimited "rate_limited" 429,
    /// A fault of ours.
    Internal "internal" 500,
    /// The store does not answer.
    StoreUnavailable "store_unavailable" 503,
    /// Who callers are cannot be told at the moment: what proves it does not answer.
    IdentityUnavailable "identity_unavailable" 503,
    /// The server is about to end; another one takes over.
    ShuttingDown "shutting_down" 503,
    /// It took longer than the request may.
    Timeout "timeout" 504,
}

impl Code {
    /// The title of a problem with this code: the status in words, as RFC 9457 asks of problems without a type of their own.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            409 => "Conflict",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Internal Server Error",
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self == Self::Busy || matches!(self.status(), 429 | 503 | 504)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A text that is none of the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code")]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().find(|code| code.as_str() == text).copied().ok_or(UnknownCode)
    }
}

/// One error as a client is told it. It serializes to an RFC 9457 problem.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// What kind of error.
    pub code: Code,
    /// What happened here and how to mend it, without internals and secrets.
    pub detail: String,
    /// Further members, for example the `field` at fault. Members of the problem itself are not replaced.
    pub extra: Map<String, Json>,
}

impl Problem {
    /// A problem without further members.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), extra: Map::new() }
    }

    /// The same problem with one more member.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// In how many seconds the same may be tried again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.extra.get("retry_after").and_then(Json::as_u64)
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.code.status()
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status())?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("detail", &self.detail)?;
        for (name, value) in self.extra.iter().filter(|(name, _)| !OWN_MEMBERS.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_code_is_its_own_text_and_has_an_error_status_with_a_title() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!((400..600).contains(&code.status()), "{code}");
            assert_eq!(code.title() == "Internal Server Error", *code == Code::Internal, "{code} needs a title");
        }
        assert_eq!("Bad_json".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn codes_are_listed_in_the_order_of_their_status() {
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    }

    #[test]
    fn what_may_work_later_is_transient() {
        let transient: Vec<_> = Code::ALL.iter().filter(|code| code.is_transient()).map(|code| code.as_str()).collect();
        assert_eq!(
            transient,
            ["busy", "queue_full", "rate_limited", "store_unavailable", "identity_unavailable", "shutting_down", "timeout"]
        );
    }

    #[test]
    fn a_problem_keeps_its_own_members() {
        let problem =
            Problem::new(Code::QueueFull, "16 messages wait already").with("retry_after", 2).with("status", 200).with("code", "fine");
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            text,
            r#"{"title":"Too Many Requests","status":429,"code":"queue_full","detail":"16 messages wait already","retry_after":2}"#
        );
        assert_eq!(serde_json::to_value(Code::IdReused).unwrap(), json!("id_reused"));
    }
}
