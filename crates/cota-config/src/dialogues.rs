//! policy/*.yml: annotated dialogues and hard rules.

use cota_core::bot::{Dialogue, DialogueStep, Expected, SELECTOR, USER_UTTER};
use cota_core::limits;

use crate::actions::Scope;
use crate::codes;
use crate::fields::{Fields, text};
use crate::keys::{self, Keys};
use crate::node::{Node, Span};
use crate::report::{Report, say};

/// A dialogue and where it is written.
pub(crate) struct Placed {
    pub(crate) dialogue: Dialogue,
    pub(crate) span: Span,
    /// Where each step is written.
    pub(crate) steps: Vec<Span>,
}

/// The dialogues of all files.
#[derive(Default)]
pub(crate) struct Dialogues {
    pub(crate) examples: Vec<Placed>,
    pub(crate) rules: Vec<Placed>,
}

impl Dialogues {
    /// Reads one file.
    pub(crate) fn read(&mut self, file: &Node, scope: &Scope<'_>, report: &mut Report<'_>) {
        let Some(fields) = Fields::read(file, &keys::POLICY_FILE, report) else { return };
        let kinds = [("policies", &keys::DIALOGUE_EXAMPLE, &mut self.examples), ("triggers", &keys::RULE, &mut self.rules)];
        for (key, keys, placed) in kinds {
            let items = fields.list(key, report);
            placed.extend(items.iter().filter_map(|item| dialogue(item, keys, scope, report)));
        }
    }

    /// Reports more examples than a bot may have.
    pub(crate) fn check_count(&self, report: &mut Report<'_>) {
        if let Some(first_beyond) = self.examples.get(limits::BOT_EXAMPLES) {
            report.add(&codes::OVER_LIMIT, first_beyond.span, || {
                say(format!("a bot may have {} example dialogues, this one has {}", limits::BOT_EXAMPLES, self.examples.len()))
            });
        }
    }
}

fn dialogue(node: &Node, keys: &'static Keys, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Placed> {
    let fields = Fields::read(node, keys, report)?;
    let title = fields.text("title", report).unwrap_or_default().trim().to_owned();
    let during_form = fields.flag("during_form", report).unwrap_or(true);
    let items = fields.list("actions", report);
    if items.is_empty() {
        report.add(&codes::EMPTY_DIALOGUE, node.span, || say("this dialogue has no `actions`, so it is left out"));
        return None;
    }
    let (steps, spans): (Vec<DialogueStep>, Vec<Span>) =
        items.iter().filter_map(|item| Some((step(item, scope, report)?, item.span))).unzip();
    check_length(node.span, &steps, report);
    Some(Placed { dialogue: Dialogue { title, during_form, steps }, span: node.span, steps: spans })
}

fn step(node: &Node, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<DialogueStep> {
    let fields = Fields::read(node, &keys::STEP, report)?;
    let Some(written) = fields.text("name", report) else {
        report.add(&codes::MISSING_KEY, node.span, || say("a step needs a `name`, the action that runs"));
        return None;
    };
    let name_span = fields.get("name").map_or(node.span, |node| node.span);
    let name = scope.actions.action(&written, name_span, report);
    let thought = fields.text("thought", report).filter(|thought| !thought.trim().is_empty());
    let result = match fields.get("result") {
        Some(result) => expected(result, report)?,
        None => Expected::Any,
    };
    let name = name?;
    let result = if name == SELECTOR { chosen_actions(result, &fields, scope, report) } else { result };
    Some(DialogueStep { name, thought, result })
}

/// A text, a list of texts or a list of `{text: ...}`.
fn expected(node: &Node, report: &mut Report<'_>) -> Option<Expected> {
    let Some(items) = node.as_list() else { return result_text(node, report).map(|text| Expected::OneOf(vec![text])) };
    let texts: Vec<String> = items.iter().filter_map(|item| result_text(item, report)).collect();
    Some(if texts.is_empty() { Expected::Any } else { Expected::OneOf(texts) })
}

fn result_text(node: &Node, report: &mut Report<'_>) -> Option<String> {
    if node.as_map().is_none() {
        return text(node, "a result", report);
    }
    let fields = Fields::read(node, &keys::RESULT, report)?;
    fields.text("text", report)
}

/// What Selector chose, under the names that the bot defines.
fn chosen_actions(result: Expected, fields: &Fields<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Expected {
    let span = fields.get("result").map_or(fields.span, |node| node.span);
    match result {
        Expected::Any => Expected::Any,
        Expected::OneOf(texts) => Expected::OneOf(
            texts
                .into_iter()
                .map(|text| {
                    if text.trim() == "<text>" {
                        return text;
                    }
                    let place = report.sources.find(span, &text, 0);
                    scope.actions.action(&text, place, report).unwrap_or(text)
                })
                .collect(),
        ),
    }
}

/// A policy key reaches back only so far; a longer dialogue could never match as a whole.
fn check_length(span: Span, steps: &[DialogueStep], report: &mut Report<'_>) {
    let messages = steps.iter().filter(|step| step.name == USER_UTTER).count();
    let actions = steps.iter().filter(|step| step.name != SELECTOR).count();
    if messages > limits::KEY_USER_UTTERS || actions > limits::KEY_ACTIONS {
        report.add(&codes::DIALOGUE_TOO_LONG, span, || {
            say(format!(
                "a dialogue may have {} UserUtters and {} actions (Selector not counted), this one has {messages} and {actions}",
                limits::KEY_USER_UTTERS,
                limits::KEY_ACTIONS
            ))
            .help("cut it in two")
        });
    }
}
