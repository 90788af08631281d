//! What is wrong with a task is told with file, line and column.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::path::{Path, PathBuf};

use cota_config::{Options, load, load_task, tests};
use cota_core::bot::{Bot, Executor, ExecutorKind, Safety};

const AGENTS: &str = "=== endpoints.yml\nllms: {offline: {type: examples}}\n=== agents/ana/agent.yml\nsystem: {description: a}\n\
     === agents/ana/policy/a.yml\npolicies: [{actions: [{name: UserUtter, result: hi}, {name: Selector, thought: t, result: BotUtter}, {name: BotUtter, result: hello}]}]\n";

/// Each kind of fault, and a task.yml that has it.
const CASES: [(&str, &str); 18] = [
    ("neither-plans-nor-prompt", "description: x\n"),
    ("empty-plan", "plans: []\n"),
    ("step-without-agent", "plans:\n  - {name: a, startquery: x}\n"),
    (
        "dependency-on-step-without-agent",
        "plans:\n  - {name: a, startquery: x}\n  - {name: b, agent: ana, startquery: y, dependencies: [a]}\n",
    ),
    ("bad-name", "plans:\n  - {name: 'a b', agent: ana, startquery: x}\n"),
    ("control-characters", "plans:\n  - {name: \"a\\e[31m\", agent: ana, startquery: x}\n"),
    ("duplicate-name", "plans:\n  - {name: a, agent: ana, startquery: x}\n  - {name: a, agent: ana, startquery: x}\n"),
    ("unknown-agent", "plans:\n  - {name: a, agent: anna, startquery: x}\n"),
    (
        "unknown-dependency",
        "plans:\n  - {name: one, agent: ana, startquery: x}\n  - {name: b, agent: ana, startquery: x, dependencies: [on]}\n",
    ),
    ("self-cycle", "plans:\n  - {name: a, agent: ana, startquery: x, dependencies: [a]}\n"),
    (
        "cycle",
        "plans:\n  - {name: a, agent: ana, startquery: x, dependencies: [c]}\n  - {name: b, agent: ana, startquery: x, dependencies: [a]}\n  \
         - {name: c, agent: ana, startquery: x, dependencies: [b]}\n",
    ),
    (
        "not-a-dependency",
        "plans:\n  - {name: a, agent: ana, startquery: x}\n  - {name: b, agent: ana, startquery: 'about {{results.a}}'}\n  \
         - {name: c, agent: ana, startquery: x, when: results.a failed}\n",
    ),
    ("unknown-word", "plans:\n  - {name: a, agent: ana, startquery: 'about {{imput}}'}\n"),
    (
        "bad-when",
        "plans:\n  - {name: a, agent: ana, startquery: x}\n  - {name: b, agent: ana, startquery: x, dependencies: [a], when: a is good}\n",
    ),
    ("nothing-to-ask", "plans:\n  - {name: a, agent: human}\n"),
    ("after-failure", "plans:\n  - {name: a, agent: ana, startquery: x, after_failure: go}\n"),
    ("planner", "prompt: 'plan {{inputs}}'\nllm: offlin\nfinish_when: results.anna contains bye\n"),
    ("unknown-key", "plan:\n  - {name: a, agent: ana}\nmax_concurent: 3\n"),
];

#[test]
fn every_fault_of_a_task_is_told_where_it_stands() {
    for (name, task) in CASES {
        let files = support::folder(&format!("=== task.yml\n{task}{AGENTS}"));
        let loaded = load_task(&files, &support::environment, &Options::new("job"));
        let told = support::text(&loaded.diagnostics);
        assert!(!told.is_empty(), "{name}: nothing is told");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("task-{name}"), told);
        });
    }
}

#[test]
fn what_is_too_large_is_refused_in_one_sentence() {
    let step = |n: usize| format!("  - {{name: s{n}, agent: ana, startquery: x}}\n");
    let many: String = (0..1_001).map(step).collect();
    let long = format!("  - {{name: a, agent: ana, startquery: {}}}\n", "x".repeat(17_000));
    for (steps, expected) in
        [(many, "the plan has 1001 steps; a task may have 1000"), (long, "the query of step `a` has 17000 bytes; the limit is 16384")]
    {
        let files = support::folder(&format!("=== task.yml\nplans:\n{steps}{AGENTS}"));
        let loaded = load_task(&files, &support::environment, &Options::new("job"));
        let messages: Vec<&str> = loaded.diagnostics.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(messages, [expected]);
        assert!(loaded.task.is_none());
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

#[test]
fn the_example_tasks_have_no_problem() {
    for name in ["consult", "trip"] {
        let loaded = load_task(&support::read_folder(&example(name)), &|_| None, &Options::new(name));
        assert_eq!(support::text(&loaded.diagnostics), "", "{name}");
        assert!(loaded.task.is_some());
    }
}

#[test]
fn nor_has_the_bot_that_starts_one() {
    let files = support::read_folder(&example("trip/desk"));
    let loaded = load(&files, &|_| None, &Options::new("desk"));
    assert_eq!(support::text(&loaded.diagnostics), "");
    let bot = loaded.bot.unwrap();
    let (start, answer) = (executor(&bot, "Trip"), executor(&bot, "Approve"));
    assert_eq!(start.safety, Safety::Idempotent, "the task's id is the effect's key");
    assert!(matches!(&start.kind, ExecutorKind::Task(call) if call.task.as_str() == "trip" && call.step.is_none()));
    assert!(matches!(&answer.kind, ExecutorKind::Task(call) if call.step.as_deref() == Some("approve")));
    let (tests, diagnostics) = tests::read(&files);
    assert_eq!((tests.len(), support::text(&diagnostics)), (2, String::new()));
}

fn executor<'b>(bot: &'b Bot, form: &str) -> &'b Executor {
    bot.form(form).unwrap().executor.as_ref().unwrap()
}

#[test]
fn an_action_of_a_task_has_to_name_it() {
    let loaded = support::load_text("=== agent.yml\nactions:\n  Trip: {type: task}\n  Other: {type: task, task: ''}\n");
    let told: Vec<String> = loaded.diagnostics.iter().filter(|found| found.is_error()).map(|found| found.message.clone()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "an action of type `task` needs a `task`");
}
