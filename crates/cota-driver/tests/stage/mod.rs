//! A host on a runtime, with effects that a test writes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "any other question is the utterance")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cota_core::bot::{Bot, BotSource};
use cota_core::event::{Event, EventBody, MessageContent, TurnEnd};
use cota_core::ids::{BotDigest, BotName, CommitId, ConversationId, ConversationKey, MessageId, Owner, SenderId, Seq, Timestamp};
use cota_core::machine::EffectError;
use cota_core::turn::{Commit, Completion, Fragment, Outcome, Purpose, RunState, Then};
use cota_driver::host::{Conversations, Host, Ports, Sent, Subscription, Update};
use cota_driver::memory::MemoryStore;
use cota_driver::ports::{Bots, Clock, Effects, Job, Pieces, Spawn, Work};
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, Claimed, CommitTerms, Holder, NewMessage, Progress, Store};
use cota_testkit::harness::{Tape, bots};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub(crate) type Answer = Result<Outcome, EffectError>;
type Script = dyn Fn(Job) -> BoxFuture<'static, Answer> + Send + Sync;

/// A host and what it runs on.
pub(crate) struct Stage {
    pub(crate) host: Arc<Host>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) calls: Arc<AtomicUsize>,
    tasks: Arc<Tasks>,
}

#[derive(Default)]
struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Spawn for Tasks {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(tokio::spawn(future));
    }
}

/// The system's clock, which a test may jump ahead.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn jump(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(now.as_millis()).unwrap() + self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(Duration::from_millis(at.since(self.now()))).boxed()
    }
}

struct OneBot(Arc<Bot>);

impl Bots for OneBot {
    fn current(&self, _: &BotName) -> Option<Arc<Bot>> {
        Some(self.0.clone())
    }

    fn pinned(&self, _: &BotName, digest: &BotDigest) -> Option<Arc<Bot>> {
        (self.0.digest() == digest).then(|| self.0.clone())
    }

    fn names(&self) -> Vec<BotName> {
        vec![BotName::new(self.0.name()).unwrap()]
    }
}

struct Scripted {
    script: Box<Script>,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl Effects for Scripted {
    async fn perform(&self, job: Job, _: Pieces) -> Answer {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.script)(job).await
    }
}

/// Says "Hello" in two pieces, the second when the gate opens.
struct Streaming(Arc<Semaphore>);

