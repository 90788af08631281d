//! agent.yml, all but its actions.

use cota_core::bot::{Mode, OnBusy, Policy, Settings};
use cota_core::limits;

use crate::actions::{self, Scope};
use crate::codes;
use crate::fields::{Fields, list};
use crate::keys;
use crate::nearest::nearest;
use crate::node::{Node, Span};
use crate::report::{Report, say, shown};

const POLICY_TYPES: [&str; 3] = ["trigger", "match", "llm"];
/// What an LLM may be asked to write at most, in tokens.
const MOST_TOKENS: u32 = 1_000_000;
/// Actions a turn may be allowed at most.
const MOST_STEPS: u32 = 100;
/// Messages that may be allowed to wait at most.
const MOST_WAITING: u32 = 1_000;

/// How the author wants actions chosen, and where that is written.
pub(crate) struct WrittenMode {
    pub(crate) mode: Mode,
    pub(crate) span: Span,
}

/// `dialogue` of agent.yml; the mode and the fallback reply depend on the rest of the bot.
pub(crate) struct Dialogue {
    pub(crate) settings: Settings,
    pub(crate) mode: Option<WrittenMode>,
    pub(crate) has_fallback: bool,
}

/// Reads `dialogue`.
pub(crate) fn dialogue(agent: &Fields<'_>, report: &mut Report<'_>) -> Dialogue {
    let nothing = Node::default();
    let node = agent.get("dialogue").unwrap_or(&nothing);
    let fields = Fields::read(node, &keys::DIALOGUE, report);
    let whole = |key: &str, most: u32, default: u32, report: &mut Report<'_>| {
        fields.as_ref().and_then(|fields| fields.whole(key, 1..=most, report)).unwrap_or(default)
    };
    let fallback = fields.as_ref().and_then(|fields| fallback(fields, report));
    let settings = Settings {
        use_proxy_user: fields.as_ref().and_then(|fields| fields.flag("use_proxy_user", report)).unwrap_or(false),
        max_proxy_step: whole("max_proxy_step", MOST_WAITING, limits::PROXY_EXCHANGES, report),
        max_tokens: whole("max_tokens", MOST_TOKENS, limits::ANSWER_TOKENS, report),
        max_steps: whole("max_steps", MOST_STEPS, limits::TURN_ACTIONS, report),
        mode: Mode::Prompts,
        on_busy: fields.as_ref().and_then(|fields| on_busy(fields, report)).unwrap_or(OnBusy::Queue),
        max_queue: whole("max_queue", MOST_WAITING, limits::WAITING_MESSAGES, report),
        max_history_tokens: whole("max_history_tokens", limits::MAX_HISTORY_TOKENS, limits::HISTORY_TOKENS, report),
        fallback: fallback.clone().unwrap_or_default(),
    };
    let mode = fields.as_ref().and_then(|fields| mode(fields, report));
    Dialogue { settings, mode, has_fallback: fallback.is_some() }
}

fn fallback(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = fields.text("fallback", report)?.trim().to_owned();
    let node = fields.get("fallback")?;
    if text.len() > limits::MESSAGE_BYTES {
        report.add(&codes::OVER_LIMIT, node.span, || {
            say(format!("a reply may have {} bytes, this one has {}", limits::MESSAGE_BYTES, text.len()))
        });
    }
    (!text.is_empty()).then_some(text)
}

