//! The way in: every HTTP request goes through the gateway's routes.

use axum::body::Body;
use http::{Request, Response};
use tower_service::Service as _;
use worker::{Context, Env, event, web_sys};

use cota_gateway::{Access, problem, socketio, websocket};

use crate::access::{NotReady, access};
use crate::bots;
use crate::gateway::gateway;
use crate::limits::limits;
use crate::platform;
use crate::upgrade;

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, _context: Context) -> worker::Result<web_sys::Response> {
    platform::begin(&env);
    let request = platform::take(&request).await?;
    platform::give(answer(request, &env).await?).await
}

async fn answer(request: Request<Body>, env: &Env) -> worker::Result<Response<Body>> {
    #[cfg(feature = "tried")]
    if request.uri().path().starts_with(crate::tried::PATH) {
        return crate::tried::run(env, request.uri().path()).await;
    }
    let host = request.uri().host().unwrap_or_default().to_owned();
    let access = match ready(env, &host) {
        Ok(access) => access,
        Err(error) => {
            tracing::error!(%error, "the deployment serves nobody");
            return Ok(problem(&error.problem()));
        }
    };
    bots::current(env).await;
    let gateway = gateway(env, access, Some(host))?;
    match request.uri().path() {
        websocket::PATH => upgrade::open(&gateway, env, request.into_parts().0).await,
        socketio::PATH => crate::socketio::open(&gateway, request.into_parts().0).await,
        path => {
            let Ok(response) = gateway.router_of(path).call(request).await;
            Ok(response)
        }
    }
}

/// How callers are known, once nothing that has to hold for them is set wrong.
fn ready(env: &Env, host: &str) -> Result<Access, NotReady> {
    limits(env)?;
    access(env, is_local(host))
}

/// Whether only this machine reaches a Worker under this name: nobody deploys one there.
fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
