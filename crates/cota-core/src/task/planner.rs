//! Planning while a task runs: what the planner is asked, and what its answer means.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Task;
use super::board::{Board, StepState};
use super::plan::{Plan, StepSource, Test};
use super::template::{Holes, PlannerVariable};
use crate::answer;
use crate::limits;
use crate::prompt::{ChatMessage, ChatRequest, Role, one_line};

/// How a task is planned while it runs.
#[derive(Clone, Debug)]
pub struct Planner {
    /// Who decides.
    pub mind: Mind,
    /// What it is asked.
    pub prompt: Holes,
    /// Tokens of its answer.
    pub max_tokens: u32,
    /// A result after which nothing more is to be done: whose, and what it says.
    pub finish_when: Option<(String, Test)>,
}

/// Who decides what is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mind {
    /// The LLM of this name.
    Llm(String),
    /// Nobody: the agents take turns, in the order of their folders. That is what the offline model can do.
    Turns,
}

/// What a planner wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// This step, and then to be asked again.
    Step(StepSource),
    /// These steps, and nothing more.
    Plan(Vec<StepSource>),
    /// Nothing more: this is what came of the task.
    Finish(String),
}

/// A step in a planner's words.
#[derive(Deserialize)]
struct Said {
    name: Option<String>,
    agent: String,
    #[serde(alias = "query")]
    startquery: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    when: Option<String>,
    #[serde(default)]
    after_failure: Option<Json>,
}

impl Planner {
    /// What the planner is asked now.
    #[must_use]
    pub fn request(&self, task: &Task, board: &Board) -> ChatRequest {
        let prompt = self.prompt.fill(|name| Some(value(PlannerVariable::named(name)?, task, board)));
        let mut messages = vec![ChatMessage::of(Role::System, task.description.clone()), ChatMessage::of(Role::User, prompt)];
        if !board.refused.is_empty() {
            let faults = board.refused.join("; ");
            messages.push(ChatMessage::of(Role::User, format!("Your last answer could not be used: {faults}. Answer again.")));
        }
        ChatRequest { messages, tools: Vec::new(), max_tokens: self.max_tokens, json: true }
    }

    /// Whether the last result says that nothing more is to be done.
    pub(super) fn is_finished(&self, board: &Board) -> bool {
        let Some((agent, test)) = &self.finish_when else { return false };
        board.transcript().last().is_some_and(|(who, said)| who == agent && test.holds(Some(said)))
    }
}

/// Whose turn it is where nobody decides.
pub(super) fn next_in_turn(task: &Task, board: &Board) -> Option<StepSource> {
    let last = board.steps().last().map(|step| step.planned.source.agent.as_str());
    let place = last.and_then(|last| task.agents.iter().position(|agent| agent.name == last)).map_or(0, |place| place + 1);
    let agent = task.agents.get(place % task.agents.len().max(1))?;
    Some(StepSource { name: step_name(board), agent: agent.name.clone(), ..StepSource::default() })
}

/// Reads a planner's answer, and checks it.
///
/// # Errors
/// What is wrong with it, in words for the planner.
pub fn read(content: &str, task: &Task, board: &Board) -> Result<Wanted, Vec<String>> {
    let wanted = wanted(content, board).map_err(|fault| vec![fault])?;
    let steps = match &wanted {
        Wanted::Finish(_) => return Ok(wanted),
        Wanted::Step(step) => std::slice::from_ref(step),
        Wanted::Plan(steps) => steps.as_slice(),
    };
    let most = usize::try_from(task.settings.max_steps).unwrap_or(usize::MAX).min(limits::TASK_STEPS);
    if steps.len() > most.saturating_sub(board.steps().len()) {
        return Err(vec![format!("the plan has {} steps; this task may have {most} in all", steps.len())]);
    }
    if let Some(step) = steps.iter().find(|step| board.step(&step.name).is_some()) {
        return Err(vec![format!("there is a step `{}` already", step.name)]);
    }
    let agents: Vec<&str> = task.agents.iter().map(|agent| agent.name.as_str()).collect();
    let plan = Plan::check(steps.to_vec(), &agents).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let mut sources = plan.sources();
    Ok(match wanted {
        Wanted::Step(step) => Wanted::Step(sources.pop().unwrap_or(step)),
        Wanted::Plan(_) => Wanted::Plan(sources),
        Wanted::Finish(result) => Wanted::Finish(result),
    })
}

