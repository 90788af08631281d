//! What every request passes before its route: the proof of who sends it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;

use cota_protocol::problem::Problem;

use crate::access::{Access, Caller};
use crate::gateway::Gateway;
use crate::identity::unauthorized;
use crate::request::header_text;
use crate::respond;

/// Lets a request through to its route, and puts the headers on the answer that every answer has.
pub(crate) async fn admit(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let answer = match gateway.admit(&mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => respond::problem(&problem),
    };
    respond::secure(answer)
}

impl Gateway {
    /// Checks the proof of identity that a request brings, and notes in the request's extensions what it proves. A request without
    /// one goes on to its route, which refuses it if it needs one.
    ///
    /// The routes do this themselves. A target that opens a socket without them asks here first.
    ///
    /// # Errors
    /// When the proof is not valid.
    pub async fn admit(&self, parts: &mut Parts) -> Result<(), Problem> {
        let Access::On(identities) = &self.options().access else { return Ok(()) };
        let Some(header) = header_text(&parts.headers, AUTHORIZATION.as_str())? else { return Ok(()) };
        let token = bearer(header).ok_or_else(|| unauthorized("the header Authorization has to be `Bearer` and an API key or a JWT"))?;
        let known = identities.identify(token).await?;
        parts.extensions.insert(known);
        Ok(())
    }

    /// The caller of an admitted request that names `sender_id` in its address, if it does.
    pub(crate) fn caller(&self, parts: &Parts, sender_id: Option<&str>) -> Result<Caller, Problem> {
        self.options().access.caller(parts.extensions.get(), sender_id)
    }
}

/// The token of RFC 6750.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}
