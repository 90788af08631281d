//! Where the sessions are that no socket of their client holds: those of event streams, which requests have to find again, and
//! those of Socket.IO's connections.
//!
//! A process that all requests come to holds them itself: [`Here`]. Where they come to many, each sender's are in one place
//! [elsewhere](Sessions), so that whatever a sender posts finds its streams, and a room knows everybody who is in it.

mod here;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value as Json};

use cota_core::ids::BotName;
use cota_protocol::problem::Problem;
use cota_protocol::sse;
use cota_protocol::websocket::{ClientFrame, FrameError};

use crate::access::Identity;
use crate::gateway::Gateway;
use crate::sse::Places;

pub use here::Here;

/// The place of the sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A session for one connection. It is over when it is dropped.
    ///
    /// # Errors
    /// Why there is none.
    async fn begin(&self, gateway: &Gateway, bot: &BotName, identity: &Identity) -> Result<Box<dyn Talk>, Problem>;

    /// An event stream, which goes on at these places. It is over when it is dropped.
    ///
    /// # Errors
    /// Why there is none.
    async fn stream(
        &self,
        gateway: &Gateway,
        bot: &BotName,
        identity: &Identity,
        places: &Places,
    ) -> Result<BoxStream<'static, sse::Event>, Problem>;

    /// Does what a posted frame says. A text or an image is said once, in a room that all streams of the sender follow from then
    /// on. Any other frame is for each of them: what the first one confirms, or nothing where none is open.
    ///
    /// # Errors
    /// Why it is not done.
    async fn post(&self, gateway: &Gateway, bot: &BotName, identity: &Identity, frame: ClientFrame) -> Result<Option<Confirmed>, Problem>;
}

/// One session, for who speaks in it.
#[async_trait]
pub trait Talk: Send {
    /// Does what a frame says, which counts as a request.
    ///
    /// # Errors
    /// Why it is not done.
    async fn hear(&mut self, frame: ClientFrame) -> Result<(), FrameError>;

    /// The next frame, as a client reads it; none, now and ever after, once the session is over. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Map<String, Json>>;
}

/// A frame that confirms another, as a client reads it.
pub type Confirmed = Map<String, Json>;
