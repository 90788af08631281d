//! Bots, jobs and effects for tests.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cota_core::bot::{BOT_UTTER, Bot, BotSource, ExecutorKind, HttpCall, HttpMethod, Llm, SELECTOR, Safety, Secret, USER_UTTER};
use cota_core::event::Slots;
use cota_core::ids::{BotName, ConversationId, ConversationKey, Owner, Timestamp};
use cota_core::machine::EffectError;
use cota_core::turn::{Completion, LlmCall, Outcome, Purpose};
use cota_driver::ports::{Clock, Effects as _, Job, Pieces, Work};
use cota_effects::StandardEffects;
use cota_effects::http::{NativeHttp, Trust};
use cota_testkit::bots;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, Value as Json};

/// The key that must never show up anywhere but in the header it is for.
pub(crate) const CANARY: &str = "sk-canary-0123456789";

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep(Duration::from_millis(at.since(self.now()))).boxed()
    }
}

pub(crate) fn effects() -> StandardEffects {
    StandardEffects::new(Arc::new(NativeHttp::new(Trust::System).unwrap()), Arc::new(SystemClock))
}

pub(crate) fn llm(apibase: &str) -> Llm {
    Llm { key: Some(Secret::new(CANARY)), apibase: apibase.to_owned(), ..bots::llm("main") }
}

pub(crate) fn bot(llm: Llm, executor: Option<ExecutorKind>, safety: Safety) -> Arc<Bot> {
    let executor = executor.map(|kind| bots::executor(kind, safety));
    let step = |name: &str, text: &str| bots::step(name, Some("they said hello"), &[text]);
    let steps = vec![step(USER_UTTER, "hello"), step(SELECTOR, BOT_UTTER), step(BOT_UTTER, "Hello to you.")];
    Arc::new(Bot::compile(BotSource {
        llms: vec![llm],
        examples: vec![bots::dialogue("greeting", steps)],
        ..bots::source("bot", vec![bots::form("Weather", Vec::new(), executor)])
    }))
}

pub(crate) fn job(bot: &Arc<Bot>, work: Work) -> Job {
    Job {
        bot: Arc::clone(bot),
        conversation: ConversationKey { bot: BotName::new("bot").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() },
        key: "run/7".to_owned(),
        attempt: 1,
        deadline: SystemClock.now().plus_ms(30_000),
        work,
    }
}

pub(crate) fn question(stream: bool) -> Work {
    let purpose = Purpose::Utter { action: BOT_UTTER.to_owned(), slot: None };
    let call = LlmCall { llm: "main".to_owned(), purpose, thoughts: None, json: true, stream, slots: Slots::new(), fault: None };
    Work::Llm { call: Box::new(call), tracker: Arc::default() }
}

/// Asks an LLM once; the answer and the pieces of it that came before it.
pub(crate) async fn ask(effects: &StandardEffects, llm: Llm, stream: bool) -> (Result<Completion, EffectError>, Vec<String>) {
    let bot = bot(llm, None, Safety::ReadOnly);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let pieces = Arc::clone(&taken);
    let pieces = Pieces::to(move |piece| pieces.lock().unwrap().push(piece));
    let outcome = effects.perform(job(&bot, question(stream)), pieces).await;
    let taken = taken.lock().unwrap().clone();
    (outcome.map(completion), taken)
}

pub(crate) fn completion(outcome: Outcome) -> Completion {
    match outcome {
        Outcome::Llm(completion) => completion,
        Outcome::Executed { .. } => panic!("an executor's outcome"),
    }
}

pub(crate) fn http(method: HttpMethod, url: String) -> HttpCall {
    HttpCall { url, method, headers: vec![("x-api-key".to_owned(), Secret::new(CANARY))] }
}

/// Runs an executor once.
pub(crate) async fn execute(
    effects: &StandardEffects,
    kind: ExecutorKind,
    safety: Safety,
    slots: &Json,
) -> Result<(String, Map<String, Json>), EffectError> {
    let bot = bot(llm(""), Some(kind), safety);
    let work = Work::Executor { action: "Weather".to_owned(), slots: slots.as_object().unwrap().clone() };
    effects.perform(job(&bot, work), Pieces::ignored()).await.map(|outcome| match outcome {
        Outcome::Executed { text, metadata } => (text, metadata),
        Outcome::Llm(_) => panic!("an LLM's outcome"),
    })
}
