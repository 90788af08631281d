//! Requests and answers, across the border between the runtime and the script: the other side of `js/messages.js`.

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::{Array, Promise, Uint8Array};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Error, ObjectNamespace, WebSocket, web_sys};

#[wasm_bindgen(module = "/src/js/messages.js")]
extern "C" {
    fn taken(request: &web_sys::Request) -> Promise;
    #[wasm_bindgen(catch)]
    fn answer(status: u16, headers: &str, bytes: &[u8]) -> Result<web_sys::Response, JsValue>;
    #[wasm_bindgen(js_name = exchange)]
    fn asked_of_server(method: &str, url: &str, headers: &str, bytes: &[u8], signal: &web_sys::AbortSignal) -> Promise;
    #[wasm_bindgen(js_name = ask)]
    fn asked_of_object(objects: &JsValue, name: &str, url: &str, text: &str) -> Promise;
}

/// Where an object hears what it is asked. Nobody else reaches it.
const ADDRESS: &str = "https://object/call";

/// The body of a message.
pub(crate) enum Content {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Pieces(worker::Body),
}

/// What a server, or an object, answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// A request that came in.
///
/// # Errors
/// When its client broke off, or it cannot be read.
pub(crate) async fn take(request: &web_sys::Request) -> worker::Result<Request<Body>> {
    let [method, url, lines, body] = fields(taken(request)).await?;
    let mut request = Request::builder().method(text(&method)?.as_str()).uri(text(&url)?);
    if let Some(headers) = request.headers_mut() {
        *headers = read(&text(&lines)?);
    }
    let body = match content(body) {
        Content::Whole(bytes) => Body::from(bytes),
        Content::Pieces(pieces) => Body::new(pieces),
    };
    Ok(request.body(body)?)
}

/// Hands a response to the runtime: whole where its body is there already.
///
/// # Errors
/// When the runtime does not take it.
pub(crate) async fn give(response: Response<Body>) -> worker::Result<web_sys::Response> {
    let is_there = response.body().size_hint().exact().is_some();
    if !is_there || response.extensions().get::<WebSocket>().is_some() {
        return worker::response_to_wasm(response);
    }
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.map_err(|error| Error::RustError(error.to_string()))?.to_bytes();
    Ok(answer(head.status.as_u16(), &written(&head.headers), &bytes)?)
}

/// Asks a server; dropping what comes of it does not end the exchange, `signal` does. No redirect is followed.
///
/// # Errors
/// When no answer came.
pub(crate) async fn ask_server(
    method: &Method,
    url: &str,
    headers: &HeaderMap,
    body: &[u8],
    signal: &web_sys::AbortSignal,
) -> worker::Result<Answer> {
    let [status, lines, body] = fields(asked_of_server(method.as_str(), url, &written(headers), body, signal)).await?;
    Ok(Answer { status: code(&status)?, headers: read(&text(&lines)?), content: content(body) })
}

/// Asks the object of a name for something, in JSON. What its answer says about itself is not read.
///
/// # Errors
/// When the object does not answer.
pub(crate) async fn ask_object(objects: &ObjectNamespace, name: &str, json: &str) -> worker::Result<Answer> {
    tracing::trace!("an object is asked");
    let [status, body] = fields(asked_of_object(objects.as_ref(), name, ADDRESS, json)).await?;
    Ok(Answer { status: code(&status)?, headers: HeaderMap::new(), content: content(body) })
}

async fn fields<const N: usize>(promise: Promise) -> worker::Result<[JsValue; N]> {
    let list: Array = JsFuture::from(promise).await?.unchecked_into();
    list.to_vec().try_into().map_err(|_| unexpected())
}

fn text(value: &JsValue) -> worker::Result<String> {
    value.as_string().ok_or_else(unexpected)
}

fn code(value: &JsValue) -> worker::Result<StatusCode> {
    // What is no status at all becomes 0, which is none either.
    Ok(StatusCode::from_u16(value.as_f64().unwrap_or_default() as u16)?)
}

fn content(value: JsValue) -> Content {
    match value.dyn_into::<Uint8Array>() {
        Ok(bytes) => Content::Whole(bytes.to_vec().into()),
        Err(none) if none.is_null() => Content::Whole(Bytes::new()),
        Err(stream) => Content::Pieces(worker::Body::new(stream.unchecked_into())),
    }
}

/// Headers as lines. One that the platform would not take, as it is no text, is left out.
fn written(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
            lines.extend([name.as_str(), "\n", value, "\n"]);
        }
    }
    lines
}

fn read(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut words = lines.split('\n');
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn unexpected() -> Error {
    Error::RustError("js/messages.js gave something else".to_owned())
}
