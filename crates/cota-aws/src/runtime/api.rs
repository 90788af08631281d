use std::iter;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use cota_core::ids::Timestamp;

use super::answer::{Answer, Body, empty, refusal};
use crate::failure::Failure;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cota/", env!("CARGO_PKG_VERSION")));
const REQUEST: &str = "lambda-runtime-aws-request-id";
const DEADLINE: &str = "lambda-runtime-deadline-ms";
const INVOCATION: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");

/// What an environment is invoked with.
#[derive(Debug)]
pub(crate) struct Event {
    /// What Lambda calls the request.
    pub(crate) request: String,
    /// When the invocation is ended, whatever it does.
    pub(crate) deadline: Timestamp,
    /// The event itself, JSON.
    pub(crate) payload: Bytes,
    /// What tells this invocation of a request from another, where Lambda says it.
    invocation: Option<HeaderValue>,
}

impl Event {
    fn of(head: Parts, payload: Bytes) -> Result<Self, RuntimeError> {
        Ok(Self {
            request: required(&head.headers, REQUEST)?,
            deadline: Timestamp(required(&head.headers, DEADLINE)?),
            payload,
            invocation: head.headers.get(INVOCATION).cloned(),
        })
    }
}

fn required<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, RuntimeError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or(RuntimeError::Header { name })
}

/// Why an environment cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuntimeError {
    /// The process was not started by Lambda, nor by anything like it.
    #[error("the variable AWS_LAMBDA_RUNTIME_API is missing: Lambda sets it; on a laptop, `cota run` serves a bot")]
    NoApi,
    /// There is nobody where the API should be.
    #[error("the Runtime API cannot be reached: {0}")]
    Unreachable(String),
    /// No next event was to be had.
    #[error("the Runtime API answered {0} instead of an event")]
    NoEvent(StatusCode),
    /// An event lacks what every event has.
    #[error("the Runtime API's event has no usable header {name}")]
    Header {
        /// Its name.
        name: &'static str,
    },
    /// A request cannot be written: its id is no part of an address.
    #[error("the Runtime API's event cannot be answered: {0}")]
    Unanswerable(#[from] http::Error),
}

impl RuntimeError {
    fn unreachable(error: &(dyn std::error::Error + 'static)) -> Self {
        let causes: Vec<String> = iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
        Self::Unreachable(causes.join(": "))
    }
}

/// Lambda's Runtime API, as this process is shown it.
pub(super) struct RuntimeApi {
    base: String,
    client: Client<HttpConnector, Body>,
}

impl RuntimeApi {
    /// Where the environment says.
    pub(super) fn of_process() -> Result<Self, RuntimeError> {
        std::env::var("AWS_LAMBDA_RUNTIME_API").map(|place| Self::at(&place)).map_err(|_| RuntimeError::NoApi)
    }

    fn at(place: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(connector());
        Self { base: format!("http://{place}/2018-06-01/runtime/invocation"), client }
    }

    /// Waits for the next event.
    pub(super) async fn next(&self) -> Result<Event, RuntimeError> {
        loop {
            let next = Request::get(format!("{}/next", self.base)).body(empty())?;
            let (head, payload) = self.call(next).await?;
            match head.status {
                StatusCode::OK => return Event::of(head, payload),
                // So cargo-lambda says that it has none yet.
                StatusCode::NO_CONTENT => {}
                status => return Err(RuntimeError::NoEvent(status)),
            }
        }
    }

    /// Answers an event.
    pub(super) async fn answer(&self, event: &Event, answered: Result<Answer, Failure>) -> Result<(), RuntimeError> {
        let (way, headers, body) = match answered.and_then(Answer::into_parts) {
            Ok((headers, body)) => ("response", headers, body),
            Err(failure) => {
                tracing::error!(kind = failure.kind(), error = %failure, "the invocation failed");
                let (headers, body) = refusal(&failure);
                ("error", headers, body)
            }
        };
        let mut request = Request::post(format!("{}/{}/{way}", self.base, event.request)).body(body)?;
        *request.headers_mut() = headers;
        if let Some(invocation) = &event.invocation {
            request.headers_mut().insert(INVOCATION, invocation.clone());
        }
        let (head, _) = self.call(request).await?;
        if !head.status.is_success() {
            // 410: the invocation has timed out. 413: the answer is too large.
            tracing::error!(status = head.status.as_u16(), "Lambda refused an answer");
        }
        Ok(())
    }

