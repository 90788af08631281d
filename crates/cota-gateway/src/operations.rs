//! The routes for operators: liveness, readiness, version, metrics, the description of the routes.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use cota_protocol::problem::{Code, Problem};

use crate::gateway::Gateway;
use crate::respond::{self, Refusal};
use crate::{metrics as exposition, routes};

/// The description of every route in [`routes::TABLE`], and of itself.
#[cfg(feature = "files")]
const OPENAPI: &str = include_str!("openapi.json");

/// The process lives.
pub(crate) async fn health() -> Response {
    respond::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// The process can answer messages.
pub(crate) async fn ready(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    gateway.conversations().ready().await?;
    let bots = gateway.conversations().bot_names().len();
    if bots == 0 {
        return Err(Problem::new(Code::UnknownBot, "the store answers, but no bot is loaded").into());
    }
    Ok(respond::json(StatusCode::OK, &json!({"status": "ready", "checks": {"store": "ok", "bots": bots}})))
}

/// The version of the server.
pub(crate) async fn version() -> Response {
    respond::json(StatusCode::OK, &json!({"version": env!("CARGO_PKG_VERSION")}))
}

/// What the process has done, for Prometheus.
pub(crate) async fn metrics(State(gateway): State<Gateway>) -> Response {
    let sockets = gateway.sockets().load(Ordering::Relaxed);
    respond::text("text/plain; version=0.0.4; charset=utf-8", exposition::text(gateway.conversations().metrics(), sockets))
}

/// The routes as an OpenAPI document.
#[cfg(feature = "files")]
pub(crate) async fn document() -> Response {
    respond::text("application/json", OPENAPI)
}

/// What there is to be had here, for somebody who comes with a browser.
pub(crate) async fn welcome() -> Response {
    let mut text = String::from("This is a COTA server. Its routes, described at /openapi.json:\n\n");
    for (path, _) in routes::TABLE {
        text.push_str(path);
        text.push('\n');
    }
    text.push_str("/openapi.json\n/websocket?sender_id=YOU\n");
    respond::text("text/plain; charset=utf-8", text)
}
