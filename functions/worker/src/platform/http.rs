use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use worker::send::{SendFuture, SendWrapper};
use worker::{AbortController, ByteStream, Fetch, Headers, Request, RequestInit, RequestRedirect, Response, js_sys};

use cota_effects::http::{BodyStream, HttpError, HttpRequest, HttpResponse, HttpSend};

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
    let request = to_platform(request).map_err(cut)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let abort = AbortOnDrop(Some(abort));
    // The platform says of no failure whether anything was sent.
    let mut response = Fetch::Request(request).send_with_signal(&signal).await.map_err(cut)?;
    let status = StatusCode::from_u16(response.status_code()).map_err(|_| HttpError::Cut)?;
    let headers = headers(&response);
    let body = match response.stream() {
        Ok(pieces) => body(pieces, abort),
        Err(_) => BodyStream::whole(Bytes::new()),
    };
    Ok(HttpResponse { status, headers, body })
}

fn to_platform(request: HttpRequest) -> worker::Result<Request> {
    let headers = Headers::new();
    for (name, value) in &request.headers {
        headers.append(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))?;
    }
    let mut init = RequestInit::new();
    init.with_method(worker::Method::from(request.method.as_str().to_owned())).with_headers(headers).with_redirect(RequestRedirect::Manual);
    if !request.body.is_empty() {
        init.with_body(Some(js_sys::Uint8Array::from(request.body.as_ref()).into()));
    }
    Request::new_with_init(request.url().as_str(), &init)
}

fn headers(response: &Response) -> HeaderMap {
    let pair = |(name, value): (String, String)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?));
    response.headers().entries().filter_map(pair).collect()
}

/// The body as it comes. Dropping it ends the exchange.
fn body(pieces: ByteStream, abort: AbortOnDrop) -> BodyStream {
    let reading = Some(SendWrapper((pieces, abort)));
    BodyStream::new(stream::unfold(reading, |reading| {
        SendFuture::new(async move {
            let SendWrapper((mut pieces, mut abort)) = reading?;
            match pieces.next().await {
                Some(Ok(piece)) => Some((Ok(Bytes::from(piece)), Some(SendWrapper((pieces, abort))))),
                Some(Err(error)) => Some((Err(cut(error)), None)),
                None => {
                    abort.0 = None;
                    None
                }
            }
        })
    }))
}

/// Ends an exchange that nobody waits for any more.
struct AbortOnDrop(Option<AbortController>);

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
