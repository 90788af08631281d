//! The table of routes.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use http::{Method, StatusCode};

use cota_protocol::problem::{Code, Problem};
use cota_protocol::rest::BODY_BYTES;

use crate::admit;
use crate::conversations::{forget, post_message, show, show_events, show_message};
use crate::gateway::Gateway;
use crate::operations::{health, metrics, ready, version};
use crate::page::home;
use crate::{openai, passes, rasa, respond, sse, tasks, tracker_routes};

/// A path, and what it takes.
pub(crate) type Route = (&'static str, fn() -> MethodRouter<Gateway>);

/// Every route that decides something. The OpenAPI document describes the same ones, which a test proves.
pub(crate) const TABLE: &[Route] = &[
    ("/", || get(home)),
    ("/health", || get(health)),
    ("/ready", || get(ready)),
    ("/version", || get(version)),
    ("/metrics", || get(metrics)),
    (openai::COMPLETIONS, || post(openai::complete).layer(DefaultBodyLimit::max(openai::BODY_BYTES))),
    (openai::MODELS, || get(openai::list_models)),
    ("/sse", || get(sse::open)),
    ("/sse/message", || post(sse::take)),
    ("/webhooks/rest/", || get(rasa::status)),
    ("/webhooks/rest/webhook", || post(rasa::webhook)),
    ("/add/message/{id}/tracker", || post(tracker_routes::add_message)),
    ("/get/conversations/{id}/tracker", || get(tracker_routes::show_tracker)),
    ("/get/latest/utter/conversations", || get(tracker_routes::list_latest)),
    ("/get/history/message/conversation/{id}", || get(tracker_routes::list_history)),
    ("/v1/tasks", || get(tasks::list).post(tasks::start)),
    ("/v1/tasks/{id}", || get(tasks::show)),
    ("/v1/tasks/{id}/steps/{step}", || post(tasks::answer)),
    ("/v1/tasks/{id}/cancel", || post(tasks::cancel)),
    ("/v1/tickets", || post(passes::issue_ticket)),
    ("/v1/conversations/{id}/invitations", || post(passes::invite)),
    ("/v1/conversations/{id}", || get(show).delete(forget)),
    ("/v1/conversations/{id}/events", || get(show_events)),
    ("/v1/conversations/{id}/messages", || post(post_message)),
    ("/v1/conversations/{id}/messages/{message_id}", || get(show_message)),
];

/// All routes, and the target's own.
pub(crate) fn router(gateway: Gateway, own: Router) -> Router {
    serving(TABLE.iter(), gateway, own)
}

/// The routes that a path may mean: it is answered as by all of them, and they are made much sooner.
pub(crate) fn router_of(path: &str, gateway: Gateway) -> Router {
    serving(TABLE.iter().filter(|(pattern, _)| matches(pattern, path)), gateway, Router::new())
}

fn serving<'r>(routes: impl Iterator<Item = &'r Route>, gateway: Gateway, own: Router) -> Router {
    routes
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods()))
        .merge(files())
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(gateway.clone())
        .merge(own)
        .layer(middleware::from_fn_with_state(gateway, admit::admit))
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|wanted| segments.next().is_some_and(|segment| wanted.starts_with('{') || wanted == segment))
        && segments.next().is_none()
}

/// What is the same for everybody.
#[cfg(feature = "files")]
fn files() -> Router<Gateway> {
    crate::page::parts().route("/openapi.json", get(crate::operations::document))
}

/// Whoever serves the gateway serves it beside it.
#[cfg(not(feature = "files"))]
fn files() -> Router<Gateway> {
    Router::new()
}

/// The `Allow` header is the router's own.
async fn wrong_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = format!("this route does not take {}; the header Allow names what it takes", request.method());
    respond::problem(&Problem::new(Code::MethodNotAllowed, detail))
}

async fn no_route() -> Response {
    respond::problem(&Problem::new(Code::NotFound, "there is no such route; GET /openapi.json describes all of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_routes_of_its_pattern_alone() {
        let meant = |path: &str| TABLE.iter().map(|(pattern, _)| *pattern).filter(|pattern| matches(pattern, path)).collect::<Vec<_>>();
        for (pattern, _) in TABLE {
            let path = pattern.replace("{id}", "a%2Fb").replace("{message_id}", "m").replace("{step}", "s").replace("{name}", "n");
            assert_eq!(meant(&path), [*pattern], "{path}");
        }
        for path in ["", "//", "/v1", "/v1/", "/health/", "/v1/conversations/a/b", "/v1/conversations/a/messages/b/c", "health"] {
            assert_eq!(meant(path), [""; 0], "{path}");
        }
    }
}
