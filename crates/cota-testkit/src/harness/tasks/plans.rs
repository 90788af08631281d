//! Random plans, what their steps answer, and what must come of them: an oracle that knows nothing of the machine.

use std::collections::BTreeMap;

use cota_core::ids::{BotDigest, BotName};
use cota_core::task::{Agent, HUMAN, Plan, Planning, Retry, Settings, StepSource, Task};

use crate::harness::Tape;

/// A plan drawn at random, and the script of its steps.
pub(super) struct Drawn {
    pub(super) task: Task,
    /// How many tries of each step fail before one succeeds.
    pub(super) failures: BTreeMap<String, u16>,
}

/// What must come of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done(String),
    Failed,
    /// Skipped by its own condition: as good as done.
    Idle,
    /// Skipped since another failed.
    LetDown,
}

pub(super) fn draw(tape: &mut Tape, most: usize) -> Drawn {
    let count = 1 + (tape.below(256) * 256 + tape.below(256)) % most;
    let agents: Vec<String> = (0..1 + tape.below(12)).map(|n| format!("agent{n}")).collect();
    let mut steps: Vec<StepSource> = Vec::new();
    let mut failures = BTreeMap::new();
    for n in 0..count {
        let name = format!("s{n}");
        let mut dependencies: Vec<String> = Vec::new();
        for _ in 0..tape.below(4).min(n) {
            // Near ones more often, so that plans are deep as well as wide.
            let back = 1 + if tape.below(3) == 0 { tape.below(n) } else { tape.below(n.min(5)) };
            let dependency = format!("s{}", n - back.min(n));
            if !dependencies.contains(&dependency) {
                dependencies.push(dependency);
            }
        }
        let agent = if tape.below(16) == 15 { HUMAN.to_owned() } else { tape.pick(&agents).clone() };
        let query = dependencies.iter().fold(format!("do {name}"), |query, other| format!("{query} {{{{results.{other}}}}}"));
        let first = dependencies.first();
        let when = first.and_then(|first| match tape.below(10) {
            7 => Some(format!("results.{first} contains result")),
            8 => Some(format!("results.{first} failed")),
            9 => Some(format!("results.{first} equals something else")),
            _ => None,
        });
        failures.insert(name.clone(), [0, 0, 0, 0, 1, 1, 2, 9][tape.below(8)]);
        let after_failure = tape.below(6) == 5;
        steps.push(StepSource { name, agent, startquery: Some(query), dependencies, when, after_failure, ..StepSource::default() });
    }
    if tape.below(2) == 1 {
        // The order in which an author writes steps says nothing about when they run.
        steps.reverse();
    }
    let names: Vec<&str> = agents.iter().map(String::as_str).collect();
    let plan = Plan::check(steps, &names).expect("a drawn plan is a DAG");
    let task = Task {
        name: BotName::new("drawn").expect("a name"),
        digest: BotDigest::of(b"drawn"),
        description: String::new(),
        agents: agents.iter().map(|name| Agent { name: name.clone(), description: String::new() }).collect(),
        planning: Planning::Static(plan),
        settings: Settings {
            max_concurrent: 1 + u32::try_from(tape.below(8)).unwrap_or(0),
            // Time jumps in a harness; no step is late for it.
            timeout_ms: u64::MAX / 4,
            retry: Retry { attempts: 3, backoff_ms: 400 },
            ..Settings::default()
        },
    };
    Drawn { task, failures }
}

impl Drawn {
    pub(super) fn plan(&self) -> &Plan {
        match &self.task.planning {
            Planning::Static(plan) => plan,
            Planning::Dynamic(_) => panic!("a drawn plan is static"),
        }
    }

    /// What a step's try answers.
    pub(super) fn answer(&self, step: &str, tries: u16) -> Result<String, String> {
        if tries > self.failures.get(step).copied().unwrap_or(0) { Ok(format!("result of {step}")) } else { Err(format!("{step} broke")) }
    }

    /// What must come of every step, whatever happens on the way.
    pub(super) fn fates(&self) -> BTreeMap<String, Fate> {
        let mut fates = BTreeMap::new();
        let steps = self.plan().steps();
        while fates.len() < steps.len() {
            for step in steps {
                let source = &step.source;
                if fates.contains_key(&source.name) || !source.dependencies.iter().all(|other| fates.contains_key(other)) {
                    continue;
                }
                fates.insert(source.name.clone(), self.fate(source, &fates));
            }
        }
        fates
    }

    fn fate(&self, step: &StepSource, fates: &BTreeMap<String, Fate>) -> Fate {
        let lost = |other: &String| matches!(fates[other], Fate::Failed | Fate::LetDown);
        let when = step.when.as_deref();
        let asks_for_failure = when.is_some_and(|when| when.ends_with("failed"));
        if step.dependencies.iter().any(lost) && !step.after_failure && !asks_for_failure {
            return Fate::LetDown;
        }
        if let Some(when) = when {
            let other = &step.dependencies[0];
            let holds = match (&fates[other], when) {
                (fate, when) if when.ends_with("failed") => matches!(fate, Fate::Failed | Fate::LetDown),
                (Fate::Done(text), when) => when.ends_with("contains result") && text.contains("result"),
                (Fate::Idle | Fate::Failed | Fate::LetDown, _) => false,
            };
            if !holds {
                return Fate::Idle;
            }
        }
        let is_human = step.agent == HUMAN;
        match self.answer(&step.name, 3) {
            Ok(text) => Fate::Done(text),
            Err(_) if is_human => Fate::Done(format!("answer to {}", step.name)),
            Err(_) => Fate::Failed,
        }
    }

    /// What a step must be asked.
    pub(super) fn query(&self, step: &StepSource, fates: &BTreeMap<String, Fate>) -> String {
        step.dependencies.iter().fold(format!("do {}", step.name), |query, other| {
            let told = match &fates[other] {
                Fate::Done(text) => text.clone(),
                Fate::Failed => format!("({other} failed: {other} broke)"),
                Fate::Idle => String::new(),
                Fate::LetDown => format!("({other} was skipped)"),
            };
            format!("{query} {told}")
        })
    }
}
