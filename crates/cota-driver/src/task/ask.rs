//! What a task asks of others: its planner, its agents, and the conversation that it reports to.

use futures_util::StreamExt as _;

use cota_core::event::{Event, EventBody, MessageContent, TurnEnd};
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::machine::{EffectError, FailureKind};
use cota_core::prompt::ChatRequest;
use cota_core::task::{Completed, SENDER, outcome_of};
use cota_core::turn::Outcome;

use super::Crew;
use crate::host::{SendError, Sent, Update};
use crate::ports::{Job, Pieces, Work};
use crate::store::{NewMessage, Progress};

/// How long a full inbox is given before it is tried again, in milliseconds.
const PAUSE_MS: u64 = 300;
/// Whom progress is for that is shown and no more.
const PEOPLE: &str = "user";
/// Events that are read at once.
const PAGE: usize = 1_000;

/// Why there is no outcome.
pub(super) enum Asked {
    /// It failed.
    Failed(EffectError),
    /// Nobody has answered yet.
    Unanswered,
    /// This process cannot go on.
    Stopping,
}

/// Asks the planner's LLM, and those it falls back to.
pub(super) async fn plan(
    crew: Crew<'_>,
    llm: String,
    chat: Option<ChatRequest>,
    key: String,
    deadline: Timestamp,
) -> Result<Completed, Asked> {
    let failed = |message: &str| Asked::Failed(EffectError::new(FailureKind::Rejected, message));
    let chat = chat.ok_or_else(|| failed("the task has a plan and no planner"))?;
    let planner = &crew.served.planner;
    let mut next = Some(llm);
    let mut tried = Vec::new();
    let mut last = failed("the task has no LLM to plan with");
    while let Some(llm) = next.take().filter(|llm| !tried.contains(llm)) {
        let job = Job {
            bot: planner.clone(),
            conversation: crew.key.clone(),
            key: key.clone(),
            attempt: 1,
            deadline,
            work: Work::Plan { llm: llm.clone(), chat: Box::new(chat.clone()) },
        };
        match crew.driver.effects.perform(job, Pieces::ignored()).await {
            Ok(Outcome::Llm(completion)) => return Ok(Completed::Planned(completion)),
            Ok(Outcome::Executed { .. }) => return Err(failed("the planner's LLM answered as an executer does")),
            Err(error) => last = Asked::Failed(error),
        }
        next = planner.llm(Some(&llm)).and_then(|llm| llm.fallback.clone());
        tried.push(llm);
    }
    Err(last)
}

/// What is said to an agent.
pub(super) struct Question {
    pub(super) key: Option<ConversationKey>,
    pub(super) message_id: MessageId,
    pub(super) query: String,
    pub(super) speaker: Option<String>,
}

/// Says something to an agent and waits for its answer; what was said before is answered from the record.
pub(super) async fn ask(crew: Crew<'_>, question: Question) -> Result<Completed, Asked> {
    let (key, message) = question.addressed(crew, None)?;
    let (sender, message_id) = (message.sender.clone(), message.message_id.clone());
    let mut updates = crew.conversations.subscribe(&key, false);
    if let Some(answered) = say(crew, &key, message).await? {
        return Ok(answered);
    }
    loop {
        let news = updates.next().await;
        if let Some(Update::Durable(events)) = &news {
            if let Some(end) = end_of(events, &message_id) {
                return Ok(completed(end));
            }
            continue;
        }
        if matches!(news, Some(Update::Accepted(_) | Update::Fragment(_))) {
            continue;
        }
        match crew.conversations.progress(&key, &sender, &message_id).await {
            Ok(Some(Progress::Answered { first, last })) => return recorded(crew, &key, &message_id, first, last).await,
            Ok(Some(Progress::Pending)) => {}
            Ok(None) => return Err(Asked::Failed(EffectError::new(FailureKind::Transient, "the agent's conversation was forgotten"))),
            Err(error) => return Err(Asked::Failed(EffectError::new(FailureKind::Transient, error.to_string()))),
        }
    }
}

/// Says something to an agent that tells the task of its answer; what was answered before is answered from the record.
pub(super) async fn hand_over(crew: Crew<'_>, question: Question) -> Result<Completed, Asked> {
    let (key, message) = question.addressed(crew, Some(crew.key.clone()))?;
    Ok(say(crew, &key, message).await?.unwrap_or(Completed::Asked))
}

