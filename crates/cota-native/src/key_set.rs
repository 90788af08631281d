use std::sync::Arc;

use async_trait::async_trait;
use cota_driver::address::{Forbidden, Reach};
use cota_effects::http::{HttpError, HttpRequest, HttpSend};
use cota_gateway::identity::FetchKeys;
use http::{Method, StatusCode};
use url::Url;

/// Most bytes of a key set.
const LARGEST: usize = 256 * 1024;

/// The key set of an issuer of tokens, at an address.
pub struct KeySetAt {
    http: Arc<dyn HttpSend>,
    url: Url,
}

impl KeySetAt {
    /// The key set at `url`.
    ///
    /// # Errors
    /// When the address may not be called.
    pub fn new(http: Arc<dyn HttpSend>, url: Url) -> Result<Self, Forbidden> {
        HttpRequest::new(Method::GET, url.clone(), Reach::Named)?;
        Ok(Self { http, url })
    }

    async fn get(&self) -> Result<Result<Vec<u8>, StatusCode>, HttpError> {
        let request = HttpRequest::new(Method::GET, self.url.clone(), Reach::Named)?;
        let response = self.http.send(request).await?;
        if response.status != StatusCode::OK {
            return Ok(Err(response.status));
        }
        Ok(Ok(response.body.read(LARGEST).await?))
    }
}

#[async_trait]
impl FetchKeys for KeySetAt {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        match self.get().await {
            Ok(Ok(json)) => Ok(json),
            Ok(Err(status)) => Err(format!("{} answers with {status}", self.url)),
            Err(error) => Err(format!("{}: {error}", self.url)),
        }
    }
}
