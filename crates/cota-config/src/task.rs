//! A task folder: task.yml, its endpoints, and the agents in agents/.

use std::collections::BTreeSet;

use cota_core::bot::{Bot, BotSource, LlmKind, Mode, OnBusy, Settings as BotSettings};
use cota_core::gather::gather;
use cota_core::ids::{BotDigest, BotName};
use cota_core::limits;
use cota_core::task::plan::Test;
use cota_core::task::planner::Mind;
use cota_core::task::{Agent, Budget, Fault, HUMAN, Holes, Plan, Planner, PlannerVariable, Planning, Retry, Settings, StepSource, Task};

#[cfg(feature = "yaml")]
use crate::Files;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::endpoints::{self, Endpoints};
use crate::fields::Fields;
use crate::files;
use crate::keys;
use crate::language;
use crate::load::{self, Trees};
use crate::nearest::nearest;
use crate::node::{Node, Span, Value};
use crate::parts;
use crate::parts::Parts;
use crate::report::{Report, say};
use crate::{Bundle, Loaded, Options, StoreChoice, bundle, environment};

/// The longest time that a key may say: a year, in milliseconds.
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
/// The most a count may say.
const MOST: u32 = 1_000_000;

/// What came of loading a task.
#[derive(Debug)]
pub struct LoadedTask {
    /// The task, if there is no error.
    pub task: Option<Task>,
    /// A bot with the planner's LLMs and nothing else.
    pub planner: Option<Bot>,
    /// Its agents, by the names of their folders.
    pub agents: Vec<(String, Loaded)>,
    /// Where it wants its conversations kept.
    pub store: StoreChoice,
    /// Every problem, the agents' included, by file and line.
    pub diagnostics: Vec<Diagnostic>,
}

impl LoadedTask {
    /// What serves the task, if there is no error: the task, its planner's bot, its agents.
    #[must_use]
    pub fn into_staff(self) -> Option<(Task, Bot, Vec<Bot>)> {
        let agents = self.agents.into_iter().filter_map(|(_, agent)| agent.bot).collect();
        Some((self.task?, self.planner?, agents))
    }
}

