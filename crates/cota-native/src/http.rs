use std::sync::OnceLock;

use async_trait::async_trait;
use cota_effects::http::{HttpError, HttpRequest, HttpResponse, HttpSend, NativeHttp, NativeHttpError};

/// The HTTP client, set up when it is first used: reading the system's certificates takes longer than a bot that needs no
/// network takes to answer.
#[derive(Default)]
pub struct LazyHttp(OnceLock<Result<NativeHttp, NativeHttpError>>);

#[async_trait]
impl HttpSend for LazyHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.0.get_or_init(NativeHttp::new) {
            Ok(client) => client.send(request).await,
            Err(error) => {
                tracing::error!(%error, "nothing can be sent");
                Err(HttpError::Tls)
            }
        }
    }
}