#[async_trait]
impl Effects for Streaming {
    async fn perform(&self, job: Job, pieces: Pieces) -> Answer {
        if purpose(&job) == Purpose::Select {
            return says(r#"{"action": "BotUtter"}"#);
        }
        pieces.push(r#"{"text": "Hel"#.to_owned());
        self.0.acquire().await.unwrap().forget();
        pieces.push(r#"lo"}"#.to_owned());
        // The rest is shown before the commit drops what is provisional.
        tokio::time::sleep(Duration::from_millis(50)).await;
        utters("Hello")
    }
}

impl Stage {
    pub(crate) fn new(bot: Arc<Bot>, script: impl Fn(Job) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Self {
        Self::at(bot, &TestClock::default(), script)
    }

    pub(crate) fn at(bot: Arc<Bot>, clock: &TestClock, script: impl Fn(Job) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Self {
        Self::over(Arc::new(MemoryStore::new()), bot, clock, script)
    }

    pub(crate) fn over(
        store: Arc<dyn Store>,
        bot: Arc<Bot>,
        clock: &TestClock,
        script: impl Fn(Job) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        let calls = Arc::<AtomicUsize>::default();
        let effects = Scripted { script: Box::new(script), calls: calls.clone() };
        Self::with(store, bot, clock, Arc::new(effects), calls)
    }

    fn with(store: Arc<dyn Store>, bot: Arc<Bot>, clock: &TestClock, effects: Arc<dyn Effects>, calls: Arc<AtomicUsize>) -> Self {
        static HOLDERS: AtomicUsize = AtomicUsize::new(0);
        let tasks = Arc::<Tasks>::default();
        let host = Host::new(Ports {
            store: store.clone(),
            effects,
            clock: Arc::new(clock.clone()),
            bots: Arc::new(OneBot(bot)),
            spawn: tasks.clone(),
            holder: Holder(format!("host {}", HOLDERS.fetch_add(1, Ordering::SeqCst))),
        });
        Self { host, store, calls, tasks }
    }

    /// A host whose model answers nothing until the gate opens.
    pub(crate) fn gated(bot: Arc<Bot>) -> (Self, Arc<Semaphore>) {
        Self::gated_at(bot, &TestClock::default())
    }

    pub(crate) fn gated_at(bot: Arc<Bot>, clock: &TestClock) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let held = gate.clone();
        let stage = Self::at(bot, clock, move |job| {
            let gate = held.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                echo(job).await
            }
            .boxed()
        });
        (stage, gate)
    }

    pub(crate) fn streaming(bot: Arc<Bot>) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let effects = Arc::new(Streaming(gate.clone()));
        (Self::with(Arc::new(MemoryStore::new()), bot, &TestClock::default(), effects, Arc::default()), gate)
    }

    /// Looks for unfinished work now.
    pub(crate) fn watch(&self) {
        let host = self.host.clone();
        self.tasks.spawn(async move { host.watch().await }.boxed());
    }

    /// Kills everything the host runs.
    pub(crate) fn stop_all(&self) {
        self.tasks.0.lock().unwrap().drain(..).for_each(|task| task.abort());
    }
}

/// The harness' plain bot, changed.
pub(crate) fn bot(change: impl FnOnce(&mut BotSource)) -> Arc<Bot> {
    let mut source = bots::random(&mut Tape::new(Vec::new())).source().clone();
    source.settings.max_history_tokens = 6000;
    change(&mut source);
    Arc::new(Bot::compile(source))
}

/// A conversation whose first message another process has begun to answer and parked for an hour, as these bytes.
pub(crate) async fn parked(stage: &Stage, key: &ConversationKey, run: impl FnOnce(&Claimed) -> Vec<u8>) {
    let terms = AcceptTerms { drive_as: Some(Holder("another".to_owned())), max_queue: 1, reject_if_busy: false, wakes: false };
    let first = message("m1", "one");
    let now = first.at;
    let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = stage.store.accept(key, first, &terms).await.unwrap() else {
        panic!("a free conversation is the acceptor's")
    };
    let park = Commit {
        commit_id: CommitId(format!("{}/0", claimed.claim.run).into()),
        events: Arc::default(),
        run: RunState::Put(run(&claimed)),
        snapshot: None,
        answered: Vec::new(),
        follow_up: None,
        then: Then::Park(now.plus_ms(3_600_000)),
    };
    let terms = CommitTerms { now, lease_until: now, go_on: false, heard: None };
    stage.store.commit(key, &claimed.claim, &park, &terms).await.unwrap();
}

pub(crate) fn key(id: &str) -> ConversationKey {
    ConversationKey { bot: BotName::new("random").unwrap(), owner: Owner::public(), id: ConversationId::new(id).unwrap() }
}

pub(crate) fn message(id: &str, text: &str) -> NewMessage {
    NewMessage {
        sender: SenderId::new("user").unwrap(),
        message_id: MessageId::new(id).unwrap(),
        at: TestClock::default().now(),
        content: MessageContent { text: text.to_owned(), ..MessageContent::default() },
    }
}

pub(crate) fn purpose(job: &Job) -> Purpose {
    match &job.work {
        Work::Llm { call, .. } => call.purpose.clone(),
        Work::Executor { .. } | Work::Plan { .. } => panic!("no executor or planner is expected"),
    }
}

fn user_texts(job: &Job) -> Vec<String> {
    match &job.work {
        Work::Llm { tracker, .. } => {
            tracker.actions().filter(|action| action.name == "UserUtter").map(|action| action.result[0].text.clone()).collect()
        }
        Work::Executor { .. } | Work::Plan { .. } => Vec::new(),
    }
}

pub(crate) fn first_user_text(job: &Job) -> String {
    user_texts(job).remove(0)
}

pub(crate) fn says(content: &str) -> Answer {
    Ok(Outcome::Llm(Completion { content: content.to_owned(), ..Completion::default() }))
}

pub(crate) fn utters(text: &str) -> Answer {
    says(&serde_json::json!({ "text": text }).to_string())
}

/// Chooses BotUtter and says what the user said last.
pub(crate) fn echo(job: Job) -> BoxFuture<'static, Answer> {
    async move {
        match purpose(&job) {
            Purpose::Select => says(r#"{"action": "BotUtter"}"#),
            _ => utters(user_texts(&job).last().unwrap()),
        }
    }
    .boxed()
}

/// Each message a batch of events answers, with its replies.
pub(crate) fn answered(events: &[Event]) -> Vec<(String, Vec<String>)> {
    ends_of(events)
        .into_iter()
        .flat_map(|end| {
            let replies: Vec<String> = end.replies.iter().map(|reply| reply.text.clone()).collect();
            end.message_ids.into_iter().map(move |id| (id.as_str().to_owned(), replies.clone()))
        })
        .collect()
}

fn ends_of(events: &[Event]) -> Vec<TurnEnd> {
    events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::TurnEnd(end) => Some(end.as_ref().clone()),
            EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
        })
        .collect()
}

pub(crate) async fn ends(stage: &Stage, key: &ConversationKey) -> Vec<TurnEnd> {
    ends_of(&stage.host.events(key, Seq(0), usize::MAX).await.unwrap())
}

/// Sends a message and waits for its replies.
pub(crate) async fn ask(host: &Arc<Host>, key: &ConversationKey, id: &str, text: &str) -> Vec<String> {
    let mut updates = host.subscribe(key, false);
    let sent = host.send(key, message(id, text)).await.unwrap();
    assert!(matches!(sent, Sent::Accepted(_)), "{sent:?}");
    loop {
        if let Update::Durable(events) = updates.next().await.unwrap()
            && let Some((_, replies)) = answered(&events).into_iter().find(|(answered, _)| answered == id)
        {
            return replies;
        }
    }
}

/// Waits until a message is answered, and gives the end of its turn.
pub(crate) async fn settled(stage: &Stage, key: &ConversationKey, id: &str) -> TurnEnd {
    let asked = message(id, "");
    let wait = async {
        loop {
            let progress = stage.host.progress(key, &asked.sender, &asked.message_id).await.unwrap();
            if matches!(progress, Some(Progress::Answered { .. })) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the message is answered");
    let end = ends(stage, key).await.into_iter().find(|end| end.message_ids.contains(&asked.message_id));
    end.expect("the turn has an end")
}

/// Waits until nothing is driven.
pub(crate) async fn idle(stage: &Stage) {
    let wait = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if stage.host.metrics().running.load(Ordering::SeqCst) == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the host comes to rest");
}

pub(crate) async fn fragment(updates: &mut Subscription) -> Fragment {
    loop {
        if let Update::Fragment(fragment) = updates.next().await.unwrap() {
            return fragment.as_ref().clone();
        }
    }
}
