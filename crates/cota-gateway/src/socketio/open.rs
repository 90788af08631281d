use http::HeaderValue;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

use cota_protocol::problem::Problem;
use cota_protocol::socketio::RequestError;
use cota_protocol::socketio::engine::Transport;

use super::Connection;
use super::connection::Visitor;
use crate::gateway::Gateway;
use crate::origin::{self, Refused};
use crate::request::{asked, bot, header_text};

/// Names for one connection, made by the target from randomness.
#[derive(Clone)]
pub struct Names {
    /// The transport's name of the connection. Who knows it may speak in it, so nobody may guess it.
    pub sid: String,
    /// What the client is called in the channel, and what conversations are called that it does not name itself.
    pub name: String,
}

impl Gateway {
    /// Checks from where a request for Socket.IO comes; the origin of the page that may read the answer, if it is one.
    ///
    /// # Errors
    /// When the request has to be refused.
    pub fn socketio_origin<'p>(&self, parts: &'p Parts) -> Result<Option<&'p HeaderValue>, RequestError> {
        let origin = header_text(&parts.headers, ORIGIN.as_str()).map_err(bad)?;
        let host = header_text(&parts.headers, HOST.as_str()).map_err(bad)?.or(parts.uri.host());
        match origin::check(origin, host, &self.options().hosts) {
            Ok(()) => Ok(parts.headers.get(ORIGIN)),
            Err(Refused::Host) => Err(RequestError::Forbidden("the header Host is none of this server's names".to_owned())),
            Err(Refused::Origin) => Err(RequestError::Forbidden("a page of this origin may not talk to this server".to_owned())),
        }
    }

    /// Opens a connection for an [admitted](Gateway::admit) request whose origin was checked.
    ///
    /// # Errors
    /// When its address names no bot of this deployment, or cannot be read.
    pub fn open_socketio(&self, parts: &Parts, transport: Transport, names: Names) -> Result<Connection, RequestError> {
        let asked = asked(parts).map_err(bad)?;
        let bot = bot(self, &parts.headers, asked.bot.as_deref()).map_err(bad)?;
        let visitor = Visitor { bot, named: asked.sender_id, known: parts.extensions.get().cloned(), name: names.name };
        Ok(Connection::new(self.clone(), visitor, &names.sid, transport))
    }
}

fn bad(problem: Problem) -> RequestError {
    RequestError::BadRequest(problem.detail)
}
