//! From trees to a bot: the order in which the parts are read.

use std::collections::BTreeMap;

use cota_core::bot::{Action, ActionKind, Bot, BotSource, LlmKind, Mode, SELECTOR};
use cota_core::ids::{BotDigest, BotName};

use crate::actions::{self, Scope};
use crate::agent;
use crate::codes;
use crate::dialogues::{Dialogues, Placed};
use crate::endpoints::{self, Endpoints};
use crate::environment::Environment;
use crate::executor::placeholders;
use crate::fields::Fields;
use crate::files;
use crate::keys;
use crate::language;
use crate::nearest::nearest;
use crate::node::{Node, Span, Value};
use crate::report::{Report, say};
use crate::rules;
use crate::secrets;
use crate::{Loaded, Options, StoreChoice};

/// The trees of a bot's files, by path.
pub(crate) type Trees = BTreeMap<String, Node>;

/// Reads a bot from its trees.
pub(crate) fn load(mut trees: Trees, digest: BotDigest, env: &Environment<'_>, options: &Options<'_>, mut report: Report<'_>) -> Loaded {
    report_clear_secrets(&trees, &mut report);
    let Some(mut agent) = trees.remove(files::AGENT) else {
        return Loaded { bot: None, store: StoreChoice::Default, diagnostics: report.finish() };
    };
    fill_executors(&mut agent, env, &mut report);
    let endpoints = endpoints(&mut trees, agent.span, env, options, &mut report);
    let action_names = actions::names(&agent);
    let llm_names = endpoints::names(&endpoints);
    let scope = Scope { actions: &action_names, llms: &llm_names, target: options.target };
    let endpoints = endpoints::read(&endpoints, &llm_names, &mut report);
    let store = endpoints.store.clone();
    let mut dialogues = Dialogues::default();
    for (_, tree) in trees.iter().filter(|(path, _)| files::is_policy(path)) {
        dialogues.read(tree, &scope, &mut report);
    }
    dialogues.check_count(&mut report);
    let source = assemble(&agent, endpoints, dialogues, &scope, digest, options, &mut report);
    let bot = source.filter(|_| !report.has_errors()).map(Bot::compile);
    Loaded { bot, store, diagnostics: report.finish() }
}

fn assemble(
    node: &Node,
    endpoints: Endpoints,
    dialogues: Dialogues,
    scope: &Scope<'_>,
    digest: BotDigest,
    options: &Options<'_>,
    report: &mut Report<'_>,
) -> Option<BotSource> {
    let fields = Fields::read(node, &keys::AGENT, report)?;
    let system = system(&fields, options, report);
    let proxy_description = fields
        .get("user_proxy")
        .and_then(|proxy| Fields::read(proxy, &keys::USER_PROXY, report))
        .and_then(|proxy| proxy.text("description", report))
        .unwrap_or_default();
    agent::check_knowledge(&fields, report);
    let mut dialogue = agent::dialogue(&fields, report);
    let policies = agent::policies(&fields, scope, report);
    let mut actions = actions::read(&fields, scope, report);
    let is_offline = endpoints.llms.iter().all(|llm| llm.kind == LlmKind::Examples);
    dialogue.settings.mode = mode(dialogue.mode.as_ref(), &actions, is_offline, report);
    let described = actions.iter().map(|action| action.description.as_str());
    let language = language::of(described.chain([system.description.as_str()]));
    if !dialogue.has_fallback {
        language::fallback(language).clone_into(&mut dialogue.settings.fallback);
    }
    report_nothing_to_choose(node, &actions, report);
    actions::add_built_in(&mut actions, language);
    rules::check(&dialogues.rules, &policies, &actions, report);
    if endpoints.llms.iter().any(|llm| llm.kind == LlmKind::Examples) {
        check_examples(&dialogues.examples, &actions, node.span, report);
    }
    let plain = |placed: Vec<Placed>| placed.into_iter().map(|placed| placed.dialogue).collect();
    Some(BotSource {
        name: system.name?,
        digest,
        language,
        description: system.description,
        proxy_description: proxy_description.trim().to_owned(),
        settings: dialogue.settings,
        policies,
        actions,
        llms: endpoints.llms,
        examples: plain(dialogues.examples),
        rules: plain(dialogues.rules),
    })
}

struct System {
    name: Option<BotName>,
    description: String,
}

fn system(agent: &Fields<'_>, options: &Options<'_>, report: &mut Report<'_>) -> System {
    let fields = agent.get("system").and_then(|node| Fields::read(node, &keys::SYSTEM, report));
    let written = fields.as_ref().and_then(|fields| fields.text("name", report));
    let span = fields.as_ref().and_then(|fields| fields.get("name")).map_or(agent.span, |node| node.span);
    let from_folder = written.is_none();
    let name = written.unwrap_or_else(|| options.folder.to_owned());
    let name = match options.within {
        Some(task) => format!("{task}/{}", name.trim()),
        None => name.trim().to_owned(),
    };
    let name = match BotName::new(name) {
        Ok(name) => Some(name),
        Err(invalid) => {
            report.add(&codes::WRONG_VALUE, span, || {
                let words = say(format!("{} {}", invalid.what, invalid.fault));
                if from_folder { words.help("the name is the folder's; give another one as `system.name`") } else { words }
            });
            None
        }
    };
    let description = fields.and_then(|fields| fields.text("description", report)).unwrap_or_default().trim().to_owned();
    System { name, description }
}

