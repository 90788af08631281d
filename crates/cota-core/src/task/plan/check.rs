//! What makes a list of steps a plan, and what is wrong with one that is none.

use std::collections::HashMap;
use std::fmt;

use super::{HUMAN, PlannedStep, StepSource, name_fault, when};
use crate::limits;
use crate::task::template::{Holes, cut};

/// Most faults that are told: a plan with more is not worth reading further.
const TOLD: usize = 40;
/// Most characters of a name that a fault repeats.
const QUOTED: usize = 64;

/// Something wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no step.
    Empty,
    /// It has more steps than a task may have.
    TooManySteps(usize),
    /// All its texts together are too large.
    TooLarge(usize),
    /// A step's name cannot be one.
    BadName {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// What is wrong with it, as the end of a sentence.
        fault: &'static str,
    },
    /// Two steps have one name.
    DuplicateName {
        /// The later one's place.
        step: usize,
        /// The name.
        name: String,
    },
    /// Nobody of this name is there to do it.
    UnknownAgent {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// Who is to do it.
        agent: String,
        /// Who could.
        agents: String,
    },
    /// A step waits for one that is not there.
    UnknownDependency {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// The dependency.
        dependency: String,
    },
    /// A query is too long.
    QueryTooLong {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// Its bytes.
        bytes: usize,
    },
    /// A query or a condition looks at a result that the step does not wait for.
    NotADependency {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// Where: `startquery` or `when`.
        within: &'static str,
        /// Whose result.
        result: String,
    },
    /// A person has to be asked something.
    NothingToAsk {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
    },
    /// A condition cannot be read.
    BadWhen {
        /// The step's place.
        step: usize,
        /// Its name.
        name: String,
        /// What is wrong with it, as the end of a sentence.
        fault: String,
    },
    /// Steps wait for each other in a ring.
    Cycle {
        /// The place of one of them.
        step: usize,
        /// Their names along the ring; the first is the last.
        path: Vec<String>,
    },
}

impl Fault {
    /// The place of the step that is at fault, where it is one.
    #[must_use]
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::TooManySteps(_) | Self::TooLarge(_) => None,
            Self::BadName { step, .. }
            | Self::DuplicateName { step, .. }
            | Self::UnknownAgent { step, .. }
            | Self::UnknownDependency { step, .. }
            | Self::QueryTooLong { step, .. }
            | Self::NotADependency { step, .. }
            | Self::NothingToAsk { step, .. }
            | Self::BadWhen { step, .. }
            | Self::Cycle { step, .. } => Some(*step),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the plan has no step"),
            Self::TooManySteps(steps) => write!(f, "the plan has {steps} steps; a task may have {}", limits::TASK_STEPS),
            Self::TooLarge(bytes) => write!(f, "the plan's texts have {bytes} bytes in all; the limit is {}", limits::PLAN_BYTES),
            Self::BadName { name, fault, .. } => write!(f, "the step's name {} {fault}", quoted(name)),
            Self::DuplicateName { name, .. } => write!(f, "two steps are named {}", quoted(name)),
            Self::UnknownAgent { name, agent, agents, .. } => {
                write!(f, "step {}: there is no agent {}; there is {agents}", quoted(name), quoted(agent))
            }
            Self::UnknownDependency { name, dependency, .. } => {
                write!(f, "step {} depends on {}, and there is no such step", quoted(name), quoted(dependency))
            }
            Self::QueryTooLong { name, bytes, .. } => {
                write!(f, "the query of step {} has {bytes} bytes; the limit is {}", quoted(name), limits::MESSAGE_BYTES)
            }
            Self::NotADependency { name, within, result, .. } => write!(
                f,
                "the `{within}` of step {} looks at results.{}, which is none of its dependencies",
                quoted(name),
                cut(result, QUOTED)
            ),
            Self::NothingToAsk { name, .. } => write!(f, "step {} asks a person, and has no `startquery` to ask", quoted(name)),
            Self::BadWhen { name, fault, .. } => write!(f, "the `when` of step {} {fault}", quoted(name)),
            Self::Cycle { path, .. } => write!(f, "steps wait for each other: {}", path.join(" → ")),
        }
    }
}

/// A name as a message shows it: short, and without characters that a terminal would obey.
fn quoted(name: &str) -> String {
    let shown: String = name.chars().take(QUOTED).flat_map(|c| c.escape_debug()).collect();
    format!("`{shown}`")
}