    async fn call(&self, mut request: Request<Body>) -> Result<(Parts, Bytes), RuntimeError> {
        request.headers_mut().insert(USER_AGENT, AGENT);
        let answer = self.client.request(request).await.map_err(|error| RuntimeError::unreachable(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| RuntimeError::unreachable(&error))?;
        Ok((head, body.to_bytes()))
    }
}

/// How the API is reached: each packet at once.
fn connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use axum::Error;
    use futures_util::StreamExt as _;
    use futures_util::stream;
    use http::Uri;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tower::ServiceExt as _;

    use super::*;

    const NEXT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nlambda-runtime-aws-request-id: r1\r\n\
        lambda-runtime-deadline-ms: 1795899782025\r\nlambda-runtime-invocation-id: i1\r\n\r\n{}";
    const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    const NOTHING_YET: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    /// Reads until what was read ends like this.
    async fn heard(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(stream.read_u8().await.unwrap()));
        }
        text
    }

    /// The API, on one connection: an event at its second asking, and what that is answered with up to `end`.
    async fn hear_answer(listener: TcpListener, end: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in [NOTHING_YET, NEXT] {
            let asked = heard(&mut stream, "\r\n\r\n").await;
            assert!(asked.starts_with("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"), "{asked}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        let answer = heard(&mut stream, end).await;
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        answer
    }

    /// What goes over the wire when an event is answered so.
    async fn answered(answer: Result<Answer, Failure>, end: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = RuntimeApi::at(&listener.local_addr().unwrap().to_string());
        let served = async {
            let event = api.next().await.unwrap();
            assert_eq!((event.deadline, &event.payload[..]), (Timestamp(1_795_899_782_025), &b"{}"[..]));
            api.answer(&event, answer).await.unwrap();
        };
        tokio::join!(served, hear_answer(listener, end)).1
    }

    fn streamed(pieces: Vec<Result<Bytes, Error>>) -> Result<Answer, Failure> {
        Ok(Answer::Streamed { status: StatusCode::OK, headers: HeaderMap::new(), pieces: stream::iter(pieces).boxed() })
    }

    #[tokio::test]
    async fn each_packet_goes_out_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connection = connector().oneshot(uri).await.unwrap();
        assert!(connection.inner().nodelay().unwrap());
    }

    #[tokio::test]
    async fn an_answer_is_the_documented_request_with_the_ids_of_its_event() {
        let answer = answered(Answer::json(&[1, 2]), "[1,2]").await;
        assert!(answer.starts_with("POST /2018-06-01/runtime/invocation/r1/response HTTP/1.1\r\n"), "{answer}");
        assert!(answer.contains("lambda-runtime-invocation-id: i1\r\n") && answer.contains("content-length: 5\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_type() {
        let answer = answered(Err(Failure::LostBell), "}").await;
        assert!(answer.starts_with("POST /2018-06-01/runtime/invocation/r1/error HTTP/1.1\r\n"), "{answer}");
        assert!(answer.contains("lambda-runtime-function-error-type: Cota.LostBell\r\n"), "{answer}");
        assert!(answer.contains(r#"{"errorType":"Cota.LostBell","errorMessage":"the queue did not"#), "{answer}");
    }

    #[tokio::test]
    async fn a_stream_is_a_head_eight_zeros_and_its_pieces() {
        let answer = answered(streamed(vec![Ok("one".into()), Ok("two".into())]), "\r\n0\r\n\r\n").await;
        for header in [
            "lambda-runtime-function-response-mode: streaming",
            "content-type: application/vnd.awslambda.http-integration-response",
            "transfer-encoding: chunked",
        ] {
            assert!(answer.contains(&format!("{header}\r\n")), "no {header}: {answer}");
        }
        let head = r#"{"statusCode":200,"headers":{"content-type":"application/octet-stream"},"cookies":[]}"#;
        let size = head.len() + 8;
        let body = format!("\r\n\r\n{size:X}\r\n{head}\0\0\0\0\0\0\0\0\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
        assert!(answer.ends_with(&body), "{answer}");
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_says_so_in_its_trailers() {
        let answer = answered(streamed(vec![Ok("half".into()), Err(Error::new("it broke"))]), "aXQgYnJva2U=\r\n\r\n").await;
        assert!(answer.contains("4\r\nhalf\r\n0\r\n"), "{answer}");
        assert!(answer.contains("\r\nlambda-runtime-function-error-type: Runtime.StreamError\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn an_api_that_is_not_there_is_named_with_the_cause() {
        let error = RuntimeApi::at("127.0.0.1:1").next().await.unwrap_err().to_string();
        assert!(error.starts_with("the Runtime API cannot be reached: ") && error.contains("refused"), "{error}");
    }
}
