//! What can be wrong with hard rules as a whole: those that can never fire, and those that contradict each other.

use std::collections::{BTreeSet, HashMap, HashSet};

use cota_core::bot::{Action, DialogueStep, Expected, Policy, SELECTOR, USER_UTTER};
use cota_core::gather::gather;

use crate::codes;
use crate::dialogues::Placed;
use crate::node::Span;
use crate::report::{Report, say};

/// Keys that one step of a rule may stand for before clashes with it are no longer looked for.
const MOST_KEYS: usize = 512;
const ANY_TEXT: &str = "<text>";

/// Checks all rules of a bot.
pub(crate) fn check(rules: &[Placed], policies: &[Policy], actions: &[Action], report: &mut Report<'_>) {
    if let Some(first) = rules.first().filter(|_| !policies.contains(&Policy::Trigger)) {
        report.add(&codes::UNREACHABLE_RULE, first.span, || {
            say("no rule ever fires, because `policies` in agent.yml has no `trigger`").help("add `- type: trigger` there")
        });
        return;
    }
    for rule in rules {
        report_unreachable(rule, report);
    }
    Clashes { actions: actions.iter().map(|action| (action.name.as_str(), action)).collect(), ..Clashes::default() }.check(rules, report);
}

/// Whether a rule can predict the action of a step.
fn is_predictable(step: &DialogueStep) -> bool {
    step.name != USER_UTTER && step.name != SELECTOR
}

fn report_unreachable(rule: &Placed, report: &mut Report<'_>) {
    let steps = &rule.dialogue.steps;
    let Some(first) = steps.first() else { return };
    if first.name != USER_UTTER {
        let span = rule.steps.first().copied().unwrap_or(rule.span);
        report.add(&codes::UNREACHABLE_RULE, span, || {
            say(format!("a rule is matched from what the user said, so one that starts with `{}` never fires", first.name))
                .help("start it with UserUtter")
        });
        return;
    }
    for (step, span) in steps.iter().zip(&rule.steps).skip(1).filter(|(step, _)| step.name == SELECTOR) {
        report.add(&codes::UNREACHABLE_RULE, *span, || say(format!("a rule never predicts `{}`, so this step is left out", step.name)));
    }
    if !steps.iter().skip(1).any(is_predictable) {
        report.add(&codes::UNREACHABLE_RULE, rule.span, || {
            say("this rule predicts nothing").help("after UserUtter, name the action that is to run")
        });
    }
}

/// What a key predicts, and which rule says so.
#[derive(Clone)]
struct Prediction<'r> {
    action: &'r str,
    rule: usize,
    span: Span,
    during_form: bool,
}

#[derive(Default)]
struct Clashes<'r> {
    actions: HashMap<&'r str, &'r Action>,
    predictions: HashMap<String, Prediction<'r>>,
    reported: HashSet<(usize, usize, Span)>,
}

impl<'r> Clashes<'r> {
    fn check(mut self, rules: &'r [Placed], report: &mut Report<'_>) {
        for (index, rule) in rules.iter().enumerate() {
            let mut keys = vec![String::new()];
            for (place, (step, span)) in rule.dialogue.steps.iter().zip(&rule.steps).enumerate() {
                if place > 0 && is_predictable(step) {
                    let prediction = Prediction { action: &step.name, rule: index, span: *span, during_form: rule.dialogue.during_form };
                    self.predict(&keys, &prediction, rules, report);
                }
                if step.name != SELECTOR {
                    keys = self.extended(&keys, step);
                }
                if keys.len() > MOST_KEYS {
                    break;
                }
            }
        }
    }

    /// Enters what each key predicts; an earlier rule that said something else is reported.
    fn predict(&mut self, keys: &[String], new: &Prediction<'r>, rules: &[Placed], report: &mut Report<'_>) {
        for key in keys {
            let Some(old) = self.predictions.insert(key.clone(), new.clone()) else { continue };
            // A rule that keeps out of forms leaves the earlier one its place there.
            let leaves_room = old.during_form && !new.during_form;
            if old.action == new.action || leaves_room || !self.reported.insert((old.rule, new.rule, new.span)) {
                continue;
            }
            let titles = [old.rule, new.rule].map(|rule| title(rules, rule));
            let place = place(new.span, report);
            report.add(&codes::CLASHING_RULES, old.span, || {
                let [old_title, new_title] = titles;
                say(format!(
                    "{old_title} predicts `{}` here, but {new_title} ({place}) predicts `{}` for the same history, and the last rule wins",
                    old.action, new.action
                ))
                .help("remove one of the two")
            });
        }
    }

    /// Every key with every part that the step may stand for.
    fn extended(&self, keys: &[String], step: &DialogueStep) -> Vec<String> {
        let parts = self.parts(step);
        keys.iter()
            .flat_map(|key| parts.iter().map(move |part| if part.is_empty() { key.clone() } else { format!("{key}{part}\u{1}") }))
            .take(MOST_KEYS + 1)
            .collect()
    }

    /// The parts of a key that a step may stand for; an empty one is left out of the key.
    fn parts(&self, step: &DialogueStep) -> BTreeSet<String> {
        if step.name == USER_UTTER {
            match &step.result {
                Expected::Any => gather([String::new()]),
                Expected::OneOf(texts) => gather(texts.iter().map(|text| said(text))),
            }
        } else {
            match self.output(&step.name) {
                None => gather([step.name.clone()]),
                Some(output) => {
                    let known = |text: &String| {
                        if output.iter().any(|output| output.trim() == text.trim()) { text.trim() } else { ANY_TEXT }.to_owned()
                    };
                    let values: Vec<String> = match &step.result {
                        Expected::Any => output.iter().map(|output| output.trim().to_owned()).chain([ANY_TEXT.to_owned()]).collect(),
                        Expected::OneOf(texts) => texts.iter().map(known).collect(),
                    };
                    gather(values.into_iter().map(|value| format!("{}:{value}", step.name)))
                }
            }
        }
    }

    /// The results that rules may name, if the action has an executor.
    fn output(&self, name: &str) -> Option<&'r [String]> {
        let executor = self.actions.get(name)?.form()?.executor.as_ref()?;
        Some(&executor.output)
    }
}

fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!("{USER_UTTER}:{text}") }
}

fn title(rules: &[Placed], index: usize) -> String {
    match rules.get(index) {
        Some(rule) if !rule.dialogue.title.is_empty() => format!("the rule `{}`", rule.dialogue.title),
        Some(_) | None => "this rule".to_owned(),
    }
}

fn place(span: Span, report: &Report<'_>) -> String {
    let path = report.sources.path(span.file);
    span.range.map_or_else(|| path.to_owned(), |range| format!("{path}:{}", range.start.line))
}
