//! `actions` of agent.yml.

use cota_core::bot::{
    Action, ActionKind, BOT_UTTER, Executor, ExecutorKind, Form, Language, Pattern, SELECTOR, Slot, TaskCall, USER_UTTER,
};
use cota_core::ids::BotName;
use cota_core::limits;
use cota_core::prompt::Template;

use crate::Target;
use crate::codes;
use crate::executor::{default_safety, executor};
use crate::fields::{Fields, text};
use crate::keys;
use crate::names::Names;
use crate::node::{Entry, Map, Node};
use crate::prompts::prompt;
use crate::report::{Report, say, shown};

/// What actions may refer to.
pub(crate) struct Scope<'s> {
    /// Every action's name.
    pub(crate) actions: &'s Names,
    /// Every configured LLM's name.
    pub(crate) llms: &'s Names,
    /// Where the bot is to run.
    pub(crate) target: Target,
}

/// The names of an agent's actions, the built-in ones included.
pub(crate) fn names(agent: &Node) -> Names {
    let written = agent.as_map().and_then(|map| map.get("actions")).and_then(Node::as_map).map(Map::entries).unwrap_or_default();
    let built_in = [USER_UTTER, BOT_UTTER, SELECTOR].into_iter().map(str::to_owned);
    Names::of(written.iter().map(|entry| entry.key.clone()).chain(built_in))
}

