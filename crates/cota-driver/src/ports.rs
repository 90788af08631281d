//! What the driver asks of the world, the store apart.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use cota_core::bot::Bot;
use cota_core::event::Slots;
use cota_core::ids::{BotDigest, BotName, ConversationKey, Timestamp};
use cota_core::machine::EffectError;
use cota_core::prompt::ChatRequest;
use cota_core::tracker::Tracker;
use cota_core::turn::{LlmCall, Outcome};

use crate::task::ServedTask;

/// Performs what a turn asks for: LLM calls and executors.
#[async_trait]
pub trait Effects: Send + Sync {
    /// Performs one attempt. `pieces` takes the answer's text as it comes, where the call asks for a stream.
    ///
    /// It may be dropped at any await: that is how an effect is aborted and how its deadline is kept.
    ///
    /// # Errors
    /// A failure as data. Its message reaches prompts and traces, so it holds neither keys nor internals.
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError>;
}

/// One attempt at an effect, with all it needs.
#[derive(Clone, Debug)]
pub struct Job {
    /// The bot it is for.
    pub bot: Arc<Bot>,
    /// The conversation it is for.
    pub conversation: ConversationKey,
    /// `{run}/{effect}`: the same for every attempt, sent to executors as the idempotency key.
    pub key: String,
    /// 1 for the first try.
    pub attempt: u16,
    /// When nobody waits for it any more.
    pub deadline: Timestamp,
    /// What to do.
    pub work: Work,
}

/// What a job does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Ask an LLM. The request is rendered from the tracker when it is performed.
    Llm {
        /// The question.
        call: Box<LlmCall>,
        /// The conversation as the turn sees it.
        tracker: Arc<Tracker>,
    },
    /// Ask a task's planner.
    Plan {
        /// The endpoint's name.
        llm: String,
        /// What it is asked.
        chat: Box<ChatRequest>,
    },
    /// Run a form's executor.
    Executor {
        /// The form.
        action: String,
        /// Its slots.
        slots: Slots,
    },
}

/// Takes the pieces of a streamed answer; never blocks.
#[derive(Clone)]
pub struct Pieces(Arc<dyn Fn(String) + Send + Sync>);

impl Pieces {
    /// Hands each piece to `take`.
    #[must_use]
    pub fn to(take: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Drops each piece: nobody is listening.
    #[must_use]
    pub fn ignored() -> Self {
        Self::to(|_| {})
    }

    /// Passes one piece on.
    pub fn push(&self, piece: String) {
        (self.0)(piece);
    }
}

/// Tells the time and waits for it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Ends at `at`, at once where that has passed.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// Wakes somebody up for a conversation: now, or at a later time. It carries nothing but the key.
pub trait Doorbell: Send + Sync {
    /// Rings for `key` at `at`. It may ring twice, late, or, where a process dies, not at all: the watchdog covers that.
    fn ring(&self, key: &ConversationKey, at: Timestamp);
    /// Rings one second after a lease ends, in case its holder has died. A host that sweeps [`Store::unfinished`] need not.
    ///
    /// [`Store::unfinished`]: crate::store::Store::unfinished
    fn watch(&self, key: &ConversationKey, lease_until: Timestamp) {
        self.ring(key, lease_until.plus_ms(1000));
    }
    /// How many effects whoever it wakes may perform, where the platform counts them: a turn that needs more is parked, and the
    /// next ring wakes somebody else for it.
    fn most_effects(&self) -> Option<u32> {
        None
    }
}

/// The bots of a deployment.
pub trait Bots: Send + Sync {
    /// The bot of this name as it is now.
    fn current(&self, name: &BotName) -> Option<Arc<Bot>>;
    /// The bot of this name as it was, for a run that is pinned to it.
    fn pinned(&self, name: &BotName, digest: &BotDigest) -> Option<Arc<Bot>>;
    /// The same, read from where older versions are kept, if they are kept anywhere else.
    fn recall<'a>(&'a self, name: &'a BotName, digest: &'a BotDigest) -> BoxFuture<'a, Option<Arc<Bot>>> {
        Box::pin(std::future::ready(self.pinned(name, digest)))
    }
    /// Every bot's name; the first is the default.
    fn names(&self) -> Vec<BotName>;
    /// The task of this name.
    fn task(&self, _name: &BotName) -> Option<Arc<ServedTask>> {
        None
    }
    /// Every task's name.
    fn task_names(&self) -> Vec<BotName> {
        Vec::new()
    }
    /// Whether the bot of this name is an agent of a task.
    fn is_agent(&self, _name: &BotName) -> bool {
        false
    }
}

/// Runs a future to its end, whoever asked for it.
pub trait Spawn: Send + Sync {
    /// Starts it.
    fn spawn(&self, future: BoxFuture<'static, ()>);
}