/// What the author wrote, else `prompts` where there is a Selector prompt or no model with tools.
fn mode(written: Option<&agent::WrittenMode>, actions: &[Action], is_offline: bool, report: &mut Report<'_>) -> Mode {
    let has_selector_prompt = actions.iter().any(|action| action.name == SELECTOR && action.prompt.is_some());
    match written {
        Some(written) if written.mode == Mode::Tools && is_offline => {
            report.add(&codes::MODE_WITHOUT_TOOLS, written.span, || {
                say("the offline model has no tools, so the mode is `prompts`").help("`tools` needs an LLM in endpoints.yml")
            });
            Mode::Prompts
        }
        Some(written) => written.mode,
        None if has_selector_prompt || is_offline => Mode::Prompts,
        None => Mode::Tools,
    }
}

fn report_nothing_to_choose(agent: &Node, actions: &[Action], report: &mut Report<'_>) {
    let selector = actions.iter().find(|action| matches!(action.kind, ActionKind::Selector) && action.prompt.is_some());
    let has_own = actions.iter().any(|action| action.form().is_some() || (action.is_utterance() && action.name != "BotUtter"));
    if selector.is_some() && !has_own {
        let span = agent
            .as_map()
            .and_then(|map| map.get("actions")?.as_map()?.entries().iter().find(|entry| entry.key == SELECTOR))
            .map_or(agent.span, |entry| entry.key_span);
        report.add(&codes::NO_ACTIONS, span, || {
            say("Selector has only BotUtter to choose from, so its LLM call decides nothing")
                .help("add actions of your own, or remove Selector's prompt")
        });
    }
}

/// What the offline model needs: examples, and slots in their texts that exist.
fn check_examples(examples: &[Placed], actions: &[Action], agent: Span, report: &mut Report<'_>) {
    if examples.is_empty() {
        report.add(&codes::NOTHING_TO_ANSWER_FROM, agent.whole_file(), || {
            say("the offline model answers from the examples in policy/, and there are none").help("write some under `policies:`")
        });
    }
    let forms = actions.iter().filter_map(Action::form);
    let slots: Vec<&str> = forms.flat_map(|form| &form.slots).map(|slot| slot.name.as_str()).chain(["result"]).collect();
    let utterances: Vec<&str> = actions.iter().filter(|action| action.is_utterance()).map(|action| action.name.as_str()).collect();
    for placed in examples {
        let spoken = placed.dialogue.steps.iter().zip(&placed.steps).filter(|(step, _)| utterances.contains(&step.name.as_str()));
        for (word, span) in
            spoken.flat_map(|(step, span)| step.result.texts().iter().flat_map(|text| placeholders(text)).map(move |word| (word, span)))
        {
            // A word far from every slot is most likely meant as it is.
            if let Some(near) = Some(word).filter(|word| !slots.contains(word)).and_then(|word| nearest(word, slots.iter().copied())) {
                let place = report.sources.find(*span, &format!("{{{word}}}"), 0);
                report.add(&codes::UNKNOWN_SLOT, place, || {
                    say(format!("no form has a slot `{word}`, so `{{{word}}}` is said as it is")).suggest(Some(near))
                });
            }
        }
    }
}

/// endpoints.yml with the environment's file laid over it and its variables filled in.
pub(crate) fn endpoints(trees: &mut Trees, agent: Span, env: &Environment<'_>, options: &Options<'_>, report: &mut Report<'_>) -> Node {
    let mut below = trees.remove(files::ENDPOINTS).unwrap_or_else(|| Node::new(Value::Null, agent.whole_file()));
    if let Some(environment) = options.environment {
        let path = files::endpoints_of(environment);
        match trees.remove(&path) {
            Some(above) => below.overlay(above),
            None => report.add(&codes::MISSING_ENVIRONMENT, below.span.whole_file(), || {
                say(format!("the environment `{environment}` has no file `{path}`, so endpoints.yml is used as it is"))
            }),
        }
    }
    env.fill(&mut below, report);
    below
}

/// Fills in the variables of every executor.
fn fill_executors(agent: &mut Node, env: &Environment<'_>, report: &mut Report<'_>) {
    let Value::Map(sections) = &mut agent.value else { return };
    for section in sections.values_mut().filter(|section| section.key == "actions") {
        let Value::Map(actions) = &mut section.value.value else { continue };
        for action in actions.values_mut() {
            let Value::Map(fields) = &mut action.value.value else { continue };
            for field in fields.values_mut().filter(|field| field.key == "executer" || field.key == "executor") {
                env.fill(&mut field.value, report);
            }
        }
    }
}

fn report_clear_secrets(trees: &Trees, report: &mut Report<'_>) {
    for (path, tree) in trees.iter().filter(|(path, _)| !files::is_policy(path)) {
        let in_executors_only = path == files::AGENT;
        report_clear_secrets_in(tree, !in_executors_only, report);
    }
}

/// Looks at every key; only inside executors where `everywhere` is false.
fn report_clear_secrets_in(node: &Node, everywhere: bool, report: &mut Report<'_>) {
    if let Some(items) = node.as_list() {
        items.iter().for_each(|item| report_clear_secrets_in(item, everywhere, report));
    }
    for entry in node.as_map().into_iter().flat_map(|map| map.entries()) {
        let everywhere = everywhere || entry.key == "executer" || entry.key == "executor";
        let is_clear = entry.value.as_text().is_some_and(|text| secrets::is_in_clear(&text));
        if everywhere && secrets::is_secret_name(&entry.key) && is_clear {
            report.sources.hide(entry.value.span);
            report.add(&codes::CLEAR_SECRET, entry.key_span, || {
                say(format!("the value of `{}` is a secret and is written in clear", entry.key)).help(format!(
                    "write `${{VAR}}`, as in `{}: ${{{}}}`, and set that variable",
                    entry.key,
                    variable_name(&entry.key)
                ))
            });
        }
        report_clear_secrets_in(&entry.value, everywhere, report);
    }
}

fn variable_name(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name == "KEY" { "LLM_KEY".to_owned() } else { name }
}
