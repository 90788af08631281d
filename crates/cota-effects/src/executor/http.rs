//! The `http` executor.

use bytes::Bytes;
use cota_core::bot::{HttpCall, HttpMethod, Safety};
use cota_core::event::Slots;
use cota_core::limits::EXECUTOR_ANSWER_BYTES;
use cota_core::machine::{EffectError, FailureKind};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value as Json;
use url::Url;

use super::url::{append_query, build};
use super::{Executed, answer, failed_on_the_way, not_called, rejected};
use crate::http::{HttpRequest, HttpResponse, HttpSend};
use crate::redact::Redactor;
use cota_driver::address::Reach;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MOST_REDIRECTS: usize = 5;
/// Most bytes of an error page that are read, and most characters of it that are passed on.
const ERROR_PAGE_BYTES: usize = 16 * 1024;
const SAID_CHARS: usize = 200;

/// Calls the service and follows its redirects.
pub(super) async fn run(http: &dyn HttpSend, call: &HttpCall, safety: Safety, slots: &Slots, key: &str) -> Result<Executed, EffectError> {
    let mut hop = Hop::first(call, slots, key)?;
    for _ in 0..=MOST_REDIRECTS {
        let response = http.send(hop.request()?).await.map_err(|error| failed_on_the_way(&error, safety))?;
        tracing::debug!(status = response.status.as_u16(), "executer's service answers");
        match hop.after(&response)? {
            Some(next) => hop = next,
            None => return finish(response, call, safety).await,
        }
    }
    Err(rejected(format!("the service redirects more than {MOST_REDIRECTS} times")))
}

/// One request on the way to an answer.
#[derive(Clone)]
struct Hop {
    method: Method,
    url: Url,
    reach: Reach,
    headers: HeaderMap,
    body: Bytes,
}

impl Hop {
    fn first(call: &HttpCall, slots: &Slots, key: &str) -> Result<Self, EffectError> {
        let mut built = build(&call.url, slots).map_err(|error| rejected(error.to_string()))?;
        let mut headers = HeaderMap::new();
        let body = match call.method {
            HttpMethod::Get => {
                let used = built.used;
                append_query(&mut built.url, slots.iter().filter(|(name, _)| !used.contains(&name.as_str())));
                Bytes::new()
            }
            HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch | HttpMethod::Delete => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Bytes::from(Json::Object(slots.clone()).to_string())
            }
        };
        for (name, value) in &call.headers {
            let fault = || {
                rejected(format!(
                    "header `{name}` of the executer cannot be sent: its name or its value has a character that HTTP does not allow"
                ))
            };
            let name = HeaderName::try_from(name.as_str()).map_err(|_| fault())?;
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| fault())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let key = HeaderValue::from_str(key).map_err(|_| rejected("the idempotency key cannot be sent as a header"))?;
        headers.insert(IDEMPOTENCY_KEY, key);
        Ok(Self { method: method(call.method), url: built.url, reach: built.reach, headers, body })
    }

    fn request(&self) -> Result<HttpRequest, EffectError> {
        let mut request = HttpRequest::new(self.method.clone(), self.url.clone(), self.reach).map_err(not_called)?;
        request.headers = self.headers.clone();
        request.body = self.body.clone();
        Ok(request)
    }

    /// The request that an answer redirects to, if it does.
    fn after(&self, response: &HttpResponse) -> Result<Option<Self>, EffectError> {
        let keeps_method = match response.status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method != Method::POST,
            StatusCode::SEE_OTHER => self.method == Method::GET,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        let Some(location) = response.headers.get(LOCATION) else { return Ok(None) };
        let url = location
            .to_str()
            .ok()
            .and_then(|location| self.url.join(location).ok())
            .ok_or_else(|| rejected("the service redirects to something that is no address"))?;
        if self.url.scheme() == "https" && url.scheme() != "https" {
            return Err(rejected("the service redirects from https to an address that is not"));
        }
        let mut next = Self { url, ..self.clone() };
        if !keeps_method {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
        }
        if next.url.origin() != self.url.origin() {
            // Another server has no business with what the author wrote for the first one, its secrets above all.
            next.reach = Reach::Public;
            next.headers = own_headers(&next.headers);
        }
        Ok(Some(next))
    }
}

