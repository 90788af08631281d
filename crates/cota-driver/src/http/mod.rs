//! The HTTP port: one request, one answer whose body comes in pieces.
//!
//! Effects, stores and sources of bots speak to services through it. `cota-effects` has the implementation for servers and
//! laptops; another platform brings its own [`HttpSend`].

mod body;

pub use body::BodyStream;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::address::{self, Forbidden, Reach};

/// Sends HTTP requests.
#[async_trait]
pub trait HttpSend: Send + Sync {
    /// Sends one request and returns once the head of the answer is there. It follows no redirect and undoes no compression.
    ///
    /// Deadlines are the caller's: dropping the future, or the body, ends the exchange. An implementation that resolves names
    /// itself checks each address it found with [`address::check_ip`] before it connects.
    ///
    /// # Errors
    /// When no answer came. An answer of any status is not an error.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// A request to an address that may be called.
#[derive(Clone)]
pub struct HttpRequest {
    url: Url,
    reach: Reach,
    /// How.
    pub method: Method,
    /// What is said about it; secrets among the values are marked sensitive.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
}

impl HttpRequest {
    /// A request without headers or body.
    ///
    /// # Errors
    /// When the address is beyond `reach`.
    pub fn new(method: Method, url: Url, reach: Reach) -> Result<Self, Forbidden> {
        address::check_url(&url, reach)?;
        Ok(Self { url, reach, method, headers: HeaderMap::new(), body: Bytes::new() })
    }

    /// Where it goes.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Which addresses its host's name may stand for.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Its parts, for whoever sends it.
    #[must_use]
    pub fn into_parts(self) -> (Method, Url, HeaderMap, Bytes) {
        (self.method, self.url, self.headers, self.body)
    }
}

/// The answer to a request.
pub struct HttpResponse {
    /// How it went.
    pub status: StatusCode,
    /// What is said about it.
    pub headers: HeaderMap,
    /// What it says.
    pub body: BodyStream,
}

/// Why no answer came, or not all of it. Never says where the request went or what it held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nobody answers at the address, or its name is unknown. Nothing was sent.
    #[error("it cannot be reached")]
    Connect,
    /// The server's certificate or its TLS settings were not accepted. Nothing was sent.
    #[error("no secure connection to it could be made; its certificate may be wrong or unknown here")]
    Tls,
    /// The address may not be called. Nothing was sent.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The client's own patience ended.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection ended before the answer did.
    #[error("the connection to it broke off")]
    Cut,
    /// The answer is larger than the caller allows.
    #[error("its answer is larger than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
}

impl HttpError {
    /// Whether the other side may have got the request.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Connect | Self::Tls | Self::Forbidden(_) => false,
            Self::Timeout | Self::Cut | Self::TooLarge { .. } => true,
        }
    }
}
