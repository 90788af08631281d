//! The REST API: one script, one answer. Whatever is no result is a fault, whatever its status is.

use std::sync::Arc;

use cota_driver::address::Reach;
use cota_driver::http::{HttpRequest, HttpSend};
use cota_driver::ports::Clock;
use futures_util::future::{Either, select};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;

use crate::address::AddressError;
use crate::fault::Fault;

/// How long a call may take.
const CALL_MS: u64 = 10_000;
/// What the service takes in one request on its paid plans; on the free one it takes less and says so.
const REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Most characters of the service's own words about an error.
const WORDS: usize = 200;

/// One database.
pub(crate) struct Api {
    url: Url,
    authorization: HeaderValue,
    http: Arc<dyn HttpSend>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "some")]
    result: Option<Json>,
    error: Option<String>,
}

impl Api {
    pub(crate) fn new(url: Url, token: &str, http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Result<Self, AddressError> {
        if token.trim().is_empty() {
            return Err(AddressError::Token);
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| AddressError::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { url, authorization, http, clock })
    }

    /// Runs a script and returns its result.
    pub(crate) async fn eval(&self, script: &str, keys: &[impl AsRef<str>], arguments: &[impl AsRef<str>]) -> Result<Json, Fault> {
        let count = keys.len().to_string();
        let words: Vec<&str> =
            ["EVAL", script, &count].into_iter().chain(keys.iter().map(AsRef::as_ref)).chain(arguments.iter().map(AsRef::as_ref)).collect();
        let body = serde_json::to_vec(&words).map_err(|error| Fault::Unwritable { what: "a command", why: error.to_string() })?;
        if body.len() > REQUEST_BYTES {
            return Err(Fault::TooLarge { bytes: body.len(), most: REQUEST_BYTES });
        }
        let deadline = self.clock.sleep_until(self.clock.now().plus_ms(CALL_MS));
        match select(Box::pin(self.send(body)), deadline).await {
            Either::Left((answered, _)) => answered,
            Either::Right(((), _)) => Err(Fault::Slow(CALL_MS)),
        }
    }

    async fn send(&self, body: Vec<u8>) -> Result<Json, Fault> {
        let mut request = HttpRequest::new(Method::POST, self.url.clone(), Reach::Named)?;
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = body.into();
        let response = self.http.send(request).await?;
        let status = response.status;
        let answer = serde_json::from_slice(&response.body.read(ANSWER_BYTES).await?);
        match answer {
            _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Fault::Token),
            Ok(Answer { error: Some(words), .. }) => Err(Fault::Refused(words.chars().take(WORDS).collect())),
            Ok(Answer { result: Some(result), error: None }) if status.is_success() => Ok(result),
            Ok(Answer { .. }) | Err(_) => Err(Fault::NoResult(status.as_u16())),
        }
    }
}

/// Tells a result of nothing from no result.
fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use cota_core::ids::Timestamp;
    use cota_driver::http::{BodyStream, HttpError, HttpResponse};
    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, pending, ready};
    use http::HeaderMap;

    use super::*;

    /// Answers every request alike, or never.
    struct Canned(Option<(u16, &'static str)>);

    #[async_trait]
    impl HttpSend for Canned {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            assert!(request.headers[AUTHORIZATION].is_sensitive());
            let Some((status, body)) = self.0 else { return pending().await };
            Ok(HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: BodyStream::whole(body) })
        }
    }

    /// Time that is over as soon as somebody waits for it.
    struct Impatient;

    impl Clock for Impatient {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn sleep_until(&self, _at: Timestamp) -> BoxFuture<'static, ()> {
            ready(()).boxed()
        }
    }

    fn ask(answer: Option<(u16, &'static str)>) -> Result<Json, Fault> {
        let url = Url::parse("https://x.upstash.io").unwrap();
        let api = Api::new(url, "token", Arc::new(Canned(answer)), Arc::new(Impatient)).unwrap();
        api.eval("return 1", &[""; 0], &["personal words"]).now_or_never().unwrap()
    }

    #[test]
    fn a_result_is_a_result_even_if_it_is_nothing() {
        assert_eq!(ask(Some((200, r#"{"result": [1, null]}"#))).unwrap(), serde_json::json!([1, null]));
        assert_eq!(ask(Some((200, r#"{"result": null}"#))).unwrap(), Json::Null);
    }

    #[test]
    fn an_error_is_one_with_any_status() {
        for status in [200, 400, 429, 500] {
            let fault = ask(Some((status, r#"{"error": "ERR max daily request limit exceeded"}"#))).unwrap_err();
            assert_eq!(fault.to_string(), "Upstash says: ERR max daily request limit exceeded");
        }
        assert_eq!(ask(Some((200, r#"{"result": 1, "error": "ERR no"}"#))).unwrap_err().to_string(), "Upstash says: ERR no");
    }

    #[test]
    fn what_is_no_answer_of_the_service_is_told_and_not_shown() {
        for (status, body) in [(200, "<html>personal</html>"), (200, "{}"), (502, ""), (503, r#"{"result": 1}"#), (200, "[]")] {
            let fault = ask(Some((status, body))).unwrap_err();
            assert!(matches!(fault, Fault::NoResult(told) if told == status), "{fault}");
            assert!(!fault.to_string().contains("personal"));
        }
    }

    #[test]
    fn a_wrong_token_is_named_and_a_silent_service_is_left() {
        assert!(matches!(ask(Some((401, r#"{"error": "WRONGPASS"}"#))), Err(Fault::Token)));
        assert!(matches!(ask(None), Err(Fault::Slow(_))));
    }
}