/// The headers that are not the author's.
fn own_headers(headers: &HeaderMap) -> HeaderMap {
    let own = [CONTENT_TYPE, IDEMPOTENCY_KEY];
    own.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value))).collect()
}

async fn finish(response: HttpResponse, call: &HttpCall, safety: Safety) -> Result<Executed, EffectError> {
    let HttpResponse { status, body, .. } = response;
    if status.is_success() {
        let body = body.read(EXECUTOR_ANSWER_BYTES).await;
        return body.map(|body| answer::read(&body)).map_err(|error| failed_on_the_way(&error, safety));
    }
    let redactor = Redactor::of(call.headers.iter().map(|(_, value)| value.reveal()));
    let page = redactor.redact(&String::from_utf8_lossy(&body.read_start(ERROR_PAGE_BYTES).await));
    let said: String = page.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SAID_CHARS).collect();
    let said = if said.is_empty() || said.starts_with('<') { String::new() } else { format!(": {said}") };
    let kind = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => FailureKind::Transient,
        status if status.is_server_error() => FailureKind::Transient,
        _ => FailureKind::Rejected,
    };
    Err(EffectError::new(kind, format!("the service answered {status}{said}")))
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use cota_core::bot::Secret;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::http::{BodyStream, HttpError};

    /// Redirects every request but the last to the next of its addresses.
    struct Redirects {
        status: StatusCode,
        to: Mutex<Vec<&'static str>>,
        asked: Mutex<Vec<HttpRequest>>,
    }

    #[async_trait]
    impl HttpSend for Redirects {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            self.asked.lock().unwrap().push(request);
            let location = self.to.lock().unwrap().pop();
            let headers = location.map(|location| (LOCATION, HeaderValue::from_static(location))).into_iter().collect();
            let status = if location.is_some() { self.status } else { StatusCode::OK };
            Ok(HttpResponse { status, headers, body: BodyStream::whole("done") })
        }
    }

    fn call(method: HttpMethod, status: StatusCode, location: &'static str) -> (Result<Executed, EffectError>, Vec<HttpRequest>) {
        let http = Redirects { status, to: Mutex::new(vec![location]), asked: Mutex::default() };
        let headers = vec![("authorization".to_owned(), Secret::new("canary"))];
        let call = HttpCall { url: "https://api.example.com/a?x=1".to_owned(), method, headers };
        let slots = [("city".to_owned(), Json::from("Oslo"))].into_iter().collect();
        let result = run(&http, &call, Safety::Idempotent, &slots, "run/1").now_or_never().unwrap();
        (result, http.asked.into_inner().unwrap())
    }

    #[test]
    fn the_authors_headers_stay_with_the_server_they_were_written_for() {
        for (location, stays) in [
            ("/b", true),
            ("https://api.example.com:443/b", true),
            ("https://api.example.com:444/b", false),
            ("https://example.com/b", false),
            ("https://api.example.com.evil.example/b", false),
        ] {
            let (result, asked) = call(HttpMethod::Post, StatusCode::TEMPORARY_REDIRECT, location);
            assert_eq!(result.unwrap().text, "done");
            let second = asked.last().unwrap();
            assert_eq!(second.headers.contains_key("authorization"), stays, "{location}");
            assert_eq!(second.reach() == Reach::Named, stays, "{location}");
            assert_eq!(second.headers.get(IDEMPOTENCY_KEY).unwrap(), "run/1");
            assert_eq!((second.method.as_str(), &*second.body), ("POST", &br#"{"city":"Oslo"}"#[..]));
        }
    }

    #[test]
    fn a_redirect_neither_gives_up_tls_nor_leads_nowhere() {
        for (location, says) in [
            ("http://api.example.com/b", "from https to an address that is not"),
            ("http://", "no address"),
            ("https://10.0.0.1/", "is not public"),
        ] {
            let (result, asked) = call(HttpMethod::Get, StatusCode::FOUND, location);
            let error = result.unwrap_err();
            assert!(error.kind == FailureKind::Rejected && error.message.contains(says), "{location}: {error}");
            assert_eq!(asked.len(), 1);
        }
    }
}
