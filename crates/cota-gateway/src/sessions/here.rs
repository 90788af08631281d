use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value as Json};

use cota_core::ids::{BotName, ConversationKey};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse;
use cota_protocol::websocket::{ClientFrame, FrameError, JoinFrame, ServerFrame};

use super::{Confirmed, Sessions, Talk};
use crate::access::Identity;
use crate::gateway::Gateway;
use crate::sse::{Places, Reader, Streams, read};
use crate::websocket::{Saying, Session, refused};

/// The sessions of this process.
#[derive(Default)]
pub struct Here(Arc<Streams>);

#[async_trait]
impl Sessions for Here {
    async fn begin(&self, gateway: &Gateway, bot: &BotName, identity: &Identity) -> Result<Box<dyn Talk>, Problem> {
        // The address' place is the connection's already.
        let connected = gateway.limiter().connect(Some(&identity.owner), None)?;
        Ok(Box::new(Session::begin(gateway.clone(), bot.clone(), identity.clone(), connected)))
    }

    async fn stream(
        &self,
        gateway: &Gateway,
        bot: &BotName,
        identity: &Identity,
        places: &Places,
    ) -> Result<BoxStream<'static, sse::Event>, Problem> {
        let connected = gateway.limiter().stream(&identity.owner, identity.address).await?;
        let mut session = Session::begin(gateway.clone(), bot.clone(), identity.clone(), connected);
        for join in places.joins() {
            // What does not work is told on the stream.
            session.take(join).await;
        }
        Ok(read(Arc::clone(&self.0), session, places.clone()))
    }

    async fn post(&self, gateway: &Gateway, bot: &BotName, identity: &Identity, frame: ClientFrame) -> Result<Option<Confirmed>, Problem> {
        let reader = Reader { bot: bot.clone(), owner: identity.owner.clone(), sender: identity.sender.clone() };
        match frame {
            ClientFrame::Text(frame) => self.say(gateway, &reader, identity, frame.into()).await.map(|()| None),
            ClientFrame::Image(frame) => self.say(gateway, &reader, identity, frame.into()).await.map(|()| None),
            ClientFrame::Join(_) | ClientFrame::Leave(_) | ClientFrame::Ping => self.command(&reader, &frame).await,
        }
    }
}

impl Here {
    /// Says something once, in a room that all streams of the sender follow from then on. Who has none is in no room, but may speak.
    async fn say(&self, gateway: &Gateway, reader: &Reader, identity: &Identity, saying: Saying) -> Result<(), Problem> {
        let Reader { bot, owner, sender: _ } = reader.clone();
        let mut key = ConversationKey { bot, owner, id: saying.session_id.clone() };
        let streams = self.0.of(reader);
        for stream in &streams {
            let mut session = stream.hold().await;
            session.attend(&key.id).await?;
            key = session.key(&key.id);
        }
        for stream in &streams {
            let mut session = stream.hold().await;
            if !session.is_backed_up() {
                return Ok(session.say(saying).await?);
            }
        }
        let message_id = saying.message_id.clone();
        let offered = gateway.offer(&key, saying, identity).await;
        Ok(offered.map(drop).map_err(|problem| refused(problem, message_id))?)
    }

    /// Has every stream of the sender do something; the confirmation of the first. A stream that nobody reads is not filled, and an
    /// invitation is for the first alone.
    async fn command(&self, reader: &Reader, frame: &ClientFrame) -> Result<Option<Confirmed>, Problem> {
        let streams = self.0.of(reader);
        let mut confirmed = None;
        for stream in &streams {
            let mut session = stream.hold().await;
            if !session.is_backed_up() {
                session.obey(frame.clone()).await?;
                confirmed = confirmed.or_else(|| session.latest().map(ServerFrame::fields));
                if matches!(frame, ClientFrame::Join(JoinFrame { token: Some(_), .. })) {
                    break;
                }
            }
        }
        if confirmed.is_none() && !streams.is_empty() {
            let detail = "this sender's stream is not being read; read it, then send the frame again";
            return Err(Problem::new(Code::RateLimited, detail));
        }
        Ok(confirmed)
    }
}

#[async_trait]
impl Talk for Session {
    async fn hear(&mut self, frame: ClientFrame) -> Result<(), FrameError> {
        Self::hear(self, frame).await
    }

    async fn next(&mut self) -> Option<Map<String, Json>> {
        Some(Self::next(self).await.fields())
    }
}
