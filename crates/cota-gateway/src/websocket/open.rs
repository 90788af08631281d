use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

use cota_protocol::problem::{Code, Problem};

use super::Session;
use crate::gateway::Gateway;
use crate::origin::{self, Refused};
use crate::request::{asked, bot, header_text};
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
        let origin = header_text(&parts.headers, ORIGIN.as_str())?;
        let host = header_text(&parts.headers, HOST.as_str())?.or(parts.uri.host());
        origin::check(origin, host, &self.options().hosts).map_err(foreign)?;
        let asked = asked(parts)?;
        let bot = bot(self, &parts.headers, asked.bot.as_deref())?;
        let caller = self.caller(parts, asked.sender_id.as_deref())?;
        if !caller.is_named() {
            return Ok(None);
        }
        Ok(Some(Session::begin(self.clone(), bot, caller.speaking_as(None)?)))
    }
}

fn foreign(refused: Refused) -> Problem {
    let detail = match refused {
        Refused::Host => "the header Host is none of this server's names; connect by address or as localhost, or have the name allowed",
        Refused::Origin => "a page of this origin may not open a socket here; serve the page from this server, or have its host allowed",
    };
    Problem::new(Code::Forbidden, detail)
}
