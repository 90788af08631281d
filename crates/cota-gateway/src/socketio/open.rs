use http::request::Parts;

use cota_protocol::problem::Problem;
use cota_protocol::socketio::RequestError;
use cota_protocol::socketio::engine::Transport;

use super::Connection;
use super::connection::Visitor;
use crate::gateway::Gateway;
use crate::request::{asked, bot};

/// Names for one connection, made by the target from randomness.
#[derive(Clone)]
pub struct Names {
    /// The transport's name of the connection. Who knows it may speak in it, so nobody may guess it.
    pub sid: String,
    /// What the client is called in the channel, and what conversations are called that it does not name itself.
    pub name: String,
}

impl Gateway {
    /// Opens a connection for an [admitted](Gateway::admit) request.
    ///
    /// # Errors
    /// When its address names no bot of this deployment or cannot be read, or too many are open from where it comes.
    pub fn open_socketio(&self, parts: &Parts, transport: Transport, names: Names) -> Result<Connection, RequestError> {
        let asked = asked(parts).map_err(bad)?;
        let bot = bot(self, &parts.headers, asked.bot.as_deref()).map_err(bad)?;
        let address = parts.extensions.get().copied();
        let connected = self.limiter().connect(None, address).map_err(limited)?;
        let visitor = Visitor { bot, named: asked.sender_id, known: parts.extensions.get().cloned(), address, name: names.name };
        Ok(Connection::new(self.clone(), visitor, &names.sid, transport, connected))
    }
}

fn limited(problem: Problem) -> RequestError {
    RequestError::RateLimited { retry_after: problem.retry_after().unwrap_or(1), message: problem.detail }
}

fn bad(problem: Problem) -> RequestError {
    RequestError::BadRequest(problem.detail)
}