pub(super) fn check(steps: Vec<StepSource>, agents: &[&str]) -> Result<Vec<PlannedStep>, Vec<Fault>> {
    size(&steps).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let places = places(&steps, &mut faults);
    let mut planned: Vec<PlannedStep> = Vec::with_capacity(steps.len());
    for (at, source) in steps.into_iter().enumerate() {
        planned.push(Checking { at, places: &places, agents, faults: &mut faults }.step(source));
    }
    if let Some(path) = cycle(&planned) {
        let names = path.iter().filter_map(|at| Some(planned.get(*at)?.source.name.clone())).collect();
        faults.push(Fault::Cycle { step: path.first().copied().unwrap_or_default(), path: names });
    }
    faults.truncate(TOLD);
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

/// Sizes come first, so that nothing else is done with a plan that is too large.
fn size(steps: &[StepSource]) -> Result<(), Fault> {
    if steps.is_empty() {
        return Err(Fault::Empty);
    }
    if steps.len() > limits::TASK_STEPS {
        return Err(Fault::TooManySteps(steps.len()));
    }
    let texts = |step: &StepSource| {
        let own = [Some(&step.name), Some(&step.agent), step.startquery.as_ref(), step.when.as_ref()];
        own.into_iter().flatten().chain(&step.dependencies).map(String::len).sum::<usize>()
    };
    let oversized = steps.iter().position(|step| step.startquery.as_ref().is_some_and(|query| query.len() > limits::MESSAGE_BYTES));
    if let Some((at, step)) = oversized.and_then(|at| Some((at, steps.get(at)?))) {
        let bytes = step.startquery.as_ref().map_or(0, String::len);
        return Err(Fault::QueryTooLong { step: at, name: step.name.clone(), bytes });
    }
    let bytes = steps.iter().map(texts).sum();
    if bytes > limits::PLAN_BYTES { Err(Fault::TooLarge(bytes)) } else { Ok(()) }
}

fn places(steps: &[StepSource], faults: &mut Vec<Fault>) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        if let Some(fault) = name_fault(&step.name) {
            faults.push(Fault::BadName { step: at, name: step.name.clone(), fault });
        } else if places.insert(step.name.clone(), at).is_some() {
            faults.push(Fault::DuplicateName { step: at, name: step.name.clone() });
        }
    }
    places
}

/// One step while it is checked.
struct Checking<'c> {
    at: usize,
    places: &'c HashMap<String, usize>,
    agents: &'c [&'c str],
    faults: &'c mut Vec<Fault>,
}

impl Checking<'_> {
    fn step(mut self, mut source: StepSource) -> PlannedStep {
        self.agent(&mut source);
        let dependencies = self.dependencies(&source);
        let query = source.startquery.as_deref().map(Holes::parse);
        if source.agent == HUMAN && source.startquery.as_ref().is_none_or(|query| query.trim().is_empty()) {
            self.faults.push(Fault::NothingToAsk { step: self.at, name: source.name.clone() });
        }
        for (name, _) in query.iter().flat_map(Holes::names) {
            if let Some(result) = name.strip_prefix("results.") {
                self.looks_at(&source.name, "startquery", result, &dependencies);
            }
        }
        let when = source.when.as_deref().and_then(|text| self.when(&source.name, text, &dependencies));
        PlannedStep { source, dependencies, when, query }
    }

    /// Spelled as the agent is: exactly, else but for case.
    fn agent(&mut self, source: &mut StepSource) {
        let meant = source.agent.trim();
        let all = self.agents.iter().copied().chain([HUMAN]);
        let found = all.clone().find(|agent| *agent == meant).or_else(|| {
            let folded = meant.to_lowercase();
            all.clone().find(|agent| agent.to_lowercase() == folded)
        });
        match found {
            Some(agent) => agent.clone_into(&mut source.agent),
            None => self.faults.push(Fault::UnknownAgent {
                step: self.at,
                name: source.name.clone(),
                agent: source.agent.clone(),
                agents: all.map(|agent| format!("`{agent}`")).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    fn dependencies(&mut self, source: &StepSource) -> Vec<usize> {
        let mut places = Vec::with_capacity(source.dependencies.len());
        for dependency in &source.dependencies {
            match self.places.get(dependency) {
                Some(place) => {
                    if let Err(at) = places.binary_search(place) {
                        places.insert(at, *place);
                    }
                }
                None => {
                    self.faults.push(Fault::UnknownDependency { step: self.at, name: source.name.clone(), dependency: dependency.clone() })
                }
            }
        }
        places
    }

    fn when(&mut self, name: &str, text: &str, dependencies: &[usize]) -> Option<when::When> {
        match when::Test::parse(text) {
            Ok((result, test)) => self.looks_at(name, "when", result, dependencies).map(|step| when::When { step, test }),
            Err(fault) => {
                self.faults.push(Fault::BadWhen { step: self.at, name: name.to_owned(), fault });
                None
            }
        }
    }

    fn looks_at(&mut self, name: &str, within: &'static str, result: &str, dependencies: &[usize]) -> Option<usize> {
        let place = self.places.get(result).copied().filter(|place| dependencies.binary_search(place).is_ok());
        if place.is_none() {
            self.faults.push(Fault::NotADependency { step: self.at, name: name.to_owned(), within, result: result.to_owned() });
        }
        place
    }
}

/// A ring of steps that wait for each other, if there is one: the places along it, the first again at the end.
fn cycle(steps: &[PlannedStep]) -> Option<Vec<usize>> {
    /// How far a step has been looked at.
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::No; steps.len()];
    // Along a path each step waits for the next; the second figure is the dependency to be looked at.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..steps.len() {
        if seen.get(start) == Some(&Seen::No) {
            path.push((start, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            if let Some(state) = seen.get_mut(at) {
                *state = Seen::OnPath;
            }
            let dependency = steps.get(at).and_then(|step| step.dependencies.get(*next)).copied();
            *next += 1;
            match dependency.map(|dependency| (dependency, seen.get(dependency))) {
                Some((dependency, Some(Seen::No))) => path.push((dependency, 0)),
                Some((dependency, Some(Seen::OnPath))) => {
                    let ring = path.iter().map(|(at, _)| *at).skip_while(|at| *at != dependency);
                    return Some(ring.chain([dependency]).collect());
                }
                Some((_, Some(Seen::Done) | None)) => {}
                None => {
                    if let Some(state) = seen.get_mut(at) {
                        *state = Seen::Done;
                    }
                    path.pop();
                }
            }
        }
    }
    None
}