fn wanted(content: &str, board: &Board) -> Result<Wanted, String> {
    const SHAPE: &str = "it is no JSON object with `agent`, with `finish`, or with a list `plan`";
    let json = answer::json(content, |object| ["agent", "finish", "plan", "plans", "steps"].iter().any(|key| object.contains_key(*key)));
    let object = match json.ok_or(SHAPE)? {
        Json::Array(steps) => return plan(steps),
        Json::Object(object) => object,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return Err(SHAPE.to_owned()),
    };
    let list = ["plan", "plans", "steps"].iter().find_map(|key| object.get(*key)?.as_array());
    if let Some(steps) = list.filter(|steps| !steps.is_empty()) {
        return plan(steps.clone());
    }
    if object.get("agent").is_some_and(|agent| !agent.is_null()) {
        let said = Said::deserialize(Json::Object(object)).map_err(|error| format!("the step cannot be read: {error}"))?;
        let startquery = said.startquery.filter(|query| !query.trim().is_empty());
        return Ok(Wanted::Step(StepSource { name: step_name(board), agent: said.agent, startquery, ..StepSource::default() }));
    }
    match object.get("finish") {
        Some(Json::String(text)) => Ok(Wanted::Finish(text.trim().to_owned())),
        Some(Json::Bool(true)) => Ok(Wanted::Finish(String::new())),
        Some(Json::Null | Json::Bool(false)) | None => Err(SHAPE.to_owned()),
        Some(other @ (Json::Number(_) | Json::Array(_) | Json::Object(_))) => Ok(Wanted::Finish(other.to_string())),
    }
}

fn plan(steps: Vec<Json>) -> Result<Wanted, String> {
    let read = |(n, step): (usize, Json)| {
        let said = Said::deserialize(step).map_err(|error| format!("step {} of the plan cannot be read: {error}", n + 1))?;
        Ok(StepSource {
            name: said.name.unwrap_or_else(|| format!("step-{}", n + 1)),
            agent: said.agent,
            startquery: said.startquery,
            dependencies: said.dependencies,
            when: said.when,
            after_failure: said.after_failure.is_some_and(|value| value == Json::Bool(true) || value == "run"),
            retry: None,
            timeout_ms: None,
        })
    };
    steps.into_iter().enumerate().map(read).collect::<Result<_, String>>().map(Wanted::Plan)
}

fn step_name(board: &Board) -> String {
    format!("step-{}", board.steps().len() + 1)
}

fn value(variable: PlannerVariable, task: &Task, board: &Board) -> String {
    match variable {
        PlannerVariable::TaskDescription => task.description.clone(),
        PlannerVariable::AgentDescription => lines(task.agents.iter().map(|agent| (agent.name.as_str(), agent.description.as_str()))),
        PlannerVariable::HistoryMessages => lines(board.transcript()),
        PlannerVariable::Input => board.input.clone(),
        PlannerVariable::Results => lines(board.steps().iter().filter_map(|step| {
            let name = step.planned.source.name.as_str();
            match (&step.state, &step.error) {
                (StepState::Done, _) => Some((name, step.result.as_str())),
                (StepState::Failed, Some(error)) => Some((name, error.as_str())),
                _ => None,
            }
        })),
        PlannerVariable::Plan => {
            let steps = board.report_steps();
            let shown = steps.iter().map(|step| json!({"name": step.name, "agent": step.agent, "state": step.state}));
            Json::Array(shown.collect()).to_string()
        }
    }
}

fn lines<'l>(all: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    all.map(|(name, text)| format!("{name}:{}", one_line(text))).collect::<Vec<_>>().join("\n")
}
