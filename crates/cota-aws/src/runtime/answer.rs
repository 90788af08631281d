use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use http::header::{CONTENT_TYPE, SET_COOKIE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// What tells Lambda that an answer comes in pieces, and as HTTP.
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
const STREAMING: HeaderValue = HeaderValue::from_static("streaming");
const INTEGRATION: HeaderValue = HeaderValue::from_static("application/vnd.awslambda.http-integration-response");
/// What stands between the head of a streamed answer and its body.
const DELIMITER: [u8; 8] = [0; 8];
/// The type of a body that names none.
const ANYTHING: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// What an error is: in a header where there is no answer, in trailers where it breaks off.
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const STREAM_ERROR: HeaderValue = HeaderValue::from_static("Runtime.StreamError");

/// A body as it goes out.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// The pieces of a streamed body.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// What an event is answered with.
pub(crate) enum Answer {
    /// JSON, in one piece.
    Whole(Bytes),
    /// An HTTP response, piece by piece.
    Streamed { status: StatusCode, headers: HeaderMap, pieces: Pieces },
}

impl Answer {
    /// This as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self::Whole(serde_json::to_vec(value)?.into()))
    }

    /// The request that brings it to Lambda.
    pub(super) fn into_parts(self) -> Result<(HeaderMap, Body), Failure> {
        match self {
            Self::Whole(json) => Ok((HeaderMap::new(), whole(json))),
            Self::Streamed { status, headers, pieces } => {
                let mut parts = HeaderMap::from_iter([(CONTENT_TYPE, INTEGRATION), (RESPONSE_MODE, STREAMING)]);
                parts.append(TRAILER, ERROR_TYPE.into());
                parts.append(TRAILER, ERROR_BODY.into());
                Ok((parts, streamed(status, headers, pieces)?))
            }
        }
    }
}

/// The request that tells Lambda of a failure.
pub(super) fn refusal(failure: &Failure) -> (HeaderMap, Body) {
    let said = json!({"errorType": failure.kind(), "errorMessage": failure.to_string()});
    (HeaderMap::from_iter([(ERROR_TYPE, HeaderValue::from_static(failure.kind()))]), whole(said.to_string().into()))
}

pub(super) fn empty() -> Body {
    whole(Bytes::new())
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// The head of a streamed answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'h> {
    status_code: u16,
    headers: BTreeMap<&'h str, String>,
    cookies: Vec<&'h str>,
}

impl<'h> Head<'h> {
    /// Several values of a name are one, as HTTP joins them; cookies alone cannot be joined.
    fn of(status: StatusCode, headers: &'h HeaderMap) -> Self {
        let mut head = Self { status_code: status.as_u16(), headers: BTreeMap::new(), cookies: Vec::new() };
        for (name, value) in headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?))) {
            if name == SET_COOKIE {
                head.cookies.push(value);
            } else {
                let joined = head.headers.entry(name.as_str()).or_default();
                joined.push_str(if joined.is_empty() { "" } else { ", " });
                joined.push_str(value);
            }
        }
        head
    }
}

/// The body of a streamed answer: its head as JSON, the delimiter, its pieces.
fn streamed(status: StatusCode, mut headers: HeaderMap, pieces: Pieces) -> serde_json::Result<Body> {
    headers.entry(CONTENT_TYPE).or_insert(ANYTHING);
    let mut head = serde_json::to_vec(&Head::of(status, &headers))?;
    head.extend(DELIMITER);
    let head = stream::once(future::ready(Frame::data(Bytes::from(head))));
    Ok(StreamBody::new(head.chain(frames(pieces)).map(Ok)).boxed_unsync())
}

/// The pieces as they are sent. Whatever breaks off ends with trailers, after all else that the stream waits for.
fn frames(pieces: Pieces) -> impl Stream<Item = Frame<Bytes>> + Send {
    stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.next().await? {
            Ok(bytes) => Some((Frame::data(bytes), Some(pieces))),
            Err(error) => {
                tracing::error!(%error, "an answer broke off");
                while pieces.next().await.is_some() {}
                Some((Frame::trailers(trailers(&error)), None))
            }
        }
    })
}

fn trailers(error: &Error) -> HeaderMap {
    let said = STANDARD.encode(error.to_string());
    let said = HeaderValue::try_from(said).unwrap_or(HeaderValue::from_static(""));
    HeaderMap::from_iter([(ERROR_TYPE, STREAM_ERROR), (ERROR_BODY, said)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_value_for_each_name_and_its_cookies_apart() {
        let value = HeaderValue::from_static;
        let headers = HeaderMap::from_iter(
            [("vary", "origin"), ("set-cookie", "a=1"), ("vary", "accept"), ("set-cookie", "b=2"), ("x-y", "z")]
                .map(|(name, text)| (HeaderName::from_static(name), value(text))),
        );
        let head = serde_json::to_value(Head::of(StatusCode::CREATED, &headers)).unwrap();
        let expected = json!({"statusCode": 201, "headers": {"vary": "origin, accept", "x-y": "z"}, "cookies": ["a=1", "b=2"]});
        assert_eq!(head, expected);
    }
}
