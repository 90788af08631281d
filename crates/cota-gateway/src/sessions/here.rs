use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value as Json};

use cota_core::ids::{BotName, ConversationId};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse;
use cota_protocol::websocket::{ClientFrame, FrameError, JoinFrame, ServerFrame};

use super::{Confirmed, Sessions, Talk};
use crate::access::Identity;
use crate::gateway::Gateway;
use crate::limits::Connected;
use crate::sse::{Places, Reader, Streams, read};
use crate::websocket::Session;

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

    async fn post(
        &self,
        gateway: &Gateway,
        bot: &BotName,
        identity: &Identity,
        mut frame: ClientFrame,
    ) -> Result<Option<Confirmed>, Problem> {
        let reader = Reader { bot: bot.clone(), owner: identity.owner.clone(), sender: identity.sender.clone() };
        match frame.said().map(|(session_id, _)| session_id.clone()) {
            Some(session_id) => self.say(gateway, &reader, identity, frame, &session_id).await.map(|()| None),
            None => self.command(&reader, &frame).await,
        }
    }
}

impl Here {
    /// Says something once, in a room that all streams of the sender follow from then on.
    async fn say(
        &self,
        gateway: &Gateway,
        reader: &Reader,
        identity: &Identity,
        frame: ClientFrame,
        session_id: &ConversationId,
    ) -> Result<(), Problem> {
        let streams = self.0.of(reader);
        for stream in &streams {
            stream.hold().await.attend(session_id).await?;
        }
        for stream in &streams {
            let mut session = stream.hold().await;
            if !session.is_backed_up() {
                return Ok(session.obey(frame).await?);
            }
        }
        let mut session = Session::begin(gateway.clone(), reader.bot.clone(), identity.clone(), Connected::default());
        Ok(session.obey(frame).await?)
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
