//! The `api` function: every HTTP route, behind a Function URL or a REST API that stream.
//!
//! The body of an answer stays open until all is done that the request has begun, for nothing runs on after it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use lambda_runtime::{LambdaEvent, MetadataPrelude, StreamResponse, service_fn};
use serde_json::value::RawValue;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use cota_protocol::problem::{Code, Problem};

use crate::event::{self, Incoming};
use crate::failure::Failure;
use crate::function::{Function, Opening};
use crate::host::Role;

/// How long a stream is held open that has no end of its own, in milliseconds: an environment serves nobody else meanwhile.
const STREAM_MS: u64 = 25_000;
/// Tells an EventSource to come again at once when its stream ends.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// An answer as it goes out.
type Answer = StreamResponse<BoxStream<'static, Result<Bytes, axum::Error>>>;

/// Serves invocations until the environment ends.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    let opening = Arc::new(Opening::begin(Role::Answers).await);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let opening = Arc::clone(&opening);
        let span = tracing::info_span!("invocation", request = %event.context.request_id);
        async move { answer(opening.function().await?, event).await }.instrument(span)
    }))
    .await
}

async fn answer(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Failure> {
    function.begin(&event.context).await;
    let (response, streams_on) = match event::read(event.payload.get()) {
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
    let mut data = body.into_data_stream().boxed();
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
    let metadata_prelude = MetadataPrelude { status_code: parts.status, headers: parts.headers, cookies: Vec::new() };
    StreamResponse { metadata_prelude, stream: data.chain(rest).boxed() }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
