//! The `api` function: every HTTP route, behind a Function URL or a REST API that stream.
//!
//! The body of an answer stays open until all is done that the request has begun, for nothing runs on after it.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use tower::ServiceExt as _;

use cota_protocol::problem::{Code, Problem};

use crate::event::{self, Incoming};
use crate::failure::Failure;
use crate::function::Function;
use crate::host::Role;
use crate::runtime::{self, Answer, Event, Pieces};

/// How long a stream is held open that has no end of its own, in milliseconds: an environment serves nobody else meanwhile.
pub(crate) const STREAM_MS: u64 = 25_000;
/// Tells an EventSource to come again at once when its stream ends.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// Serves invocations until the environment ends; it fails when the Runtime API cannot be reached.
pub async fn run() -> ExitCode {
    runtime::serve(Role::Answers, answer).await
}

async fn answer(function: &Function, event: &Event) -> Result<Answer, Failure> {
    function.begin(event).await;
    let (response, streams_on) = match event::read(&event.payload) {
        Ok(Incoming { request, domain }) => {
            let is_get = request.method() == Method::GET;
            let response = serve(function, domain.as_deref(), request).await;
            let streams_on = is_get && is_event_stream(response.headers());
            (response, streams_on)
        }
        Err(fault) => (cota_gateway::problem(&Problem::new(Code::BadRequest, fault)), false),
    };
    Ok(outgoing(function, response, streams_on))
}

async fn serve(function: &Function, domain: Option<&str>, request: Request<Body>) -> Response {
    let answered: Result<Response, Infallible> = function.entrance(domain).routes.oneshot(request).await;
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn outgoing(function: &Function, response: Response, streams_on: bool) -> Answer {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let mut data: Pieces = body.into_data_stream().boxed();
    if streams_on {
        let until = function.clock.now().plus_ms(STREAM_MS).min(function.present.terms().until);
        let retry = stream::once(future::ready(Ok(Bytes::from_static(RETRY))));
        data = retry.chain(data.take_until(function.clock.sleep_until(until))).boxed();
    }
    let present = Arc::clone(&function.present);
    let meter = Arc::clone(&function.meter);
    let rest = stream::once(async move {
        present.finish().await;
        meter.tell();
    })
    .filter_map(|()| future::ready(None));
    Answer::Streamed { status: parts.status, headers: parts.headers, pieces: data.chain(rest).boxed() }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