/// Puts a message into an agent's inbox; its answer, if there is one already.
async fn say(crew: Crew<'_>, key: &ConversationKey, message: NewMessage) -> Result<Option<Completed>, Asked> {
    loop {
        match crew.conversations.send(key, message.clone()).await {
            Ok(Sent::Accepted(_) | Sent::Repeated(Progress::Pending)) => return Ok(None),
            Ok(Sent::Repeated(Progress::Answered { first, last })) => {
                return recorded(crew, key, &message.message_id, first, last).await.map(Some);
            }
            Err(SendError::Stopping) => return Err(Asked::Stopping),
            Err(SendError::QueueFull | SendError::Busy) => pause(crew).await,
            Err(error @ (SendError::UnknownBot | SendError::IdReused | SendError::TextTooLong { .. })) => {
                return Err(refused(error.to_string()));
            }
            Err(error) => return Err(Asked::Failed(EffectError::new(FailureKind::Transient, error.to_string()))),
        }
    }
}

impl Question {
    /// The message, and whom it is for.
    fn addressed(self, crew: Crew<'_>, asked_by: Option<ConversationKey>) -> Result<(ConversationKey, NewMessage), Asked> {
        let key = self.key.ok_or_else(|| refused("the agent's name cannot be a bot's".to_owned()))?;
        let sender = SenderId::new(self.speaker.as_deref().unwrap_or(SENDER)).map_err(|error| refused(error.to_string()))?;
        let content = MessageContent { text: self.query, asked_by, ..MessageContent::default() };
        Ok((key, NewMessage { sender, message_id: self.message_id, at: crew.driver.clock.now(), content }))
    }
}

fn refused(message: String) -> Asked {
    Asked::Failed(EffectError::new(FailureKind::Rejected, message))
}

/// What an agent has answered to what somebody else said to it.
pub(super) async fn answered(
    crew: Crew<'_>,
    key: Option<ConversationKey>,
    message_id: MessageId,
    speaker: Option<String>,
) -> Result<Completed, Asked> {
    let (Some(key), Ok(sender)) = (key, SenderId::new(speaker.as_deref().unwrap_or(SENDER))) else { return Err(Asked::Unanswered) };
    match crew.conversations.progress(&key, &sender, &message_id).await {
        Ok(Some(Progress::Answered { first, last })) => recorded(crew, &key, &message_id, first, last).await,
        Ok(Some(Progress::Pending) | None) => Err(Asked::Unanswered),
        Err(error) => {
            tracing::warn!(%error, "an agent's record could not be read");
            Err(Asked::Stopping)
        }
    }
}

/// Tells a conversation of progress. One that cannot take it now is told a little later, until nobody waits for it.
pub(super) async fn report(
    crew: Crew<'_>,
    to: ConversationKey,
    message_id: MessageId,
    text: String,
    for_bot: bool,
) -> Result<Completed, Asked> {
    let named = |name: &str| SenderId::new(name).map_err(|error| refused(error.to_string()));
    let sender = named(SENDER)?;
    let receiver = if for_bot { None } else { Some(named(PEOPLE)?) };
    let content = MessageContent { text, receiver, ..MessageContent::default() };
    let message = NewMessage { sender, message_id, at: crew.driver.clock.now(), content };
    loop {
        match crew.conversations.send(&to, message.clone()).await {
            Ok(_) | Err(SendError::IdReused) => return Ok(Completed::Reported),
            Err(SendError::Stopping) => return Err(Asked::Stopping),
            Err(error @ (SendError::UnknownBot | SendError::TextTooLong { .. })) => return Err(refused(error.to_string())),
            Err(_) => pause(crew).await,
        }
    }
}

async fn pause(crew: Crew<'_>) {
    let clock = &crew.driver.clock;
    clock.sleep_until(clock.now().plus_ms(PAUSE_MS)).await;
}

/// The answer as the log has it.
async fn recorded(crew: Crew<'_>, key: &ConversationKey, message_id: &MessageId, first: Seq, last: Seq) -> Result<Completed, Asked> {
    let mut after = Seq(first.0.saturating_sub(1));
    while after < last {
        let events = crew.conversations.events(key, after, PAGE).await;
        let events = events.map_err(|error| Asked::Failed(EffectError::new(FailureKind::Transient, error.to_string())))?;
        if let Some(end) = end_of(&events, message_id) {
            return Ok(completed(end));
        }
        let Some(read) = events.last() else { break };
        after = read.seq;
    }
    Err(Asked::Failed(EffectError::new(FailureKind::Transient, "the agent's answer is not in its record")))
}

fn end_of<'e>(events: &'e [Event], message_id: &MessageId) -> Option<&'e TurnEnd> {
    events.iter().find_map(|event| match &event.body {
        EventBody::TurnEnd(end) if end.message_ids.contains(message_id) => Some(end.as_ref()),
        EventBody::TurnEnd(_) | EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
    })
}

fn completed(end: &TurnEnd) -> Completed {
    let (said, spent) = outcome_of(end);
    Completed::Answered { said, spent }
}
