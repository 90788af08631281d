//! The real driver over a store, with a model that repeats what the user said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cota_core::bot::Bot;
use cota_core::event::MessageContent;
use cota_core::ids::{BotDigest, BotName, ConversationId, ConversationKey, MessageId, Owner, SenderId, Seq, Timestamp};
use cota_core::machine::EffectError;
use cota_core::turn::{Commit, Completion, Fragment, Outcome, Purpose};
use cota_driver::conversation::{DriveTerms, Driven, Driver, Outlet};
use cota_driver::ports::{Bots, Clock, Doorbell, Effects, Job, Pieces, Work};
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, Holder, NewMessage, Store};
use cota_driver::{BoardCache, Signals, TrackerCache};
use cota_testkit::harness::{Tape, bots};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// A process that accepts and drives.
pub(crate) struct Stage {
    pub(crate) driver: Driver,
    bot: Arc<Bot>,
    /// Questions to the model.
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Stage {
    /// A process that remembers nothing, as a function that has just been started.
    pub(crate) fn new(store: Arc<dyn Store>, holder: &str) -> Self {
        let mut source = bots::random(&mut Tape::new(Vec::new())).source().clone();
        source.settings.max_history_tokens = 6000;
        let bot = Arc::new(Bot::compile(source));
        let asked = Arc::<AtomicUsize>::default();
        let driver = Driver {
            store,
            effects: Arc::new(Echo(Arc::clone(&asked))),
            clock: Arc::new(SystemClock),
            doorbell: Arc::new(Nobody),
            bots: Arc::new(OneBot(Arc::clone(&bot))),
            holder: Holder(holder.to_owned()),
            cache: TrackerCache::new(0),
            boards: BoardCache::new(0),
        };
        Self { driver, bot, asked }
    }

    /// Accepts a message and, where it is this process' to do, answers it.
    pub(crate) async fn say(&self, key: &ConversationKey, id: &str, text: &str) -> Driven {
        let accepted = self.driver.accept(&self.bot, key, message(id, text), true).await.unwrap();
        match accepted {
            Acceptance::Accepted { then: AfterAccept::Drive(claimed), position } => {
                let accepted = message(id, text).at_position(position);
                self.driver.drive(key, claimed, Some(accepted), &Nobody, &Signals::default(), DriveTerms::default()).await
            }
            Acceptance::Accepted { .. } => Driven::Left,
            other => panic!("it is accepted: {other:?}"),
        }
    }

    /// Accepts a message for others to answer.
    pub(crate) async fn post(&self, key: &ConversationKey, id: &str, text: &str) -> Acceptance {
        self.driver.accept(&self.bot, key, message(id, text), false).await.unwrap()
    }

    /// Hears a doorbell; whether there was something to do.
    pub(crate) async fn hear(&self, key: &ConversationKey) -> bool {
        let claimed = self.driver.store.claim(key, &self.driver.holder, SystemClock.now()).await.unwrap();
        let ClaimOutcome::Taken(claimed) = claimed else { return false };
        let driven =
            self.driver.drive(key, claimed, None, &Nobody, &Signals::default(), DriveTerms { go_on: true, ..DriveTerms::default() }).await;
        assert_eq!(driven, Driven::Idle);
        true
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(crate) fn key(id: &str) -> ConversationKey {
    ConversationKey { bot: BotName::new("random").unwrap(), owner: Owner::public(), id: ConversationId::new(id).unwrap() }
}

pub(crate) fn message(id: &str, text: &str) -> NewMessage {
    let content = MessageContent { text: text.to_owned(), ..MessageContent::default() };
    NewMessage { sender: SenderId::new("user").unwrap(), message_id: MessageId::new(id).unwrap(), at: SystemClock.now(), content }
}

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(now.as_millis()).unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(Duration::from_millis(at.since(self.now()))).boxed()
    }
}

/// Listens to nothing.
struct Nobody;

impl Doorbell for Nobody {
    fn ring(&self, _: &ConversationKey, _: Timestamp) {}
}

impl Outlet for Nobody {
    fn emit(&self, _: &ConversationKey, _: Fragment) {}
    fn durable(&self, _: &ConversationKey, _: &Commit, _: Seq) {}
    fn streams(&self, _: &ConversationKey) -> bool {
        false
    }
}

struct OneBot(Arc<Bot>);

impl Bots for OneBot {
    fn current(&self, _: &BotName) -> Option<Arc<Bot>> {
        Some(Arc::clone(&self.0))
    }

    fn pinned(&self, _: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        (self.0.digest() == digest).then(|| Arc::clone(&self.0))
    }

    fn names(&self) -> Vec<BotName> {
        vec![BotName::new(self.0.name()).unwrap()]
    }
}

/// Chooses BotUtter, and says what the user said last.
struct Echo(Arc<AtomicUsize>);

#[async_trait]
impl Effects for Echo {
    async fn perform(&self, job: Job, _: Pieces) -> Result<Outcome, EffectError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let Work::Llm { call, tracker } = job.work else { panic!("no executor is expected") };
        let content = match call.purpose {
            Purpose::Select => r#"{"action": "BotUtter"}"#.to_owned(),
            _ => {
                let heard = tracker.actions().rfind(|action| action.name == "UserUtter").unwrap();
                serde_json::json!({ "text": heard.result[0].text }).to_string()
            }
        };
        Ok(Outcome::Llm(Completion { content, ..Completion::default() }))
    }
}
