//! `POST /v1/tickets` and `POST /v1/conversations/{id}/invitations`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use cota_protocol::problem::{Code, Problem};

use crate::gateway::Gateway;
use crate::identity::{INVITATION_SECONDS, Identities, TICKET_SECONDS};
use crate::request::{Addressed, Visit};
use crate::respond::{self, Refusal};

/// Makes a ticket for the caller.
pub(crate) async fn issue_ticket(State(gateway): State<Gateway>, Visit { caller, .. }: Visit) -> Result<Response, Refusal> {
    let identities = identities(&gateway)?;
    let ticket = identities.ticket(gateway.speaker(caller, None).await?).await?;
    Ok(respond::json(StatusCode::CREATED, &json!({"ticket": ticket, "expires_in": TICKET_SECONDS})))
}

/// Makes an invitation into one of the caller's conversations.
pub(crate) async fn invite(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let identities = identities(&gateway)?;
    let (key, _) = to.resolve(&gateway, None).await?;
    let token = identities.invite(&key).await?;
    Ok(respond::json(StatusCode::CREATED, &json!({"conversation_id": key.id, "token": token, "expires_in": INVITATION_SECONDS})))
}

fn identities(gateway: &Gateway) -> Result<&Identities, Problem> {
    let nobody = || Problem::new(Code::NotFound, "nobody is identified here: connect and join without a token");
    gateway.options().access.identities().ok_or_else(nobody)
}