/// Loads a task folder: its own files, and those of its agents under `agents/<name>/`.
#[cfg(feature = "yaml")]
#[must_use]
pub fn load_task(files: &Files, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> LoadedTask {
    load_parts(&Parts::of_folder(files), env, options)
}

/// Loads the bundle of a task. Its folder's name is its own, whatever the options say; its diagnostics name files and no lines.
#[must_use]
pub fn load_task_bundle(bundle: Bundle, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> LoadedTask {
    let name = bundle.name().to_owned();
    load_parts(&Parts::of_bundle(bundle), env, &Options { folder: &name, ..*options })
}

/// Loads one agent of a task folder. Its endpoints.yml is laid over the task's, its name is `task/agent`.
#[cfg(feature = "yaml")]
#[must_use]
pub fn load_agent(files: &Files, agent: &str, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> Loaded {
    agent_of_task(&Parts::of_folder(files), agent, env, options)
}

#[cfg(feature = "yaml")]
impl Bundle {
    /// The bundle of a task's folder, its agents included. The folder should have been loaded without an error before.
    #[must_use]
    pub fn of_task(files: &Files, name: &str) -> Self {
        let parts = Parts::of_folder(files);
        let mut report = Report::default();
        let mut trees = own_trees(&parts, &mut report);
        for agent in agent_folders(&parts) {
            let prefix = parts::prefix_of(&agent);
            let own = parts.below(&prefix);
            trees.extend(own.trees(&mut Report::default()).into_iter().map(|(path, tree)| (format!("{prefix}{path}"), tree)));
        }
        Self::of_trees(name, &trees)
    }
}

fn load_parts(parts: &Parts<'_>, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> LoadedTask {
    let agents: Vec<(String, Loaded)> =
        agent_folders(parts).into_iter().map(|name| (name.clone(), agent_of_task(parts, &name, env, options))).collect();
    let mut report = Report::default();
    let mut trees = own_trees(parts, &mut report);
    let digest = bundle::digest(&trees);
    let environment = environment(env, options);
    let Some(node) = trees.remove(files::TASK) else {
        let file = report.sources.add(files::TASK, None);
        report.add(&codes::MISSING_FILE, Span::of_file(file), || say("a task needs a task.yml, and this folder has none"));
        return LoadedTask { task: None, planner: None, agents, store: StoreChoice::Default, diagnostics: report.finish() };
    };
    let endpoints = load::endpoints(&mut trees, node.span, &environment, options, &mut report);
    let names = endpoints::names(&endpoints);
    let endpoints = endpoints::read(&endpoints, &names, &mut report);
    let store = endpoints.store.clone();
    let known = agents.iter().filter_map(|(_, loaded)| loaded.bot.as_ref()).map(agent_of).collect::<Vec<_>>();
    if agents.is_empty() {
        report.add(&codes::MISSING_FILE, node.span.whole_file(), || {
            say("the task has no agents").help("each folder in agents/ is one, with an agent.yml")
        });
    }
    let all_read = agents.iter().all(|(_, loaded)| loaded.bot.is_some());
    // A plan of agents that do not load would be told of as one of unknown agents.
    let task = if all_read { read(&node, &endpoints, known, digest.clone(), options, &mut report) } else { None };
    let planner = task.as_ref().map(|task| planner_bot(task, endpoints, digest));
    let is_faulty = report.has_errors();
    let mut diagnostics = report.finish();
    diagnostics.extend(agents.iter().flat_map(|(name, loaded)| placed(name, &loaded.diagnostics)));
    let mut seen = BTreeSet::new();
    diagnostics.retain(|found| seen.insert((found.code, found.file.clone(), found.line, found.column, found.message.clone())));
    let task = task.filter(|_| !is_faulty);
    let planner = planner.filter(|_| task.is_some());
    LoadedTask { task, planner, agents, store, diagnostics }
}

fn agent_of_task(parts: &Parts<'_>, agent: &str, env: &dyn Fn(&str) -> Option<String>, options: &Options<'_>) -> Loaded {
    let own = parts.below(&parts::prefix_of(agent));
    let mut report = Report::default();
    let mut trees = own.trees(&mut report);
    let of_task = [Some(files::ENDPOINTS.to_owned()), options.environment.map(files::endpoints_of)];
    let mut below = Node::new(Value::Null, Span::default());
    let mut is_laid = false;
    for path in of_task.into_iter().flatten().filter(|path| parts.has(path)) {
        is_laid = true;
        if let Some(tree) = parts.tree(&path, &format!("../../{path}"), &mut report) {
            below.overlay(tree);
        }
    }
    if is_laid {
        if let Some(own) = trees.remove(files::ENDPOINTS) {
            below.overlay(own);
        }
        trees.insert(files::ENDPOINTS.to_owned(), below);
    }
    let digest = bundle::digest(&trees);
    let within = options.folder;
    load::load(trees, digest, &environment(env, options), &Options { folder: agent, within: Some(within), ..*options }, report)
}

/// The names of the folders in agents/.
fn agent_folders(parts: &Parts<'_>) -> BTreeSet<String> {
    gather(parts.paths().filter_map(|path| path.strip_prefix(files::AGENTS)?.split_once('/')).map(|(name, _)| name.to_owned()))
}

fn own_trees<'t>(parts: &'t Parts<'_>, report: &mut Report<'t>) -> Trees {
    let paths = parts.paths().filter(|path| files::is_part_of_task(path));
    gather(paths.filter_map(|path| Some((path.to_owned(), parts.tree(path, path, report)?))))
}

/// The diagnostics of an agent, with their files as they are reached from the task's folder.
fn placed(agent: &str, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let place = |found: &Diagnostic| {
        let file = match found.file.strip_prefix("../../") {
            Some(of_task) => of_task.to_owned(),
            None => format!("{}{agent}/{}", files::AGENTS, found.file),
        };
        Diagnostic { file, ..found.clone() }
    };
    diagnostics.iter().map(place).collect()
}

fn agent_of(bot: &Bot) -> Agent {
    let name = bot.name().rsplit_once('/').map_or(bot.name(), |(_, name)| name);
    Agent { name: name.to_owned(), description: bot.source().description.clone() }
}

fn read(
    node: &Node,
    endpoints: &Endpoints,
    agents: Vec<Agent>,
    digest: BotDigest,
    options: &Options<'_>,
    report: &mut Report<'_>,
) -> Option<Task> {
    let fields = Fields::read(node, &keys::TASK, report)?;
    let name = BotName::new(options.folder).map_err(|invalid| {
        report.add(&codes::WRONG_VALUE, node.span.whole_file(), || say(format!("the task's name is its folder's; it {}", invalid.fault)))
    });
    if agents.iter().any(|agent| agent.name == HUMAN) {
        report.add(&codes::WRONG_VALUE, node.span.whole_file(), || say("an agent cannot be named `human`: that is a person"));
    }
    let settings = settings(&fields, report);
    let has_plans = fields.get("plans").is_some();
    let planning = match (has_plans, fields.get("prompt").is_some()) {
        (true, _) => plan(&fields, &agents, report).map(Planning::Static),
        (false, true) => planner(&fields, endpoints, &agents, report).map(Planning::Dynamic),
        (false, false) => {
            report.add(&codes::MISSING_KEY, node.span.whole_file(), || {
                say("a task needs `plans` or `prompt`").help("`plans` lists its steps; with `prompt` an LLM plans them")
            });
            None
        }
    };
    let description = fields.text("description", report).unwrap_or_default().trim().to_owned();
    Some(Task { name: name.ok()?, digest, description, agents, planning: planning?, settings })
}

fn settings(fields: &Fields<'_>, report: &mut Report<'_>) -> Settings {
    let default = Settings::default();
    Settings {
        max_concurrent: fields.whole("max_concurrent", 1..=1_000, report).unwrap_or(default.max_concurrent),
        max_steps: fields.whole("max_steps", 1..=1_000, report).unwrap_or(default.max_steps),
        retry: retry(fields, report).unwrap_or(default.retry),
        timeout_ms: fields.seconds("timeout_s", YEAR_MS, report).unwrap_or(default.timeout_ms),
        budget: Budget {
            llm_calls: fields.whole("max_llm_calls", 1..=MOST, report).unwrap_or(default.budget.llm_calls),
            tokens: fields.whole("max_tokens_total", 1..=u32::MAX, report).map(u64::from),
            ms: fields.seconds("max_time_s", YEAR_MS, report),
        },
    }
}

fn retry(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Retry> {
    let retry = Fields::read(fields.get("retry")?, &keys::RETRY, report)?;
    let default = Retry::default();
    let attempts = retry.whole("attempts", 1..=100, report).and_then(|attempts| u16::try_from(attempts).ok());
    let backoff_ms = retry.whole("backoff_ms", 0..=3_600_000, report).map(u64::from);
    Some(Retry { attempts: attempts.unwrap_or(default.attempts), backoff_ms: backoff_ms.unwrap_or(default.backoff_ms) })
}

fn plan(fields: &Fields<'_>, agents: &[Agent], report: &mut Report<'_>) -> Option<Plan> {
    let nodes = fields.list("plans", report);
    let steps: Vec<(StepSource, &Node)> = nodes.iter().filter_map(|node| Some((step(node, report)?, node))).collect();
    report_unknown_words(&steps, report);
    let sources = steps.iter().map(|(source, _)| source.clone()).collect();
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let faults = match Plan::check(sources, &names) {
        Ok(plan) => return Some(plan),
        Err(faults) => faults,
    };
    let whole = fields.get("plans").map_or(fields.span, |node| node.span);
    // What a step that could not be read would have been is not known: it has been told of, and what others miss of it is no fault.
    let are_all_read = steps.len() == nodes.len();
    let is_sure = |fault: &&Fault| are_all_read || !matches!(fault, Fault::Empty | Fault::UnknownDependency { .. });
    for fault in faults.iter().filter(is_sure) {
        let node = fault.step().and_then(|place| steps.get(place)).map(|(_, node)| *node);
        let (key, near) = match fault {
            Fault::UnknownAgent { agent, .. } => ("agent", nearest(agent, names.iter().copied().chain([HUMAN]))),
            Fault::UnknownDependency { dependency, .. } => {
                ("dependencies", nearest(dependency, steps.iter().map(|(source, _)| source.name.as_str())))
            }
            Fault::NotADependency { within, .. } => (*within, None),
            Fault::BadWhen { .. } => ("when", None),
            Fault::QueryTooLong { .. } => ("startquery", None),
            Fault::Cycle { .. } => ("dependencies", None),
            Fault::Empty
            | Fault::TooManySteps(_)
            | Fault::TooLarge(_)
            | Fault::BadName { .. }
            | Fault::DuplicateName { .. }
            | Fault::NothingToAsk { .. } => ("name", None),
        };
        let span = node.and_then(|node| node.as_map()?.get(key)).map_or(node.map_or(whole, |node| node.span), |node| node.span);
        report.add(&codes::WRONG_VALUE, span, || say(fault.to_string()).suggest(near));
    }
    None
}

fn step(node: &Node, report: &mut Report<'_>) -> Option<StepSource> {
    let fields = Fields::read(node, &keys::PLAN_STEP, report)?;
    let mut needed = |key: &str| {
        let text = fields.text(key, report);
        if text.is_none() && fields.get(key).is_none() {
            report.add(&codes::MISSING_KEY, node.span, || say(format!("a step of a plan has no `{key}`")));
        }
        text
    };
    let (name, agent) = (needed("name"), needed("agent"));
    let after_failure = fields.text("after_failure", report);
    if let Some(word) = after_failure.as_deref().filter(|word| *word != "run" && *word != "skip") {
        let span = fields.get("after_failure").map_or(node.span, |node| node.span);
        report.add(&codes::WRONG_VALUE, span, || say(format!("`after_failure` is `run` or `skip`, not `{word}`")));
    }
    Some(StepSource {
        name: name?,
        agent: agent?,
        startquery: fields.text("startquery", report),
        dependencies: fields.texts("dependencies", report),
        when: fields.text("when", report),
        after_failure: after_failure.as_deref() == Some("run"),
        retry: retry(&fields, report),
        timeout_ms: fields.seconds("timeout_s", YEAR_MS, report),
    })
}

/// `{{words}}` of a query that are neither a result nor the task's input.
fn report_unknown_words(steps: &[(StepSource, &Node)], report: &mut Report<'_>) {
    for (source, node) in steps {
        let Some(query) = source.startquery.as_deref() else { continue };
        for (word, _) in Holes::parse(query).names().filter(|(word, _)| *word != "input" && !word.starts_with("results.")) {
            let span = node.as_map().and_then(|map| map.get("startquery")).map_or(node.span, |node| node.span);
            let place = report.sources.find(span, &format!("{{{{{word}}}}}"), 0);
            report.add(&codes::UNKNOWN_VARIABLE, place, || {
                say(format!("a query has no variable `{{{{{word}}}}}`")).help("there are `{{input}}` and `{{results.<step>}}`")
            });
        }
    }
}

fn planner(fields: &Fields<'_>, endpoints: &Endpoints, agents: &[Agent], report: &mut Report<'_>) -> Option<Planner> {
    let prompt = fields.text("prompt", report)?;
    let span = fields.get("prompt").map_or(fields.span, |node| node.span);
    let prompt = Holes::parse(&prompt);
    for (word, _) in prompt.names().filter(|(word, _)| PlannerVariable::named(word).is_none()) {
        let place = report.sources.find(span, &format!("{{{{{word}}}}}"), 0);
        report.add(&codes::UNKNOWN_VARIABLE, place, || {
            say(format!("a planner's prompt has no variable `{{{{{word}}}}}`")).suggest(nearest(word, PlannerVariable::NAMES))
        });
    }
    let named = fields.text("llm", report);
    let llm = match &named {
        Some(name) => endpoints.llms.iter().find(|llm| llm.name == *name),
        None => endpoints.llms.first(),
    };
    if llm.is_none() {
        let span = fields.get("llm").map_or(fields.span, |node| node.span);
        let name = named.unwrap_or_default();
        report.add(&codes::UNKNOWN_LLM, span, || {
            say(format!("endpoints.yml has no LLM `{name}`")).suggest(nearest(&name, endpoints.llms.iter().map(|llm| llm.name.as_str())))
        });
    }
    let llm = llm?;
    let mind = if llm.kind == LlmKind::Examples { Mind::Turns } else { Mind::Llm(llm.name.clone()) };
    let max_tokens = fields.whole("max_tokens", 1..=MOST, report).unwrap_or(limits::ANSWER_TOKENS);
    Some(Planner { mind, prompt, max_tokens, finish_when: finish_when(fields, agents, report) })
}

/// `results.<agent> contains TEXT` and the like: the last that an agent said.
fn finish_when(fields: &Fields<'_>, agents: &[Agent], report: &mut Report<'_>) -> Option<(String, Test)> {
    let text = fields.text("finish_when", report)?;
    let span = fields.get("finish_when").map_or(fields.span, |node| node.span);
    let (name, test) = match Test::parse(&text) {
        Ok((name, test)) => (name.to_owned(), test),
        Err(fault) => {
            report.add(&codes::WRONG_VALUE, span, || {
                say(format!("`finish_when` {fault}")).help("the result is an agent's: `results.<agent>`")
            });
            return None;
        }
    };
    if !agents.iter().any(|agent| agent.name == name) {
        report.add(&codes::WRONG_VALUE, span, || {
            say(format!("`finish_when` looks at what `{name}` says, and there is no such agent"))
                .suggest(nearest(&name, agents.iter().map(|agent| agent.name.as_str())))
        });
        return None;
    }
    Some((name, test))
}

fn planner_bot(task: &Task, endpoints: Endpoints, digest: BotDigest) -> Bot {
    let language = language::of([task.description.as_str()].into_iter());
    Bot::compile(BotSource {
        name: task.name.clone(),
        digest,
        language,
        description: task.description.clone(),
        proxy_description: String::new(),
        settings: BotSettings {
            use_proxy_user: false,
            max_proxy_step: 0,
            max_tokens: limits::ANSWER_TOKENS,
            max_steps: limits::TURN_ACTIONS,
            mode: Mode::Prompts,
            on_busy: OnBusy::Queue,
            max_queue: limits::WAITING_MESSAGES,
            max_history_tokens: limits::HISTORY_TOKENS,
            fallback: String::new(),
        },
        policies: Vec::new(),
        actions: Vec::new(),
        llms: endpoints.llms,
        examples: Vec::new(),
        rules: Vec::new(),
    })
}
