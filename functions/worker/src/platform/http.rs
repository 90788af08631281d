use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use worker::send::{SendFuture, SendWrapper};
use worker::web_sys;

use cota_effects::http::{BodyStream, HttpError, HttpRequest, HttpResponse, HttpSend};

use super::messages::{Content, ask_server};

/// HTTP by the platform's fetch, which reaches no private network.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformHttp;

#[async_trait]
impl HttpSend for PlatformHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        SendFuture::new(send(request)).await
    }
}

async fn send(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let abort = web_sys::AbortController::new().map_err(|error| cut(error.into()))?;
    let signal = abort.signal();
    let abort = AbortOnDrop(Some(abort));
    // The platform says of no failure whether anything was sent.
    let answer = ask_server(&request.method, request.url().as_str(), &request.headers, &request.body, &signal).await.map_err(cut)?;
    let body = match answer.content {
        Content::Whole(bytes) => {
            abort.disarm();
            BodyStream::whole(bytes)
        }
        Content::Pieces(pieces) => body(pieces, abort),
    };
    Ok(HttpResponse { status: answer.status, headers: answer.headers, body })
}

/// The body as it comes. Dropping it ends the exchange.
fn body(pieces: worker::Body, abort: AbortOnDrop) -> BodyStream {
    let reading = Some(SendWrapper((pieces, abort)));
    BodyStream::new(stream::unfold(reading, |reading| {
        SendFuture::new(async move {
            let SendWrapper((mut pieces, abort)) = reading?;
            match pieces.next().await {
                Some(Ok(piece)) => Some((Ok(piece), Some(SendWrapper((pieces, abort))))),
                Some(Err(error)) => Some((Err(cut(error)), None)),
                None => {
                    abort.disarm();
                    None
                }
            }
        })
    }))
}

/// Ends an exchange that nobody waits for any more.
struct AbortOnDrop(Option<web_sys::AbortController>);

impl AbortOnDrop {
    /// Leaves alone what has ended.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(abort) = self.0.take() {
            abort.abort();
        }
    }
}

fn cut(error: worker::Error) -> HttpError {
    // The platform's words may name the address, which may hold a key or a slot.
    drop(error);
    HttpError::Cut
}
