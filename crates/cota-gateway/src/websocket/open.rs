use axum::response::Response;
use http::request::Parts;

use cota_core::ids::BotName;
use cota_protocol::problem::Problem;

use super::Session;
use crate::access::Identity;
use crate::gateway::Gateway;
use crate::request::{asked, bot};
use crate::respond;

/// What becomes of a request for a socket.
pub enum Opening {
    /// Upgrade, and serve this session.
    Session(Box<Session>),
    /// Upgrade, and close with [`MISSING_SENDER`](super::MISSING_SENDER): before the upgrade a browser could not tell why.
    MissingSender,
    /// Answer with this instead of upgrading.
    Refused(Response),
}

impl Gateway {
    /// Decides on an [admitted](Gateway::admit) request for a socket. The session it may yield is logged in already.
    #[must_use]
    pub fn open(&self, parts: &Parts) -> Opening {
        match self.try_open(parts) {
            Ok(Some(session)) => Opening::Session(Box::new(session)),
            Ok(None) => Opening::MissingSender,
            Err(problem) => Opening::Refused(respond::problem(&problem)),
        }
    }

    fn try_open(&self, parts: &Parts) -> Result<Option<Session>, Problem> {
        let Some((bot, identity)) = self.visitor(parts)? else { return Ok(None) };
        let connected = self.limiter().connect(Some(&identity.owner), identity.address)?;
        Ok(Some(Session::begin(self.clone(), bot, identity, connected)))
    }

    /// Who asks for a socket in an [admitted](Gateway::admit) request, and with which bot; `None` if it does not say who speaks.
    ///
    /// # Errors
    /// Why the socket is refused.
    pub fn visitor(&self, parts: &Parts) -> Result<Option<(BotName, Identity)>, Problem> {
        let asked = asked(parts)?;
        let bot = bot(self, &parts.headers, asked.bot.as_deref())?;
        let caller = self.caller(parts, asked.sender_id.as_deref())?;
        if !caller.is_named() {
            return Ok(None);
        }
        Ok(Some((bot, caller.speaking_as(None)?)))
    }
}