/// Reads every action in the author's order; built-in ones that are not written come last.
pub(crate) fn read(agent: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Vec<Action> {
    let entries = agent.named("actions", report);
    if entries.len() > limits::BOT_ACTIONS {
        let span = agent.get("actions").map_or(agent.span, |node| node.span);
        report.add(&codes::OVER_LIMIT, span, || {
            say(format!("a bot may have {} actions, this one has {}", limits::BOT_ACTIONS, entries.len()))
        });
    }
    report_similar(entries, report);
    entries.iter().filter_map(|entry| action(entry, scope, report)).collect()
}

/// Adds the built-in actions that the author did not write.
pub(crate) fn add_built_in(actions: &mut Vec<Action>, language: Language) {
    let built_in = [
        (USER_UTTER, ActionKind::UserUtter, "The user says something.", "用户说的话"),
        (BOT_UTTER, ActionKind::Utterance, "Say something to the user.", "回复用户"),
        (SELECTOR, ActionKind::Selector, "Choose the next action.", "选择下一个动作"),
    ];
    for (name, kind, english, chinese) in built_in {
        let description = match language {
            Language::English => english,
            Language::Chinese => chinese,
        };
        match actions.iter_mut().find(|action| action.name == name) {
            Some(action) if action.description.is_empty() => description.clone_into(&mut action.description),
            Some(_) => {}
            None => actions.push(Action { name: name.to_owned(), description: description.to_owned(), prompt: None, llm: None, kind }),
        }
    }
}

fn report_similar(entries: &[Entry], report: &mut Report<'_>) {
    let mut seen: std::collections::HashMap<String, &str> =
        [USER_UTTER, BOT_UTTER, SELECTOR].into_iter().map(|name| (name.to_lowercase(), name)).collect();
    for entry in entries {
        if let Some(other) = seen.insert(entry.key.to_lowercase(), &entry.key).filter(|other| *other != entry.key) {
            report.add(&codes::SIMILAR_ACTIONS, entry.key_span, || {
                say(format!("`{}` and `{other}` differ in case only, and an LLM may mix them up", entry.key)).help("rename one of them")
            });
        }
    }
}

fn action(entry: &Entry, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Action> {
    let fields = Fields::read(&entry.value, &keys::ACTION, report)?;
    let kind = kind(entry, &fields, scope, report)?;
    let mut prompt = prompt(&fields, report);
    let mut llm = llm(&fields, scope, report);
    if let Some(updater) = fields.entries().iter().find(|field| field.key == "updater") {
        let (fill, fill_llm) = updater_prompt(updater, prompt.is_some(), scope, report);
        prompt = fill.or(prompt);
        llm = fill_llm.or(llm);
    }
    let description = fields.text("description", report).unwrap_or_default().trim().to_owned();
    Some(Action { name: entry.key.clone(), description, prompt, llm, kind })
}

fn kind(entry: &Entry, fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<ActionKind> {
    let built_in = match entry.key.as_str() {
        USER_UTTER => Some(ActionKind::UserUtter),
        BOT_UTTER => Some(ActionKind::Utterance),
        SELECTOR => Some(ActionKind::Selector),
        _ => None,
    };
    let form_key = ["slots", "executer", "task", "step"].iter().find_map(|key| fields.entry(key));
    if let Some(kind) = built_in {
        if let Some(field) = form_key {
            report.add(&codes::IDLE_KEY, field.key_span, || {
                say(format!("`{}` is built in and is no form, so `{}` has no meaning here", entry.key, field.key))
                    .help("give the form a name of its own")
            });
        }
        return Some(kind);
    }
    let written = fields.text("type", report).map(|text| text.trim().to_ascii_lowercase());
    match written.as_deref() {
        Some("task") => return task(fields, scope, report).map(ActionKind::Form),
        None | Some("form" | "utterance") => {}
        Some(_) => {
            if let Some(node) = fields.get("type") {
                report.add(&codes::UNKNOWN_ACTION_TYPE, node.span, || {
                    say(format!("there is no action of type {}, so its other keys decide what it is", shown(node)))
                        .help("an action is a form when it has `slots` or `executer` or `type: form`, else an utterance")
                });
            }
        }
    }
    if form_key.is_some() || written.as_deref() == Some("form") {
        return form(entry, fields, scope, report).map(ActionKind::Form);
    }
    Some(ActionKind::Utterance)
}

fn form(entry: &Entry, fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Form> {
    let slots = slots(fields, scope, report);
    let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    let executor = match fields.get("executer") {
        Some(node) => Some(executor(node, &names, scope.target, report)?),
        None => None,
    };
    if slots.is_empty() && executor.is_none() {
        report.add(&codes::EMPTY_FORM, entry.key_span, || {
            say(format!("the form `{}` has neither slots nor an executor, so it does nothing", entry.key))
        });
    }
    Some(Form { slots, executor })
}

/// A task as an action: started with what the slots say, or a step of it answered with that.
fn task(fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Form> {
    let slots = slots(fields, scope, report);
    let Some(written) = fields.text("task", report) else {
        if fields.get("task").is_none() {
            report.add(&codes::MISSING_KEY, fields.span, || {
                say("an action of type `task` needs a `task`").help("it is the name of the task's folder: `task: trip`")
            });
        }
        return None;
    };
    let span = fields.get("task").map_or(fields.span, |node| node.span);
    let task = BotName::new(written.trim()).map_err(|invalid| {
        report.add(&codes::WRONG_VALUE, span, || say(format!("`task` is the name of a task's folder; this one {}", invalid.fault)))
    });
    let kind = ExecutorKind::Task(TaskCall { task: task.ok()?, step: fields.text("step", report) });
    let safety = default_safety(&kind);
    Some(Form { slots, executor: Some(Executor { kind, output: Vec::new(), timeout_ms: None, safety }) })
}

fn slots(fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Vec<Slot> {
    fields.named("slots", report).iter().filter_map(|entry| slot(entry, scope, report)).collect()
}

fn slot(entry: &Entry, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Slot> {
    let fields = Fields::read(&entry.value, &keys::SLOT, report)?;
    Some(Slot {
        name: entry.key.clone(),
        description: fields.text("description", report).unwrap_or_default().trim().to_owned(),
        prompt: prompt(&fields, report),
        llm: llm(&fields, scope, report),
        values: fields.texts("values", report),
        pattern: pattern(&fields, report),
        examples: fields.texts("examples", report),
    })
}

fn pattern(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Pattern> {
    let written = fields.text("pattern", report)?;
    match Pattern::new(&written) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let span = fields.get("pattern").map_or(fields.span, |node| node.span);
            report.add(&codes::BAD_PATTERN, span, || say(format!("this is not a regular expression: {}", error.trim())));
            None
        }
    }
}

fn llm(fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<String> {
    scope.llms.llm(fields.get("llm")?, report)
}

/// Older forms fill their slots by `updater.prompt`, and word the result by their own `prompt`. Here a form's `prompt`
/// fills its slots, and an utterance words the result.
fn updater_prompt(updater: &Entry, has_prompt: bool, scope: &Scope<'_>, report: &mut Report<'_>) -> (Option<Template>, Option<String>) {
    let Some(fields) = Fields::read(&updater.value, &keys::UPDATER, report) else { return (None, None) };
    let fill = prompt(&fields, report);
    if fill.is_some() {
        report.add(&codes::OLD_KEY, updater.key_span, || {
            let beside = if has_prompt { ", and the form's own `prompt` is left out: BotUtter words the result" } else { "" };
            say(format!("`updater.prompt` is read as the form's `prompt`{beside}"))
                .help("a form's `prompt` fills its slots; move `updater.prompt` there")
        });
    }
    (fill, llm(&fields, scope, report))
}

/// The action that a policy's or a test's key names.
pub(crate) fn named(node: &Node, what: &str, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = text(node, what, report)?;
    scope.actions.action(&name, node.span, report)
}
