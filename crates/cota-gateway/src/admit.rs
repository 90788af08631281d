//! What every request passes before its route: where it comes from, and the proof of who sends it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use cota_protocol::problem::{Code, Problem};

use crate::access::{Caller, Known};
use crate::address::ClientAddress;
use crate::gateway::Gateway;
use crate::identity::{Identities, keys, unauthorized};
use crate::origin::{self, Refused};
use crate::request::{asked, header_text};
use crate::{openai, respond, socketio};

/// What a page of another origin may send, what it may read, and for how long it may remember that, in seconds.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue =
    HeaderValue::from_static("accept, authorization, content-type, idempotency-key, last-event-id, x-conversation-id, x-cota-bot");
const READABLE: HeaderValue = HeaderValue::from_static("retry-after, www-authenticate");
const REMEMBER: HeaderValue = HeaderValue::from_static("600");

/// What is there for everybody, and for whoever watches over the server.
const FREE: [&str; 7] = ["/", "/health", "/ready", "/version", "/metrics", "/openapi.json", "/webhooks/rest/"];

/// Lets a request through to its route, and puts the headers on the answer that every answer has.
pub(crate) async fn admit(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let origin = parts.headers.get(ORIGIN).cloned();
    if let Err(problem) = gateway.admit(&mut parts).await {
        let answer = if openai::is_route(parts.uri.path()) { openai::refuse(&problem) } else { respond::problem(&problem) };
        // A page that may not use this server may not read why, either.
        let origin = origin.filter(|_| problem.code != Code::Forbidden && problem.code != Code::BadRequest);
        return respond::secure(share(answer, origin));
    }
    let answer = if is_preflight(&parts) { preflight() } else { next.run(Request::from_parts(parts, body)).await };
    respond::secure(share(answer, origin))
}

impl Gateway {
    /// Checks where a request comes from, and the proof of identity that it brings; notes in the request's extensions what it
    /// proves. A request without a proof goes on to its route, which refuses it if it needs one.
    ///
    /// The routes do this themselves. A target that opens a socket without them asks here first.
    ///
    /// # Errors
    /// When it is a page's that may not ask this server, too many come from its address, or the proof is not valid.
    pub async fn admit(&self, parts: &mut Parts) -> Result<(), Problem> {
        self.check_origin(parts)?;
        let address = ClientAddress::of(parts, self.options().address_header.as_ref());
        if let Some(address) = address {
            parts.extensions.insert(address);
        }
        if !is_free(parts) {
            self.limiter().request_from(address).await?;
        }
        self.look_for_keys(only(&parts.headers, &AUTHORIZATION)?.and_then(bearer)).await?;
        let Some(identities) = self.options().access.identities() else { return Ok(()) };
        if let Some(known) = identify(identities, parts).await? {
            parts.extensions.insert(known);
        }
        Ok(())
    }

    /// The caller of an admitted request that names `sender_id` in its address, if it does.
    pub(crate) fn caller(&self, parts: &Parts, sender_id: Option<&str>) -> Result<Caller, Problem> {
        self.options().access.caller(parts.extensions.get(), sender_id, parts.extensions.get().copied())
    }

    /// Where the first API key is yet to be made: whoever comes with one may have made it.
    pub(crate) async fn look_for_keys(&self, token: Option<&str>) -> Result<(), Problem> {
        let access = &self.options().access;
        if access.identities().is_none() && token.is_some_and(keys::is_key) {
            access.look_for_keys().await.map_err(|error| respond::unreadable(&error))?;
        }
        Ok(())
    }

    /// A request with neither header is no browser's.
    fn check_origin(&self, parts: &Parts) -> Result<(), Problem> {
        let origin = only(&parts.headers, &ORIGIN)?;
        let host = only(&parts.headers, &HOST)?.or(parts.uri.host());
        if origin.is_none() && host.is_none() {
            return Ok(());
        }
        origin::check(origin, host, &self.options().hosts).map_err(foreign)
    }
}

/// Whether a request counts as none: it asks for what is there for everybody, or is one of many that carry a connection, of which
/// each event counts by itself.
fn is_free(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let carries = path == socketio::PATH && parts.uri.query().is_some_and(|query| query.contains("sid="));
    FREE.contains(&path) || path.starts_with("/page/") || carries || is_preflight(parts)
}

/// Who a request is from, by its header, else by the ticket in its address.
async fn identify(identities: &Identities, parts: &Parts) -> Result<Option<Known>, Problem> {
    if let Some(header) = only(&parts.headers, &AUTHORIZATION)? {
        let token = bearer(header).ok_or_else(|| unauthorized("the header Authorization has to be `Bearer` and an API key or a JWT"))?;
        return identities.identify(token).await.map(Some);
    }
    let may_have_ticket = parts.method == Method::GET && parts.uri.query().is_some_and(|query| query.contains("ticket="));
    if may_have_ticket && let Some(ticket) = asked(parts)?.ticket {
        return identities.redeem(&ticket).await.map(Some);
    }
    Ok(None)
}

/// A header's text, if it is there. Of two, a proxy may have looked at the other one.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(Problem::new(Code::BadRequest, format!("the header {name} comes more than once")));
    }
    header_text(headers, name.as_str())
}

/// The token of RFC 6750.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

fn foreign(refused: Refused) -> Problem {
    let detail = match refused {
        Refused::Host => "the header Host is none of this server's names; connect by address or as localhost, or have the name allowed",
        Refused::Origin => "a page of this origin may not use this server; serve the page from this server, or have its host allowed",
    };
    Problem::new(Code::Forbidden, detail)
}

/// Whether a browser asks if a page may send something.
fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBER);
    answer
}

/// Lets the page that asked read the answer: its origin has been checked. Never with credentials: a proof is a header that a page
/// has to send itself.
fn share(mut answer: Response, origin: Option<HeaderValue>) -> Response {
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    answer
}
