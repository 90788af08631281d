//! What is a plan, and what is none.

use std::time::Instant;

use super::super::plan::{Fault, Plan, StepSource};

const AGENTS: [&str; 2] = ["ana", "bo"];

fn step(name: &str, agent: &str, dependencies: &[&str]) -> StepSource {
    StepSource {
        name: name.to_owned(),
        agent: agent.to_owned(),
        startquery: Some(format!("do {name}")),
        dependencies: dependencies.iter().map(|&other| other.to_owned()).collect(),
        ..StepSource::default()
    }
}

fn faults(steps: Vec<StepSource>) -> Vec<String> {
    Plan::check(steps, &AGENTS).expect_err("a faulty plan").iter().map(ToString::to_string).collect()
}

#[test]
fn a_plan_is_taken_whatever_order_its_steps_are_written_in() {
    let plan = Plan::check(vec![step("b", "BO", &["a"]), step("a", "ana", &[])], &AGENTS).unwrap();
    let [b, a] = plan.steps() else { panic!("two steps") };
    assert_eq!((b.source.agent.as_str(), b.dependencies.as_slice(), a.dependencies.len()), ("bo", &[1][..], 0));
}

#[test]
fn every_fault_is_told_with_what_it_is_about() {
    let with = |change: fn(&mut StepSource)| {
        let mut second = step("b", "bo", &["a"]);
        change(&mut second);
        faults(vec![step("a", "ana", &[]), second])
    };
    assert_eq!(faults(vec![]), ["the plan has no step"]);
    assert_eq!(with(|b| b.agent = "cy".into()), ["step `b`: there is no agent `cy`; there is `ana`, `bo`, `human`"]);
    assert_eq!(with(|b| b.name = "a".into())[0], "two steps are named `a`");
    assert_eq!(with(|b| b.dependencies = vec!["x".into()]), ["step `b` depends on `x`, and there is no such step"]);
    assert_eq!(with(|b| b.dependencies = vec!["b".into()]), ["steps wait for each other: b → b"]);
    assert_eq!(with(|b| b.name = "a b".into())[0], "the step's name `a b` may have letters, digits, `-` and `_` only");
    assert_eq!(
        with(|b| b.startquery = Some("{{results.c}}".into())),
        ["the `startquery` of step `b` looks at results.c, which is none of its dependencies"]
    );
    assert_eq!(with(|b| (b.agent, b.startquery) = ("human".into(), None)), ["step `b` asks a person, and has no `startquery` to ask"]);
    assert!(with(|b| b.when = Some("results.a is fine".into()))[0].contains("is not of the form"));
    assert!(with(|b| b.when = Some("results.a matches (".into()))[0].contains("regular expression"));
}

#[test]
fn a_ring_is_told_with_its_path() {
    let steps = vec![step("a", "ana", &["c"]), step("b", "bo", &["a"]), step("c", "ana", &["b"]), step("d", "bo", &["a"])];
    assert_eq!(faults(steps), ["steps wait for each other: a → c → b → a"]);
}

#[test]
fn a_thousand_steps_are_checked_in_ten_milliseconds() {
    let steps = |count: usize| -> Vec<StepSource> {
        let names: Vec<String> = (0..count).map(|n| format!("s{n}")).collect();
        let depends = |n: usize| names[n.saturating_sub(3)..n].iter().map(String::as_str).collect::<Vec<_>>();
        names.iter().enumerate().map(|(n, name)| step(name, AGENTS[n % 2], &depends(n))).collect()
    };
    let thousand = steps(1000);
    let best = (0..5)
        .map(|_| {
            let plan = thousand.clone();
            let began = Instant::now();
            assert_eq!(Plan::check(plan, &AGENTS).unwrap().steps().len(), 1000);
            began.elapsed().as_millis()
        })
        .min();
    // An unoptimized build is slower by about this much.
    let most = if cfg!(debug_assertions) { 100 } else { 10 };
    assert!(best.unwrap() < most, "{best:?} ms");
    assert_eq!(faults(steps(1001)), ["the plan has 1001 steps; a task may have 1000"]);
}

#[test]
fn a_malicious_plan_is_refused_clearly_and_at_once() {
    let began = Instant::now();
    let many = (0..100_000).map(|n| step(&n.to_string(), "ana", &[])).collect();
    assert_eq!(faults(many), ["the plan has 100000 steps; a task may have 1000"]);
    let huge = StepSource { startquery: Some("x".repeat(10 << 20)), ..step("a", "ana", &[]) };
    assert_eq!(faults(vec![huge]), ["the query of step `a` has 10485760 bytes; the limit is 16384"]);
    let large = (0..40).map(|n| StepSource { startquery: Some("x".repeat(16_000)), ..step(&n.to_string(), "ana", &[]) }).collect();
    assert!(faults(large)[0].starts_with("the plan's texts have 640"));
    let controls = step("a\u{1b}[31m\n", "ana\u{0}", &[]);
    let told = faults(vec![controls]);
    assert_eq!(told[0], "the step's name `a\\u{1b}[31m\\n` may have letters, digits, `-` and `_` only");
    assert!(told.iter().all(|fault| !fault.contains(char::is_control)), "{told:?}");
    let deep: Vec<StepSource> = (0..1000).map(|n| step(&format!("s{n}"), "ana", &[format!("s{}", (n + 1) % 1000).as_str()])).collect();
    assert!(matches!(Plan::check(deep, &AGENTS).unwrap_err().as_slice(), [Fault::Cycle { path, .. }] if path.len() == 1001));
    assert!(began.elapsed().as_secs() < 5);
}
