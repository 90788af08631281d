//! Workers KV over Cloudflare's REST API: how the command line writes what a Worker reads through its binding.

use std::sync::Arc;

use async_trait::async_trait;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::address::Reach;
use cota_driver::http::{HttpRequest, HttpSend};
use cota_driver::ports::Clock;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::exchange::{Answer, Exchange};
use crate::pointer::Pointer;
use crate::source::{BundleSink, BundleSource, SourceError};

/// Where Cloudflare's REST API is.
const API: &str = "https://api.cloudflare.com/client/v4";
/// The end of a part of a form; it stands in no JSON text, which has no line breaks outside of strings.
const BOUNDARY: &str = "cota-4f0b9d52a7e84c1c";

/// A namespace of Workers KV.
pub struct Kv {
    exchange: Exchange,
    authorization: HeaderValue,
    values: Url,
}

/// Why a namespace cannot be addressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// A variable is missing.
    #[error("set the variable {0}: Cloudflare's dashboard shows the account's id, and makes tokens that may edit Workers KV")]
    Missing(&'static str),
    /// The token is none.
    #[error("CLOUDFLARE_API_TOKEN is no token: it is one line of visible characters")]
    Token,
    /// The base address is none.
    #[error("CLOUDFLARE_API_BASE_URL is no address of a web server")]
    Base,
}

impl Kv {
    /// The namespace of this id. `env` gives `CLOUDFLARE_ACCOUNT_ID` and `CLOUDFLARE_API_TOKEN`, and `CLOUDFLARE_API_BASE_URL`
    /// where the API is somewhere else.
    ///
    /// # Errors
    /// When one of them is missing or cannot be one.
    pub fn new(
        namespace: &str,
        env: &dyn Fn(&str) -> Option<String>,
        http: Arc<dyn HttpSend>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KvError> {
        let variable = |name: &'static str| env(name).filter(|value| !value.trim().is_empty()).ok_or(KvError::Missing(name));
        let (account, token) = (variable("CLOUDFLARE_ACCOUNT_ID")?, variable("CLOUDFLARE_API_TOKEN")?);
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| KvError::Token)?;
        authorization.set_sensitive(true);
        let base = variable("CLOUDFLARE_API_BASE_URL").unwrap_or_else(|_| API.to_owned());
        let mut values = Url::parse(base.trim_end_matches('/')).map_err(|_| KvError::Base)?;
        values.path_segments_mut().map_err(|()| KvError::Base)?.extend([
            "accounts",
            account.trim(),
            "storage",
            "kv",
            "namespaces",
            namespace,
            "values",
        ]);
        Ok(Self { exchange: Exchange::new("Workers KV", http, clock), authorization, values })
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let Answer { status, body } = self.exchange.send(self.request(Method::GET, name)?).await?;
        match status {
            StatusCode::OK => Ok(Some(body)),
            // A namespace that is not there is no bot that is not there.
            StatusCode::NOT_FOUND if code(&body) == Some(KEY_NOT_FOUND) => Ok(None),
            other => Err(self.fault(other, &body)),
        }
    }

    /// Writes a value with the bundle's size beside it, which a Worker may read before the value.
    async fn put(&self, name: &str, value: &str, pointer: &Pointer) -> Result<(), SourceError> {
        let metadata = serde_json::json!({"digest": pointer.digest, "sequence": pointer.sequence, "size": pointer.size});
        let part = |name: &str, text: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        let body = format!("{}{}--{BOUNDARY}--\r\n", part("value", value), part("metadata", &metadata.to_string()));
        let mut request = self.request(Method::PUT, name)?;
        let form = HeaderValue::try_from(format!("multipart/form-data; boundary={BOUNDARY}"));
        request.headers.insert(CONTENT_TYPE, form.map_err(|error| self.exchange.refused(error))?);
        request.body = body.into();
        let Answer { status, body } = self.exchange.send(request).await?;
        if status.is_success() { Ok(()) } else { Err(self.fault(status, &body)) }
    }

    fn request(&self, method: Method, name: &str) -> Result<HttpRequest, SourceError> {
        let mut url = self.values.clone();
        // A slash within the name is a character of it, and written as one.
        url.path_segments_mut().map_err(|()| self.exchange.refused(KvError::Base))?.push(name);
        let mut request = HttpRequest::new(method, url, Reach::Named).map_err(|error| self.exchange.refused(error))?;
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        Ok(request)
    }

    fn fault(&self, status: StatusCode, body: &[u8]) -> SourceError {
        let says = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Some("check CLOUDFLARE_API_TOKEN: it has to allow editing Workers KV in this account".to_owned())
            }
            StatusCode::NOT_FOUND => Some("check the namespace's id and CLOUDFLARE_ACCOUNT_ID".to_owned()),
            _ => code(body).map(|code| format!("code {code}")),
        };
        self.exchange.fault(status, says.as_deref())
    }
}

/// What the API calls a name without a value.
const KEY_NOT_FOUND: u64 = 10009;

/// The first error's code.
fn code(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Failure>,
    }
    #[derive(Deserialize)]
    struct Failure {
        code: u64,
    }
    serde_json::from_slice::<Envelope>(body).ok()?.errors.first().map(|failure| failure.code)
}

#[async_trait]
impl BundleSource for Kv {
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        self.get(&Pointer::name_of(bot)).await
    }

    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        self.get(&Pointer::bundle_name(bot, digest)).await
    }
}

#[async_trait]
impl BundleSink for Kv {
    async fn put_bundle(&self, pointer: &Pointer, text: &str) -> Result<(), SourceError> {
        self.put(&Pointer::bundle_name(&pointer.bot, &pointer.digest), text, pointer).await
    }

    async fn put_pointer(&self, pointer: &Pointer) -> Result<(), SourceError> {
        self.put(&Pointer::name_of(&pointer.bot), &pointer.to_json(), pointer).await
    }
}
