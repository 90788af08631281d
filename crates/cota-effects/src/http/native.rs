use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use rustls::{ClientConfig, RootCertStore};

use super::resolver::{self, CheckedResolver, Lookup};
use super::{BodyStream, HttpError, HttpRequest, HttpResponse, HttpSend};
use cota_driver::address::{Forbidden, Reach};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_CONNECTIONS_PER_HOST: usize = 256;

/// HTTP for servers and laptops: pooled connections, TLS by rustls with the system's certificates.
///
/// Hosts that the bot's author named are reached through the proxy of `HTTPS_PROXY` and its kin, where one is set. Hosts that
/// a slot or a redirect named never are: a proxy would resolve the name itself, and nobody would check what it stands for.
#[derive(Clone)]
pub struct NativeHttp {
    named: reqwest::Client,
    public: reqwest::Client,
}

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct NativeHttpError(String);

impl NativeHttp {
    /// Sets up the client. Certificates are read now: those of the system, or Mozilla's where it has none.
    ///
    /// # Errors
    /// When the TLS settings or a proxy's address are not usable.
    pub fn new() -> Result<Self, NativeHttpError> {
        Self::with_lookup(&resolver::system())
    }

    fn with_lookup(lookup: &Lookup) -> Result<Self, NativeHttpError> {
        let tls = tls_config()?;
        let client = |reach| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("cota/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
                .tcp_nodelay(true)
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(CheckedResolver::new(reach, Arc::clone(lookup)));
            let builder = match reach {
                Reach::Named => builder,
                Reach::Public => builder.no_proxy(),
            };
            builder.build().map_err(|error| NativeHttpError(root_cause(&error)))
        };
        Ok(Self { named: client(Reach::Named)?, public: client(Reach::Public)? })
    }
}

#[async_trait]
impl HttpSend for NativeHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let client = match request.reach() {
            Reach::Named => &self.named,
            Reach::Public => &self.public,
        };
        let (method, url, headers, body) = request.into_parts();
        let mut response = client.request(method, url).headers(headers).body(body).send().await.map_err(classify)?;
        let headers = std::mem::take(response.headers_mut());
        Ok(HttpResponse { status: response.status(), headers, body: body_of(response) })
    }
}

fn body_of(response: reqwest::Response) -> BodyStream {
    BodyStream::new(stream::unfold(Some(response), |response| async {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(response))),
            Ok(None) => None,
            Err(error) => Some((Err(classify(error)), None)),
        }
    }))
}

fn tls_config() -> Result<ClientConfig, NativeHttpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NativeHttpError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn classify(error: reqwest::Error) -> HttpError {
    // Without its address, which may hold a key or a slot.
    let error = error.without_url();
    tracing::debug!(cause = root_cause(&error), "HTTP request failed");
    if let Some(forbidden) = causes(&error).find_map(|cause| cause.downcast_ref::<Forbidden>()) {
        HttpError::Forbidden(*forbidden)
    } else if causes(&error).any(|cause| cause.is::<rustls::Error>()) {
        HttpError::Tls
    } else if error.is_connect() || error.is_builder() {
        HttpError::Connect
    } else if error.is_timeout() {
        HttpError::Timeout
    } else {
        HttpError::Cut
    }
}

/// An error and its causes. An I/O error hides the error it wraps from `source`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;

    fn client(address: &'static str) -> NativeHttp {
        let lookup: Lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![address.parse().unwrap()]) }));
        NativeHttp::with_lookup(&lookup).unwrap()
    }

    async fn failure(client: &NativeHttp, url: &str, reach: Reach) -> HttpError {
        let request = HttpRequest::new(Method::GET, Url::parse(url).unwrap(), reach).unwrap();
        match client.send(request).await {
            Ok(response) => panic!("answered with {}", response.status),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn a_public_name_that_stands_for_a_private_address_is_refused_where_a_slot_named_it() {
        let client = client("127.0.0.1:0");
        let url = "http://rebound.example:1/";
        assert_eq!(failure(&client, url, Reach::Public).await, HttpError::Forbidden(Forbidden::Private));
        assert_eq!(failure(&client, url, Reach::Named).await, HttpError::Connect);
    }

    #[tokio::test]
    async fn a_name_that_stands_for_a_metadata_service_is_refused_whoever_named_it() {
        let client = client("169.254.169.254:0");
        for reach in [Reach::Public, Reach::Named] {
            assert_eq!(failure(&client, "http://rebound.example/", reach).await, HttpError::Forbidden(Forbidden::Metadata));
        }
    }
}
