//! One connection: requests in, scripted answers out.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::answer::{self, Answer};
use super::{Settings, State};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>>;

/// Answers the requests of one connection until it ends.
pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    // Without it a small answer waits for the acknowledgement of the one before; a failure costs time only.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(handle(request, &state).await) }
    });
    // A client that goes away is the client's affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(request: Request<Incoming>, state: &State) -> Response<Body> {
    if request.method() != Method::POST || !request.uri().path().ends_with("/chat/completions") {
        return status(StatusCode::NOT_FOUND, None);
    }
    let Ok(body) = request.into_body().collect().await else {
        return status(StatusCode::BAD_REQUEST, None);
    };
    let (answer, streams) = state.answer(body.to_bytes());
    state.hold_back().await;
    match answer {
        Answer::Say(text) if streams => events(answer::word_events(&text, state.settings.piece), Ending::Whole, &state.settings),
        Answer::Say(text) => whole(answer::completion(&answer::words(&text))),
        Answer::Call(calls) if streams => events(answer::call_events(&calls), Ending::Whole, &state.settings),
        Answer::Call(calls) => whole(answer::completion(&answer::tool_calls(&calls))),
        Answer::Cut(text) if streams => {
            let mut pieces = answer::word_events(&text, state.settings.piece);
            pieces.truncate(pieces.len() / 2);
            events(pieces, Ending::Cut, &state.settings)
        }
        Answer::Cut(text) => {
            let page = answer::completion(&answer::words(&text));
            let half: String = page.chars().take(page.chars().count() / 2).collect();
            respond(JSON, streamed(vec![half], Ending::Cut, Duration::ZERO))
        }
        Answer::Refuse { status: code, retry_after_s } => {
            status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), retry_after_s)
        }
        Answer::Hang => pending().await,
    }
}

/// How a stream ends.
#[derive(Clone, Copy)]
enum Ending {
    Whole,
    Cut,
}

fn whole(page: String) -> Response<Body> {
    respond(JSON, Either::Left(Full::new(Bytes::from(page))))
}

fn events(mut pieces: Vec<String>, ending: Ending, settings: &Settings) -> Response<Body> {
    match ending {
        Ending::Whole => pieces.push(answer::end_events()),
        Ending::Cut => {}
    }
    respond(EVENTS, streamed(pieces, ending, settings.pause))
}

fn streamed(pieces: Vec<String>, ending: Ending, pause: Duration) -> Body {
    let pieces = stream::iter(pieces).then(move |piece| async move {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        Ok(Frame::data(Bytes::from(piece)))
    });
    let end = stream::iter(match ending {
        Ending::Whole => None,
        Ending::Cut => Some(()),
    });
    let broken = end.then(|()| async {
        // What came before is sent only when there is nothing more to say for the moment.
        yield_now().await;
        Err(io::ErrorKind::ConnectionReset.into())
    });
    Either::Right(StreamBody::new(pieces.chain(broken).boxed()))
}

fn status(code: StatusCode, retry_after_s: Option<u32>) -> Response<Body> {
    let mut response = whole(r#"{"error":{"message":"scripted failure","type":"server_error"}}"#.to_owned());
    *response.status_mut() = code;
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
