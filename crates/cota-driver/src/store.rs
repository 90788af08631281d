//! The store contract: a conversation's inbox, log, claim and saved run, and how they change together.
//!
//! Every method that writes is one atomic write. A store implements these rules and `cota-testkit`'s conformance suite proves
//! it; the rules themselves (who may accept, claim, commit) are in [`ClaimRecord`](crate::claim::ClaimRecord), so that every store
//! applies the same ones.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use cota_core::event::{Event, InboxMessage, MessageContent};
use cota_core::ids::{CommitId, ContentDigest, ConversationKey, MessageId, Position, RunId, SenderId, Seq, Timestamp};
use cota_core::machine::CommitFailure;
use cota_core::tracker::Tracker;
use cota_core::turn::Commit;

/// Where conversations are kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Puts a message into the inbox and its id into the idempotency record, and takes the claim where the conversation is free
    /// and the acceptor drives. Only after it returned is the message acknowledged.
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError>;

    /// Takes the claim if there is work and the claim is free or expired (or its holder is known to be dead).
    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError>;

    /// Reads what a turn starts from. `None` for a conversation that does not exist.
    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError>;

    /// Writes a commit under its claim.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] if the claim is another's; [`CommitError::Unavailable`] if it may or may not have been written:
    /// try again with the same commit id.
    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError>;

    /// Moves the lease's end.
    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError>;

    /// Lets go of the claim of a saved run while others work for it. Whoever claims it goes on, whatever its clock says, and that
    /// is no takeover.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] if the claim is another's; [`CommitError::Unavailable`] if it may or may not have been let go.
    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError>;

    /// The events after `after`, at most `limit`, in order.
    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// What became of a message.
    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError>;

    /// Forgets the conversation. A turn that runs is fenced and does not bring it back.
    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError>;

    /// Conversations with unfinished work, and when to ring for each: now where nobody alive drives, else when its lease ends or
    /// its parked run goes on. Empty for a store whose doorbell is durable itself.
    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError>;

    /// Whether it can be reached.
    async fn ready(&self) -> Result<(), StoreError>;
}

/// Who drives: one process, one function instance, one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder(pub String);

/// A message on its way into the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// Who sent it.
    pub sender: SenderId,
    /// Its id in the scope of the conversation and the sender.
    pub message_id: MessageId,
    /// When it arrived.
    pub at: Timestamp,
    /// What it says.
    pub content: MessageContent,
}

impl NewMessage {
    /// A digest of what makes it the same message: text, receiver and payload.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        let payload = self.content.payload.as_ref().map(ToString::to_string).unwrap_or_default();
        let receiver = self.content.receiver.as_ref().map_or("", SenderId::as_str);
        ContentDigest::of(&[&self.content.text, receiver, &payload])
    }

    /// The message at its place in the inbox.
    #[must_use]
    pub fn at_position(self, position: Position) -> InboxMessage {
        InboxMessage { position, sender: self.sender, message_id: self.message_id, at: self.at, content: self.content }
    }
}

/// A message that a commit puts into the inbox itself, on its way there.
impl From<InboxMessage> for NewMessage {
    fn from(message: InboxMessage) -> Self {
        Self { sender: message.sender, message_id: message.message_id, at: message.at, content: message.content }
    }
}

/// On which terms a message is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptTerms {
    /// The acceptor, where it drives the turn itself.
    pub drive_as: Option<Holder>,
    /// Most messages that may wait (the running turn's own not counted).
    pub max_queue: u32,
    /// Refuse instead of waiting (`on_busy: reject`).
    pub reject_if_busy: bool,
    /// Whether a parked run goes on at once: the message is for the run itself, as a person's answer to a task is, or takes its
    /// place (`on_busy: latest`).
    pub wakes: bool,
}

