use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as SigningKey;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use cota_driver::address::{Forbidden, Reach};
use cota_driver::http::{HttpError, HttpRequest, HttpSend};

use super::Credentials;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tries of a call that a service answered with its own failure, or not at all.
const TRIES: u32 = 3;
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// Sends signed calls.
pub(crate) struct Signed {
    http: Arc<dyn HttpSend>,
    credentials: Credentials,
    region: String,
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
    /// The address cannot be called.
    #[error("{0}")]
    Address(String),
    /// It could not be signed.
    #[error("the call could not be signed: {0}")]
    Signing(String),
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

impl From<Forbidden> for CallError {
    fn from(error: Forbidden) -> Self {
        Self::Address(error.to_string())
    }
}

impl Signed {
    pub(crate) fn new(http: Arc<dyn HttpSend>, credentials: Credentials, region: String) -> Self {
        Self { http, credentials, region }
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
                Err(CallError::Address(_) | CallError::Signing(_) | CallError::Refused { .. }) => false,
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
        let failed = |error: &dyn std::fmt::Display| CallError::Signing(error.to_string());
        let Credentials { key, secret, token } = self.credentials.clone();
        let identity = SigningKey::new(key, secret, token, None, "environment").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?;
        let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(call.method.as_str(), call.url.as_str(), headers, SignableBody::Bytes(&call.body))
            .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|error| failed(&error))?.into_parts();
        let mut request = HttpRequest::new(call.method.clone(), call.url.clone(), Reach::Named)?;
        request.body = call.body.clone();
        for (name, value) in &call.headers {
            insert(&mut request, name, value, false)?;
        }
        for (name, value) in instructions.headers() {
            insert(&mut request, name, value, true)?;
        }
        request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        Ok(request)
    }
}

fn insert(request: &mut HttpRequest, name: &str, value: &str, sensitive: bool) -> Result<(), CallError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| CallError::Signing(error.to_string()))?;
    let mut value = HeaderValue::from_str(value).map_err(|error| CallError::Signing(error.to_string()))?;
    value.set_sensitive(sensitive);
    request.headers.insert(name, value);
    Ok(())
}
