//! The way in: every HTTP request goes through the gateway's routes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use tower_service::Service as _;
use worker::{Context, Env, HttpRequest, event};

use cota_gateway::{Access, Gateway, Options, problem, socketio, websocket};
use cota_protocol::problem::{Code, Problem};

use crate::access::access;
use crate::bots;
use crate::platform::{self, PlatformClock, random_name};
use crate::remote::RemoteConversations;
use crate::settings::setting;
use crate::upgrade;

/// How long a request waits for its turn, in milliseconds: below the platform's patience with an idle connection.
const REQUEST_MS: u64 = 90_000;

#[event(fetch)]
async fn fetch(request: HttpRequest, env: Env, _context: Context) -> worker::Result<http::Response<Body>> {
    platform::begin(&env);
    #[cfg(feature = "tried")]
    if request.uri().path().starts_with(crate::tried::PATH) {
        return crate::tried::run(&env, request.uri().path()).await;
    }
    let host = request.uri().host().unwrap_or_default().to_owned();
    let access = match access(&env, is_local(&host)) {
        Ok(access) => access,
        Err(error) => {
            tracing::error!(%error, "the deployment serves nobody");
            return Ok(problem(&Problem::new(Code::IdentityUnavailable, error.to_string())));
        }
    };
    bots::current(&env).await;
    let gateway = gateway(&env, access, host)?;
    match request.uri().path() {
        websocket::PATH => upgrade::open(&gateway, &env, request.into_parts().0).await,
        socketio::PATH => crate::socketio::open(&gateway, request.into_parts().0).await,
        _ => {
            let Ok(response) = gateway.router().call(request).await;
            Ok(response)
        }
    }
}

/// Whether only this machine reaches a Worker under this name: nobody deploys one there.
fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The gateway of one request. What a request waits for belongs to it alone, so it shares nothing that waits with another.
fn gateway(env: &Env, access: Access, host: String) -> worker::Result<Gateway> {
    let clock = Arc::new(PlatformClock);
    let name = request_name()?;
    let conversations = RemoteConversations::of(env)?;
    // The platform routes by the name of the host, so a request's own is one of ours.
    let mut hosts = vec![host];
    hosts.extend(setting(env, "COTA_ALLOW_HOSTS").iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()));
    let options = Options { access, hosts, request_ms: REQUEST_MS, ..Options::new(clock, name) };
    Ok(Gateway::new(Arc::new(conversations), options))
}

/// A name that no other request has.
fn request_name() -> worker::Result<String> {
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
