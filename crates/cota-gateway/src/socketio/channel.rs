//! What the events mean: the session of COTA's frames, spoken to in two vocabularies.

use futures_util::FutureExt as _;
use futures_util::future::pending;
use serde_json::{Map, Value as Json};

use cota_core::ids::{BotName, ConversationId, MessageId, SenderId};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::socketio::{Answer, Arguments, ClientEvent, Saying, plain_server_event, server_event};
use cota_protocol::websocket::{ClientFrame, FrameError, JoinFrame, LeaveFrame, TextFrame};

use crate::access::{Caller, Identity};
use crate::gateway::Gateway;
use crate::sessions::Talk;

pub(super) struct Channel {
    gateway: Gateway,
    bot: BotName,
    caller: Caller,
    name: String,
    /// There once it is settled who speaks.
    talk: Option<Talking>,
    /// The conversation that was entered last.
    current: Option<ConversationId>,
    /// Whether the client speaks Rasa's words: it shows itself what its user says, and of what others say only the plain text.
    shows_own: bool,
    /// A conversation that is about to be confirmed in Rasa's words.
    requested: Option<ConversationId>,
    /// Conversations that were given a name here.
    named: u32,
}

/// A session, and whose it is.
struct Talking {
    session: Box<dyn Talk>,
    sender: SenderId,
}

impl Channel {
    pub(super) fn new(gateway: Gateway, bot: BotName, caller: Caller, name: String) -> Self {
        Self { gateway, bot, caller, name, talk: None, current: None, shows_own: false, requested: None, named: 0 }
    }

    /// Does what an event says; the answer is for who asked for one.
    pub(super) async fn hear(&mut self, name: &str, arguments: Arguments) -> Result<Answer, FrameError> {
        match ClientEvent::decode(name, arguments)? {
            ClientEvent::Login { user_id } => self.log_in(user_id).await,
            ClientEvent::Frame(frame) => self.obey(frame).await,
            ClientEvent::Leave { session_id } => {
                let session_id =
                    self.meant(session_id).ok_or_else(|| refused(Code::BadFrame, "`session_id` is missing: say what to leave"))?;
                self.obey(ClientFrame::Leave(LeaveFrame { session_id, sender_id: None })).await
            }
            ClientEvent::SessionRequest { session_id } => self.request(session_id).await,
            ClientEvent::UserUttered(saying) => self.say(saying).await,
        }
    }

    /// The next frame of the session, none once it is over; never one before it is settled who speaks. Dropping the future loses
    /// nothing.
    pub(super) async fn next(&mut self) -> Option<Map<String, Json>> {
        match &mut self.talk {
            Some(talk) => talk.session.next().await,
            None => pending().await,
        }
    }

    /// The next frame if there is one already.
    pub(super) fn ready(&mut self) -> Option<Map<String, Json>> {
        self.next().now_or_never().flatten()
    }

    /// A frame of the session as an event, where it is one for this client.
    pub(super) fn event(&mut self, frame: Map<String, Json>) -> Option<(String, Json)> {
        let text = |name| frame.get(name).and_then(Json::as_str);
        match text("type") {
            Some("join_confirm") => {
                if let Some(requested) = self.requested.take_if(|requested| text("session_id") == Some(requested.as_str())) {
                    return Some(("session_confirm".to_owned(), requested.as_str().into()));
                }
            }
            Some("text" | "image") if self.shows_own && text("sender") == Some("user") && self.is_own(text("sender_id")) => return None,
            Some(_) | None => {}
        }
        Some(if self.shows_own { plain_server_event(frame) } else { server_event(frame) })
    }

    async fn log_in(&mut self, user_id: Option<SenderId>) -> Result<Answer, FrameError> {
        if let (Some(talk), Some(user_id)) = (&self.talk, &user_id)
            && talk.sender != *user_id
        {
            return Err(refused(Code::Forbidden, "this connection speaks for another user already; open another one"));
        }
        if self.talk.is_none() {
            self.begin(user_id).await?;
        }
        Ok(Answer::Ok { message_id: None, session_id: None })
    }

    async fn request(&mut self, session_id: Option<ConversationId>) -> Result<Answer, FrameError> {
        self.shows_own = true;
        let session_id = match session_id {
            Some(session_id) => session_id,
            None => self.new_conversation()?,
        };
        self.requested = Some(session_id.clone());
        let join = JoinFrame { session_id, sender_id: None, stream: false, after: None, token: None };
        self.obey(ClientFrame::Join(join)).await.inspect_err(|_| self.requested = None)
    }

    async fn say(&mut self, saying: Saying) -> Result<Answer, FrameError> {
        let Saying { session_id, text, message_id, metadata } = saying;
        let session_id = match self.meant(session_id) {
            Some(session_id) => session_id,
            None => self.new_conversation()?,
        };
        self.obey(ClientFrame::Text(TextFrame { session_id, sender_id: None, receiver: None, text, message_id, metadata })).await
    }

    async fn obey(&mut self, mut frame: ClientFrame) -> Result<Answer, FrameError> {
        let (session_id, message_id) = self.prepare(&mut frame)?;
        let is_leaving = matches!(frame, ClientFrame::Leave(_));
        let sender = frame.sender_id().cloned();
        let talk = match &mut self.talk {
            Some(talk) => talk,
            None => self.begin(sender).await?,
        };
        talk.session.hear(frame).await?;
        if !is_leaving {
            self.current.clone_from(&session_id);
        } else if self.current == session_id {
            self.current = None;
        }
        Ok(Answer::Ok { message_id, session_id })
    }

    /// The frame's conversation and message. A message without an id is given one, so that the answer can name it.
    fn prepare(&self, frame: &mut ClientFrame) -> Result<(Option<ConversationId>, Option<MessageId>), FrameError> {
        if let ClientFrame::Join(JoinFrame { session_id, .. }) | ClientFrame::Leave(LeaveFrame { session_id, .. }) = frame {
            return Ok((Some(session_id.clone()), None));
        }
        let Some((session_id, message_id)) = frame.said() else { return Ok((None, None)) };
        let given = self.gateway.message_id(message_id.take()).map_err(of_problem)?;
        *message_id = Some(given.clone());
        Ok((Some(session_id.clone()), Some(given)))
    }

    /// Settles who speaks.
    async fn begin(&mut self, sender: Option<SenderId>) -> Result<&mut Talking, FrameError> {
        let identity: Identity = self.caller.clone().speaking_as(sender).map_err(of_problem)?;
        let sender = identity.sender.clone();
        let begun = self.gateway.options().sessions.begin(&self.gateway, &self.bot, &identity).await;
        Ok(self.talk.insert(Talking { session: begun.map_err(of_problem)?, sender }))
    }

    fn meant(&self, session_id: Option<ConversationId>) -> Option<ConversationId> {
        session_id.or_else(|| self.current.clone())
    }

    fn new_conversation(&mut self) -> Result<ConversationId, FrameError> {
        self.named = self.named.saturating_add(1);
        ConversationId::new(format!("{}-{}", self.name, self.named)).map_err(|error| refused(Code::Internal, error.to_string()))
    }

    fn is_own(&self, sender_id: Option<&str>) -> bool {
        self.talk.as_ref().is_some_and(|talk| Some(talk.sender.as_str()) == sender_id)
    }
}

fn of_problem(problem: Problem) -> FrameError {
    let retry_after = problem.retry_after();
    FrameError { retry_after, ..refused(problem.code, problem.detail) }
}

fn refused(code: Code, message: impl Into<String>) -> FrameError {
    FrameError { code, message: message.into(), field: None, message_id: None, retry_after: None }
}
