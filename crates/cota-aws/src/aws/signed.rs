use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use cota_driver::http::{HttpError, HttpRequest, HttpSend};
use cota_driver::ports::Clock;
use cota_publish::aws::{Aws, AwsError};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tries of a call that a service answered with its own failure, or not at all.
const TRIES: u32 = 3;
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// Sends signed calls.
pub(crate) struct Signed {
    http: Arc<dyn HttpSend>,
    clock: Arc<dyn Clock>,
    aws: Aws,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The service's name for signing.
    pub(crate) service: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// What a service answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Why a call came to nothing. It never says what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// It could not be signed, or its address cannot be called.
    #[error(transparent)]
    Unsigned(#[from] AwsError),
    /// No answer came.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It took too long.
    #[error("the service did not answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// The service refused it.
    #[error("the service answered with {status}{}", code.as_ref().map(|code| format!(", {code}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// What the service calls the error.
        code: Option<String>,
    },
}

impl Signed {
    pub(crate) fn new(http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>, aws: Aws) -> Self {
        Self { http, clock, aws }
    }

    /// Sends a call, again where the service failed or was silent. An answer that refuses it is an answer.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, CallError> {
        let mut pause = Duration::from_millis(50);
        let mut tried = 1;
        loop {
            let result = self.send_once(call).await;
            let again = match &result {
                Ok(answer) => answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS,
                Err(CallError::Http(error)) => !matches!(error, HttpError::Forbidden(_)),
                Err(CallError::TooSlow) => true,
                Err(CallError::Unsigned(_) | CallError::Refused { .. }) => false,
            };
            if !again || tried >= TRIES {
                return result;
            }
            tokio::time::sleep(pause).await;
            (tried, pause) = (tried + 1, pause * 4);
        }
    }

    async fn send_once(&self, call: &Call) -> Result<Answer, CallError> {
        let request = self.signed(call)?;
        let exchange = async {
            let response = self.http.send(request).await?;
            Ok(Answer { status: response.status, body: response.body.read(ANSWER_BYTES).await? })
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(CallError::TooSlow))
    }

    fn signed(&self, call: &Call) -> Result<HttpRequest, CallError> {
        let headers: Vec<(&str, &str)> = call.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let target = (call.method.clone(), call.url.clone());
        let mut request = self.aws.request(call.service, target, &headers, call.body.clone(), self.clock.now())?;
        request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        Ok(request)
    }
}
