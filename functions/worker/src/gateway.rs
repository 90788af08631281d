//! The gateway of one request, or of one object. What a request waits for belongs to it alone, so it shares nothing that waits
//! with another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderName;
use worker::Env;

use cota_gateway::{Access, Gateway, Options};

use crate::limits::limiter;
use crate::platform::{PlatformClock, random_name};
use crate::remote::RemoteConversations;
use crate::sessions::RemoteSessions;
use crate::settings::setting;

/// How long a request waits for its turn, in milliseconds: below the platform's patience with an idle connection.
const REQUEST_MS: u64 = 90_000;

/// The header in which the platform says from which address a request comes. It lets no client say so.
const ADDRESS: HeaderName = HeaderName::from_static("cf-connecting-ip");

/// A gateway to the conversations of the deployment. The platform routes by the name of the host, so a request's own is one of
/// ours.
pub(crate) fn gateway(env: &Env, access: Access, host: Option<String>) -> worker::Result<Gateway> {
    let conversations = RemoteConversations::of(env)?;
    let allowed = setting(env, "COTA_ALLOW_HOSTS").unwrap_or_default();
    let allowed = allowed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let hosts = host.into_iter().chain(allowed).collect();
    let options = Options {
        access,
        hosts,
        request_ms: REQUEST_MS,
        limiter: limiter(env)?,
        address_header: Some(ADDRESS),
        ..Options::with_sessions(Arc::new(PlatformClock), instance()?, Arc::new(RemoteSessions::of(env)?))
    };
    Ok(Gateway::new(Arc::new(conversations), options))
}

/// A name that no other request has.
fn instance() -> worker::Result<String> {
    static ISOLATE: OnceLock<String> = OnceLock::new();
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let isolate = match ISOLATE.get() {
        Some(isolate) => isolate,
        None => {
            let name = random_name().map_err(|error| worker::Error::RustError(error.to_string()))?;
            ISOLATE.get_or_init(|| name)
        }
    };
    Ok(format!("{isolate}-{:x}", REQUESTS.fetch_add(1, Ordering::Relaxed)))
}
