use serde_json::{Value as Json, json};

use super::engine::Transport;

/// The version of Engine.IO that requests have to name.
const VERSION: &str = "4";

/// What an HTTP request to the server's path wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'q> {
    /// A new session.
    Open(Transport),
    /// The packets that wait in the session of this `sid`, or the next ones.
    Poll(&'q str),
    /// To bring packets to the session.
    Post(&'q str),
    /// A WebSocket for the session.
    Upgrade(&'q str),
}

/// The methods that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Any other.
    Other,
}

/// Why a request was refused. Clients know the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The transport is none.
    #[error("Transport unknown")]
    UnknownTransport,
    /// There is no such session, or it has ended.
    #[error("Session ID unknown")]
    UnknownSession,
    /// A session is opened with GET.
    #[error("Bad handshake method")]
    HandshakeMethod,
    /// The session cannot take this now.
    #[error("Bad request: {0}")]
    BadRequest(String),
    /// The body is too large.
    #[error("Bad request: the body has more than {0} bytes")]
    TooLarge(usize),
    /// The caller may not open a session.
    #[error("{0}")]
    Forbidden(String),
    /// The caller has too many sessions.
    #[error("{message}")]
    RateLimited {
        /// Of what there are too many.
        message: String,
        /// In how many seconds to try again.
        retry_after: u64,
    },
    /// No place for one more session.
    #[error("too many sessions are open; try again later")]
    TooMany,
    /// The client speaks another version.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl<'q> Request<'q> {
    /// Reads the query of a request's address.
    ///
    /// # Errors
    /// When it asks for something that there is not.
    pub fn read(method: Method, query: Option<&'q str>) -> Result<Self, RequestError> {
        let query = query.unwrap_or_default();
        let value =
            |name: &str| query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value);
        let transport = match value("transport") {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            Some(_) | None => return Err(RequestError::UnknownTransport),
        };
        if value("EIO") != Some(VERSION) {
            return Err(RequestError::UnsupportedVersion);
        }
        match (value("sid"), transport, method) {
            (None, transport, Method::Get) => Ok(Self::Open(transport)),
            (None, _, Method::Post | Method::Other) => Err(RequestError::HandshakeMethod),
            (Some(sid), Transport::Polling, Method::Get) => Ok(Self::Poll(sid)),
            (Some(sid), Transport::Polling, Method::Post) => Ok(Self::Post(sid)),
            (Some(sid), Transport::WebSocket, Method::Get) => Ok(Self::Upgrade(sid)),
            (Some(_), Transport::Polling, Method::Other) | (Some(_), Transport::WebSocket, Method::Post | Method::Other) => {
                Err(RequestError::BadRequest("this transport does not take the method".to_owned()))
            }
        }
    }
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownTransport | Self::UnknownSession | Self::HandshakeMethod | Self::BadRequest(_) | Self::UnsupportedVersion => 400,
            Self::Forbidden(_) => 403,
            Self::TooLarge(_) => 413,
            Self::RateLimited { .. } => 429,
            Self::TooMany => 503,
        }
    }

    /// The body of the answer, as clients of Engine.IO know it.
    #[must_use]
    pub fn body(&self) -> Json {
        let code = match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::HandshakeMethod => 2,
            Self::BadRequest(_) | Self::TooLarge(_) => 3,
            Self::Forbidden(_) | Self::RateLimited { .. } | Self::TooMany => 4,
            Self::UnsupportedVersion => 5,
        };
        json!({ "code": code, "message": self.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_method_and_query() {
        let bad = |request| matches!(request, Err(RequestError::BadRequest(_)));
        for (method, query, request) in [
            (Method::Get, "EIO=4&transport=polling", Ok(Request::Open(Transport::Polling))),
            (Method::Get, "t=abc&transport=websocket&EIO=4", Ok(Request::Open(Transport::WebSocket))),
            (Method::Get, "EIO=4&transport=polling&sid=a_-1", Ok(Request::Poll("a_-1"))),
            (Method::Post, "EIO=4&transport=polling&sid=a", Ok(Request::Post("a"))),
            (Method::Get, "EIO=4&transport=websocket&sid=a", Ok(Request::Upgrade("a"))),
            (Method::Get, "transport=polling", Err(RequestError::UnsupportedVersion)),
            (Method::Get, "EIO=abc&transport=polling", Err(RequestError::UnsupportedVersion)),
            (Method::Get, "EIO=3&transport=websocket", Err(RequestError::UnsupportedVersion)),
            (Method::Get, "EIO=4", Err(RequestError::UnknownTransport)),
            (Method::Get, "EIO=4&transport=abc", Err(RequestError::UnknownTransport)),
            (Method::Get, "", Err(RequestError::UnknownTransport)),
            (Method::Post, "EIO=4&transport=polling", Err(RequestError::HandshakeMethod)),
            (Method::Other, "EIO=4&transport=polling", Err(RequestError::HandshakeMethod)),
        ] {
            assert_eq!(Request::read(method, Some(query)), request, "{method:?} {query}");
        }
        assert!(bad(Request::read(Method::Other, Some("EIO=4&transport=polling&sid=a"))));
        assert!(bad(Request::read(Method::Post, Some("EIO=4&transport=websocket&sid=a"))));
        assert_eq!(Request::read(Method::Get, None), Err(RequestError::UnknownTransport));
    }

    #[test]
    fn a_refusal_has_the_number_that_clients_know() {
        assert_eq!(RequestError::UnknownSession.body(), json!({"code": 1, "message": "Session ID unknown"}));
        assert_eq!(RequestError::UnsupportedVersion.body(), json!({"code": 5, "message": "Unsupported protocol version"}));
    }
}
