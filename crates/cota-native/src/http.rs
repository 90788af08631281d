use std::sync::OnceLock;

use async_trait::async_trait;
use cota_effects::http::{HttpError, HttpRequest, HttpResponse, HttpSend, NativeHttp, NativeHttpError, Trust};

/// The HTTP client, set up when it is first used: reading the system's certificates takes longer than a bot that needs no
/// network takes to answer.
#[derive(Default)]
pub struct LazyHttp {
    trust: Trust,
    client: OnceLock<Result<NativeHttp, NativeHttpError>>,
}

impl LazyHttp {
    /// Of a process that trusts these.
    #[must_use]
    pub fn trusting(trust: Trust) -> Self {
        Self { trust, client: OnceLock::new() }
    }
}

#[async_trait]
impl HttpSend for LazyHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.client.get_or_init(|| NativeHttp::new(self.trust)) {
            Ok(client) => client.send(request).await,
            Err(error) => {
                tracing::error!(%error, "nothing can be sent");
                Err(HttpError::Tls)
            }
        }
    }
}
