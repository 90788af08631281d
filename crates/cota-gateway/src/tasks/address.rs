//! Which task a request is about, and who may ask.

use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use cota_core::ids::{BotName, ConversationKey, SenderId, Seq};
use cota_core::task::Board;
use cota_protocol::problem::{Code, Problem};

use super::board;
use crate::access::{Identity, Scope};
use crate::gateway::Gateway;
use crate::request::{Addressed, Format, Visit};
use crate::respond::Refusal;

/// A request that starts a task.
pub(crate) struct Starting(Visit);

/// A request about a task that was started.
pub(crate) struct OfTask {
    to: Addressed,
    /// The step, where the route is about one.
    pub(super) step: Option<String>,
    pub(super) format: Format,
    pub(super) last_event_id: Option<Seq>,
}

impl Starting {
    /// Whose task it will be. Tasks are for operators.
    pub(super) async fn identity(self, gateway: &Gateway, sender: Option<SenderId>) -> Result<Identity, Problem> {
        let identity = gateway.speaker(self.0.caller, sender).await?;
        identity.scopes.require(Scope::Operator)?;
        Ok(identity)
    }
}

impl OfTask {
    /// The task with this id, of whichever name.
    pub(super) async fn find(self, gateway: &Gateway) -> Result<(ConversationKey, Board, Identity), Refusal> {
        let (key, identity) = self.to.resolve(gateway, None).await?;
        identity.scopes.require(Scope::Operator)?;
        for name in gateway.conversations().task_names() {
            let key = ConversationKey { bot: name, ..key.clone() };
            let board = board(gateway, &key).await?;
            if board.has_started() || gateway.conversations().state(&key).await?.is_some() {
                return Ok((key, board, identity));
            }
        }
        Err(Problem::new(Code::NotFound, "there is no task with this id; POST /v1/tasks starts one").into())
    }
}

impl FromRequestParts<Gateway> for Starting {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Refusal> {
        Ok(Self(Visit::from_request_parts(parts, gateway).await?))
    }
}

impl FromRequestParts<Gateway> for OfTask {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Refusal> {
        let to = Addressed::from_request_parts(parts, gateway).await?;
        let params = parts.extract::<RawPathParams>().await.map_err(|error| Problem::new(Code::BadRequest, error.body_text()))?;
        let step = params.iter().find(|(name, _)| *name == "step").map(|(_, step)| step.to_owned());
        let (format, last_event_id) = (to.format, to.last_event_id);
        Ok(Self { to, step, format, last_event_id })
    }
}

/// The task of this name; the only one where none is named.
pub(super) fn task_named(gateway: &Gateway, named: Option<&str>) -> Result<BotName, Problem> {
    let names = gateway.conversations().task_names();
    let found = match (named, names.as_slice()) {
        (Some(named), names) => names.iter().find(|name| name.as_str() == named),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(BotName::as_str).take(20).collect();
        let detail = match (named, known.is_empty()) {
            (_, true) => "this server has no task".to_owned(),
            (Some(_), false) => format!("there is no task of this name; this server has: {}", known.join(", ")),
            (None, false) => format!("say which `task`; this server has: {}", known.join(", ")),
        };
        Problem::new(Code::NotFound, detail).with("field", "task")
    })
}
