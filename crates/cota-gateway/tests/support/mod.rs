//! A gateway over a host in memory, with a model that says back what it hears.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Map;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use cota_core::bot::{BOT_UTTER, Bot, BotSource, OnBusy, USER_UTTER};
use cota_core::event::MessageContent;
use cota_core::ids::{BotDigest, BotName, ConversationId, ConversationKey, MessageId, Owner, SenderId, Timestamp};
use cota_core::machine::EffectError;
use cota_core::tracker::{Tracker, result_text};
use cota_core::turn::{Completion, Outcome, Purpose};
use cota_driver::host::{Conversations as _, Host, Ports};
use cota_driver::memory::MemoryStore;
use cota_driver::ports::{Bots, Clock, Effects, Job, Pieces, Spawn, Work};
use cota_driver::store::{Holder, NewMessage};
use cota_gateway::limits::Metered;
use cota_gateway::{Gateway, Options};
use cota_testkit::bots;

/// Some time in 2026, at which every test begins.
pub(crate) const START: Timestamp = Timestamp(1_772_366_400_000);

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) options: Options,
    pub(crate) host: Arc<Host>,
    pub(crate) model: Arc<Model>,
}

impl World {
    /// Ends when so many messages were accepted in all.
    pub(crate) async fn accepted(&self, messages: u64) {
        while self.host.metrics().accepted.load(Ordering::Relaxed) < messages {
            tokio::task::yield_now().await;
        }
    }

    /// Ends when so many turns have been answered in all.
    pub(crate) async fn finished(&self, turns: u64) {
        while self.host.metrics().replied.load(Ordering::Relaxed) < turns {
            tokio::task::yield_now().await;
        }
    }

    /// Forgets a conversation with the default bot.
    pub(crate) async fn forget(&self, id: &str) {
        self.host.forget(&key(id)).await.unwrap();
    }

    /// Says something in a conversation with the default bot, as no request can.
    pub(crate) async fn say(&self, id: &str, content: MessageContent) {
        let (sender, message_id) = (SenderId::new("user").unwrap(), MessageId::new("said").unwrap());
        self.host.send(&key(id), NewMessage { sender, message_id, at: START, content }).await.unwrap();
    }
}

fn key(id: &str) -> ConversationKey {
    ConversationKey { bot: BotName::new("parrot").unwrap(), owner: Owner::public(), id: ConversationId::new(id).unwrap() }
}

/// Says back what it hears; where it hears `first`, what it heard first. Where it hears `stream` it begins with pieces, where it hears `wait` it waits until it may go on, and
/// where it hears `flood` it goes on with a great many pieces and waits once more.
pub(crate) struct Model {
    pub(crate) may_answer: Semaphore,
    /// Rises by one when the model begins to wait.
    pub(crate) waiting: Semaphore,
}

/// The pieces of a flood: more than the host keeps for a slow reader.
pub(crate) const FLOOD: usize = 300;

impl Default for Model {
    fn default() -> Self {
        Self { may_answer: Semaphore::new(0), waiting: Semaphore::new(0) }
    }
}

impl Model {
    async fn wait(&self) {
        self.waiting.add_permits(1);
        self.may_answer.acquire().await.unwrap().forget();
    }
}

pub(crate) fn world() -> World {
    world_with(OnBusy::Queue, |_| {})
}

pub(crate) fn world_with(on_busy: OnBusy, adjust: impl FnOnce(&mut Options)) -> World {
    process("one", &Arc::new(MemoryStore::new()), &Arc::default(), on_busy, adjust)
}

/// Two processes that share a store and a model.
pub(crate) fn two_processes() -> [World; 2] {
    two_processes_with(|_| {})
}

pub(crate) fn two_processes_with(adjust: impl Fn(&mut Options)) -> [World; 2] {
    let (store, model) = (Arc::new(MemoryStore::new()), Arc::default());
    ["one", "two"].map(|name| process(name, &store, &model, OnBusy::Queue, &adjust))
}

fn process(name: &str, store: &Arc<MemoryStore>, model: &Arc<Model>, on_busy: OnBusy, adjust: impl FnOnce(&mut Options)) -> World {
    let clock = Arc::new(TokioClock(Instant::now()));
    let mut options = Options::new(clock.clone(), name);
    adjust(&mut options);
    let host = Host::new(Ports {
        store: store.clone(),
        effects: Metered::over(model.clone(), &options.limiter),
        clock,
        bots: Arc::new(Three(["parrot", "other", "rehearsal"].map(|name| bot(name, on_busy)))),
        spawn: Arc::new(OnTokio),
        holder: Holder(name.to_owned()),
    });
    World { gateway: Gateway::new(host.clone(), options.clone()), options, host, model: model.clone() }
}

#[async_trait]
impl Effects for Model {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        let Work::Llm { call, tracker } = job.work else {
            return Ok(Outcome::Executed { text: "done".to_owned(), metadata: Map::new() });
        };
        let heard = tracker.latest_user().map(result_text).unwrap_or_default();
        let content = match call.purpose {
            Purpose::Utter { .. } => {
                let text = if heard.contains("first") {
                    format!("first you said: {}", first_heard(&tracker))
                } else {
                    format!("you said: {heard}")
                };
                if heard.contains("stream") {
                    pieces.push("{\"text\": \"you ".to_owned());
                    pieces.push("said".to_owned());
                }
                if heard.contains("wait") {
                    self.wait().await;
                }
                if heard.contains("flood") {
                    (0..FLOOD).for_each(|_| pieces.push("!".to_owned()));
                    self.wait().await;
                }
                serde_json::json!({"text": text, "thought": "a secret thought"}).to_string()
            }
            Purpose::ProxyUser => serde_json::json!({"thought": "enough", "text": "bye", "state": "stop"}).to_string(),
            Purpose::Select | Purpose::Choose | Purpose::Fill { .. } | Purpose::Think { .. } => {
                serde_json::json!({"action": BOT_UTTER, "thought": "answer"}).to_string()
            }
        };
        Ok(Outcome::Llm(Completion { content, tool_calls: Vec::new(), prompt_tokens: 3, completion_tokens: 2 }))
    }
}

fn first_heard(tracker: &Tracker) -> String {
    tracker.actions().find(|action| action.name == USER_UTTER).map(result_text).unwrap_or_default()
}

struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START.plus_ms(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at.since(START))).boxed()
    }
}

struct OnTokio;

impl Spawn for OnTokio {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

struct Three([Arc<Bot>; 3]);

impl Bots for Three {
    fn current(&self, name: &BotName) -> Option<Arc<Bot>> {
        self.0.iter().find(|bot| bot.name() == name.as_str()).cloned()
    }

    fn pinned(&self, name: &BotName, _digest: &BotDigest) -> Option<Arc<Bot>> {
        self.current(name)
    }

    fn names(&self) -> Vec<BotName> {
        self.0.iter().map(|bot| bot.source().name.clone()).collect()
    }
}

fn bot(name: &str, on_busy: OnBusy) -> Arc<Bot> {
    let mut source = BotSource { llms: vec![bots::llm("echo")], ..bots::source(name, Vec::new()) };
    source.settings.use_proxy_user = name == "rehearsal";
    source.settings.max_proxy_step = 1;
    source.settings.max_queue = 2;
    source.settings.on_busy = on_busy;
    Arc::new(Bot::compile(source))
}
