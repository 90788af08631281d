//! Frames that a sender posts. They are for all of its event streams, since a request cannot say which one it means.

use std::sync::Arc;

use futures_channel::oneshot;

use cota_gateway::websocket::Saying;
use cota_protocol::websocket::{ClientFrame, FrameError, JoinFrame, ServerFrame};

use super::desk::{Desk, Job};
use super::frames::{check_sender, refused};
use super::socket::{Socket, Visitor};

/// Takes a posted frame when its turn comes. What it confirms as a frame, or the `error`; nothing where there is no stream to do it.
pub(super) async fn take(desk: &Arc<Desk>, visitor: Visitor, frame: String) -> String {
    let (answer, answered) = oneshot::channel();
    desk.run(Job::Posted(visitor, frame, answer)).await;
    answered.await.unwrap_or_default()
}

impl Desk {
    /// Does what a posted frame says.
    pub(super) async fn post(&self, visitor: Visitor, frame: &str) -> String {
        let done = match ClientFrame::decode(frame) {
            Ok(ClientFrame::Text(frame)) => self.say_once(visitor, frame.into()).await.map(|()| None),
            Ok(ClientFrame::Image(frame)) => self.say_once(visitor, frame.into()).await.map(|()| None),
            Ok(frame) => self.command(&frame).await,
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| Some(error.answer())).map(|frame| frame.encode()).unwrap_or_default()
    }

    /// Says something once, in a room that all streams of the sender follow from then on.
    async fn say_once(&self, visitor: Visitor, saying: Saying) -> Result<(), FrameError> {
        let message_id = saying.message_id.clone();
        let of_problem = |problem| refused(problem, message_id.clone());
        check_sender(&visitor, saying.sender_id.as_ref()).map_err(of_problem)?;
        let streams = self.event_streams();
        for id in &streams {
            if let Some(mut socket) = self.socket(id) {
                let attended = self.attend(id, &mut socket, &saying.session_id).await;
                self.keep(id, socket);
                attended.map_err(of_problem)?;
            }
        }
        match streams.first().and_then(|id| Some((id, self.socket(id)?))) {
            Some((id, mut socket)) => {
                let said = self.say(id, &mut socket, saying).await;
                self.keep(id, socket);
                said
            }
            None => {
                let key = Socket::new(visitor.clone()).key(&saying.session_id);
                self.offer(&visitor, &key, saying).await.map(drop).map_err(of_problem)
            }
        }
    }

    /// Has every stream do something; the confirmation of the first. An invitation is for the first alone.
    async fn command(&self, frame: &ClientFrame) -> Result<Option<ServerFrame>, FrameError> {
        let mut confirmed = None;
        for id in self.event_streams() {
            let Some(mut socket) = self.socket(&id) else { continue };
            let done = self.obey(&id, &mut socket, frame.clone()).await;
            self.keep(&id, socket);
            confirmed = confirmed.or(done?);
            if matches!(frame, ClientFrame::Join(JoinFrame { token: Some(_), .. })) {
                break;
            }
        }
        Ok(confirmed)
    }
}