/// What became of an offered message.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    /// It is in the inbox.
    Accepted {
        /// Where.
        position: Position,
        /// What the acceptor does next.
        then: AfterAccept,
    },
    /// The same message was accepted before.
    Repeated(Progress),
    /// Its id stands for another text.
    IdReused,
    /// `on_busy: reject`, and a turn runs. Nothing was recorded.
    Busy,
    /// Too many messages wait. Nothing was recorded.
    QueueFull,
}

/// What the acceptor of a message does next.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterAccept {
    /// The conversation was free and is the acceptor's: drive it.
    Drive(Claimed),
    /// Somebody drives it and will take the message.
    Wait,
    /// Nobody is known to drive it (the acceptor does not, the claim has expired, or a run is parked): ring.
    Ring,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Accepted, its turn waits or runs.
    Pending,
    /// Answered by these events of the log.
    Answered {
        /// The first event of its turn.
        first: Seq,
        /// The last, its `turn_end`.
        last: Seq,
    },
}

/// An entry of the idempotency record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What the id stands for.
    pub digest: ContentDigest,
    /// How far it has come.
    pub progress: Progress,
}

/// The right to drive a conversation, until the lease ends or somebody takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The run it is for.
    pub run: RunId,
    /// Raised by every new holder: what fences the one before.
    pub epoch: u64,
    /// Whose it is.
    pub holder: Holder,
    /// When others may take it.
    pub lease_until: Timestamp,
    /// How often this run was taken over.
    pub takeovers: u32,
}

/// A claim just taken, with what is known of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The log's last place.
    pub head: Seq,
    /// The last commit, so that a cached state can be told to be current.
    pub last_commit: Option<CommitId>,
    /// Whether a saved run is to be resumed.
    pub saved: bool,
    /// What the turn starts from, where the store had to read it in order to give the claim: nobody need load it again.
    pub loaded: Option<Box<Loaded>>,
}

/// What came of asking for the claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimOutcome {
    /// It is yours.
    Taken(Claimed),
    /// Nothing is to be done.
    Idle,
    /// Somebody else drives until then.
    Held {
        /// The lease's end.
        until: Timestamp,
    },
    /// A run is parked until then.
    Parked {
        /// When it goes on.
        until: Timestamp,
    },
}

/// What a turn starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The conversation's state: the snapshot with the events after it folded in.
    pub tracker: Tracker,
    /// The run to resume.
    pub saved: Option<Vec<u8>>,
    /// The messages not yet answered, in order, a running turn's own among them.
    pub inbox: Vec<InboxMessage>,
}

/// On which terms a commit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTerms {
    /// Now.
    pub now: Timestamp,
    /// The lease's end from now on.
    pub lease_until: Timestamp,
    /// Whether the holder takes the next waiting message in the same claim; else a finish releases in any case.
    pub go_on: bool,
    /// The newest message that a run has taken which messages wake: where a newer one is in the inbox, it is not parked but
    /// released, to be taken up at once.
    pub heard: Option<Position>,
}

/// A commit that is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The log's last place.
    pub head: Seq,
    /// What became of the claim.
    pub next: Next,
}

/// What became of the claim with a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The run goes on.
    Held,
    /// Let go. `ring` tells that messages wait which somebody else is to take.
    Released {
        /// Whether to ring.
        ring: bool,
    },
    /// The claim is now for the first of these messages, which wait.
    Waiting {
        /// The claim from now on.
        claim: Claim,
        /// What waits, in order.
        inbox: Vec<InboxMessage>,
    },
}

/// A lease that was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The inbox's last position: it tells whether newer messages wait.
    pub last: Position,
}

/// A store that cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or not in time: try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What it holds cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

/// A commit that was not written, or perhaps not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another holder took over.
    #[error("another holder took the conversation over")]
    Fenced,
    /// It may or may not have been written: try again with the same commit id.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl From<&CommitError> for CommitFailure {
    fn from(error: &CommitError) -> Self {
        match error {
            CommitError::Fenced => Self::Fenced,
            CommitError::Unavailable(_) => Self::Transient,
        }
    }
}
