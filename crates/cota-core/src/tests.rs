//! What the tests of this crate share: bots and histories.

use serde_json::{Value as Json, json};

use crate::bot::{
    Action, ActionKind, BOT_UTTER, Bot, BotSource, Dialogue, DialogueStep, Executor, ExecutorKind, Expected, Form, Language, MockCall,
    Mode, OnBusy, Policy, SELECTOR, Safety, Settings, Slot, USER_UTTER,
};
use crate::event::{ActionRecord, EVENT_VERSION, Event, FormState, ResultItem};
use crate::ids::{BotDigest, BotName, ConversationId, ConversationKey, MessageId, Owner, RunId, SenderId, Timestamp};
use crate::prompt::Template;
use crate::tracker::Tracker;

pub(crate) fn action(name: &str, kind: ActionKind) -> Action {
    Action { name: name.to_owned(), description: format!("about {name}"), prompt: None, llm: None, kind }
}

pub(crate) fn with_prompt(action: Action, prompt: &str) -> Action {
    Action { prompt: Some(Template::parse(prompt).0), ..action }
}

pub(crate) fn slot(name: &str) -> Slot {
    Slot {
        name: name.to_owned(),
        description: format!("the {name}"),
        prompt: None,
        llm: None,
        values: Vec::new(),
        pattern: None,
        examples: Vec::new(),
    }
}

/// A form whose executor names these outputs.
pub(crate) fn form(name: &str, slots: &[&str], output: &[&str]) -> Action {
    let executor = Executor {
        kind: ExecutorKind::Mock(MockCall { text: None }),
        output: output.iter().map(|&text| text.to_owned()).collect(),
        timeout_ms: None,
        safety: Safety::ReadOnly,
    };
    action(name, ActionKind::Form(Form { slots: slots.iter().map(|name| slot(name)).collect(), executor: Some(executor) }))
}

/// `UserUtter`, `BotUtter`, `Selector`, and these.
pub(crate) fn source(own: Vec<Action>) -> BotSource {
    let mut actions =
        vec![action(USER_UTTER, ActionKind::UserUtter), action(BOT_UTTER, ActionKind::Utterance), action(SELECTOR, ActionKind::Selector)];
    actions.extend(own);
    BotSource {
        name: BotName::new("weather").unwrap(),
        digest: BotDigest::of(b""),
        language: Language::English,
        description: "You tell the weather.".to_owned(),
        proxy_description: "You want an umbrella.".to_owned(),
        settings: Settings {
            use_proxy_user: false,
            max_proxy_step: 20,
            max_tokens: 500,
            max_steps: 16,
            mode: Mode::Prompts,
            on_busy: OnBusy::Queue,
            max_queue: 16,
            max_history_tokens: 6000,
            fallback: "Sorry.".to_owned(),
        },
        policies: vec![Policy::Trigger, Policy::Match],
        actions,
        llms: Vec::new(),
        examples: Vec::new(),
        rules: Vec::new(),
    }
}

/// A form `Weather` of city and time, a form `HandOver` whose output may be `done`, an utterance `Hours`.
pub(crate) fn weather() -> BotSource {
    source(vec![form("Weather", &["city", "time"], &[]), form("HandOver", &[], &["done"]), action("Hours", ActionKind::Utterance)])
}

pub(crate) fn bot() -> Bot {
    Bot::compile(weather())
}

/// A dialogue of steps `(name, thought, results)`; an empty thought is none, no results are any.
pub(crate) fn dialogue(title: &str, steps: &[(&str, &str, &[&str])]) -> Dialogue {
    let step = |(name, thought, results): &(&str, &str, &[&str])| DialogueStep {
        name: (*name).to_owned(),
        thought: Some((*thought).to_owned()).filter(|thought| !thought.is_empty()),
        result: if results.is_empty() { Expected::Any } else { Expected::OneOf(results.iter().map(|&text| text.to_owned()).collect()) },
    };
    Dialogue { title: title.to_owned(), during_form: true, steps: steps.iter().map(step).collect() }
}

/// An action that was done; a form's slots and state can be set on it.
pub(crate) fn done(name: &str, text: &str) -> ActionRecord {
    let (sender, receiver) = if name == USER_UTTER { ("ann", "bot") } else { ("weather", "ann") };
    ActionRecord {
        name: name.to_owned(),
        timestamp: 0.0,
        sender_id: sender.to_owned(),
        receiver_id: receiver.to_owned(),
        result: vec![ResultItem::text(text)],
        slots: None,
        state: None,
    }
}

pub(crate) fn in_state(name: &str, text: &str, slots: Json, state: FormState) -> ActionRecord {
    ActionRecord { slots: slots.as_object().cloned(), state: Some(state), ..done(name, text) }
}

pub(crate) fn ended(name: &str, text: &str) -> ActionRecord {
    in_state(name, text, json!({}), FormState::End)
}

pub(crate) fn tracker(actions: impl IntoIterator<Item = ActionRecord>) -> Tracker {
    let key = ConversationKey { bot: BotName::new("weather").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
    let run = RunId::of(&key, &SenderId::new("ann").unwrap(), &MessageId::new("m").unwrap());
    let mut tracker = Tracker::default();
    for action in actions {
        tracker.apply(&Event {
            v: EVENT_VERSION,
            seq: tracker.head.next(),
            run: run.clone(),
            at: Timestamp(0),
            bot_digest: BotDigest::of(b""),
            message_id: None,
            body: action.into(),
        });
    }
    tracker
}