fn on_busy(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<OnBusy> {
    let written = fields.text("on_busy", report)?;
    match written.trim().to_ascii_lowercase().as_str() {
        "queue" => Some(OnBusy::Queue),
        "reject" => Some(OnBusy::Reject),
        "latest" => Some(OnBusy::Latest),
        "merge" => Some(OnBusy::Merge),
        _ => {
            let node = fields.get("on_busy")?;
            report.add(&codes::WRONG_VALUE, node.span, || {
                say(format!("`on_busy` must be one of queue, reject, latest, merge, not {}", shown(node)))
            });
            None
        }
    }
}

fn mode(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<WrittenMode> {
    let written = fields.text("mode", report)?;
    let node = fields.get("mode")?;
    let mode = match written.trim().to_ascii_lowercase().as_str() {
        "prompts" => Mode::Prompts,
        "tools" => Mode::Tools,
        _ => {
            report.add(&codes::UNKNOWN_MODE, node.span, || {
                say(format!("the mode {} is read as `prompts`", shown(node))).help("write `prompts` or `tools`")
            });
            Mode::Prompts
        }
    };
    Some(WrittenMode { mode, span: node.span })
}

/// Reads the policy chain: rules, then matching examples, where the author has none.
pub(crate) fn policies(agent: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Vec<Policy> {
    match agent.get("policies") {
        Some(node) => list(node, "`policies`", report).unwrap_or_default().iter().filter_map(|item| policy(item, scope, report)).collect(),
        None => vec![Policy::Trigger, Policy::Match],
    }
}

fn policy(node: &Node, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Policy> {
    let fields = Fields::read(node, &keys::POLICY, report)?;
    let Some(written) = fields.text("type", report) else {
        report.add(&codes::MISSING_KEY, node.span, || say("a policy needs a `type`: trigger, match or llm"));
        return None;
    };
    let span = fields.get("type").map_or(node.span, |node| node.span);
    match written.trim().to_ascii_lowercase().as_str() {
        "trigger" => Some(Policy::Trigger),
        "match" => Some(Policy::Match),
        "llm" => Some(llm_policy(&fields, scope, report)),
        "rag" => {
            report.add(&codes::OLD_KEY, span, || say("the policy `rag` is read as `llm`").help("write `type: llm`"));
            Some(llm_policy(&fields, scope, report))
        }
        _ => {
            report.add(&codes::UNKNOWN_POLICY, span, || {
                say(format!("there is no policy of type `{written}`")).suggest(nearest(&written, POLICY_TYPES))
            });
            None
        }
    }
}

/// The LLMs of a policy: `config.llms` or, in older bots, `llm` beside the name; a name, a map or a list.
fn llm_policy(fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Policy {
    let in_config =
        fields.get("config").and_then(|config| Fields::read(config, &keys::POLICY_CONFIG, report)).and_then(|config| config.get("llms"));
    let mut default = None;
    let mut by_action = Vec::new();
    match in_config.or_else(|| fields.get("llms")) {
        Some(node) => read_llms(node, scope, &mut default, &mut by_action, report),
        None => report.add(&codes::IDLE_POLICY, fields.span, || {
            say("this policy names no LLM, so it never answers").help("name one: `config: {llms: [{name: ...}]}`")
        }),
    }
    Policy::Llm { default, by_action }
}

fn read_llms(node: &Node, scope: &Scope<'_>, default: &mut Option<String>, by_action: &mut Vec<(String, String)>, report: &mut Report<'_>) {
    if let Some(map) = node.as_map() {
        for entry in map.entries() {
            let llm = scope.llms.llm(&entry.value, report);
            if entry.key == "default" {
                *default = llm;
            } else {
                let action = scope.actions.action(&entry.key, entry.key_span, report);
                by_action.extend(action.zip(llm));
            }
        }
    } else if let Some(items) = node.as_list() {
        for item in items {
            read_llm(item, scope, default, by_action, report);
        }
    } else {
        read_llm(node, scope, default, by_action, report);
    }
}

/// One entry: a name alone, or a name and the action it is for.
fn read_llm(node: &Node, scope: &Scope<'_>, default: &mut Option<String>, by_action: &mut Vec<(String, String)>, report: &mut Report<'_>) {
    if node.as_map().is_none() {
        *default = scope.llms.llm(node, report);
        return;
    }
    let Some(fields) = Fields::read(node, &keys::POLICY_LLM, report) else { return };
    let Some(name) = fields.get("name") else {
        report.add(&codes::MISSING_KEY, node.span, || say("an entry of `llms` needs a `name`"));
        return;
    };
    let llm = scope.llms.llm(name, report);
    match fields.get("action") {
        Some(action) => by_action.extend(actions::named(action, "`action`", scope, report).zip(llm)),
        None => *default = llm,
    }
}

/// Reports `knowledge`, which is read and not used.
pub(crate) fn check_knowledge(agent: &Fields<'_>, report: &mut Report<'_>) {
    if let Some(entry) = agent.entry("knowledge") {
        report.add(&codes::IDLE_KNOWLEDGE, entry.key_span, || {
            say("`knowledge` is not used yet, so `{{knowledge}}` and `{{rag}}` are empty")
                .help("put the facts into the prompts, or use an LLM of `type: openai-rag`")
        });
    }
}
