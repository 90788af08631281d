//! Conversation tests: tests/*.yml.

use cota_core::bot::Pattern;
use serde_json::Value as Json;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::fields::{self, Fields, text};
use crate::files::is_yaml;
use crate::keys::Keys;
use crate::node::{Node, Span};
use crate::report::{Report, say};

pub(crate) const TESTS_FILE: Keys = Keys { what: "a tests file", known: &["tests"], old: &[] };
pub(crate) const TEST: Keys = Keys { what: "a test", known: &["name", "steps", "llm"], old: &[] };
pub(crate) const TEST_STEP: Keys = Keys { what: "a test's step", known: &["user", "bot", "action"], old: &[] };
pub(crate) const TEXT_CHECK: Keys = Keys { what: "a text's check", known: &["equals", "contains", "not_contains", "matches"], old: &[] };
pub(crate) const ACTION_CHECK: Keys = Keys { what: "an action's check", known: &["name", "slots", "state", "result"], old: &[] };

/// One conversation and what must come of it.
#[derive(Clone, Debug)]
pub struct ConversationTest {
    /// What it shows.
    pub name: String,
    /// The file it is written in.
    pub file: String,
    /// The line it starts on.
    pub line: Option<u32>,
    /// What is said and what must follow, in order.
    pub steps: Vec<TestStep>,
    /// The model of this test; absent: the bot's own.
    pub llm: Option<ScriptedLlm>,
}

/// One step of a test.
#[derive(Clone, Debug)]
pub struct TestStep {
    /// The line it starts on.
    pub line: Option<u32>,
    /// What it does.
    pub kind: TestStepKind,
}

/// What a step of a test does.
#[derive(Clone, Debug)]
pub enum TestStepKind {
    /// The user says this.
    User(String),
    /// A reply since the last user step must be like this.
    Bot(TextCheck),
    /// An action since the last user step must be like this.
    Action(ActionCheck),
}

/// The model of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedLlm {
    /// The offline model.
    Examples,
    /// These answers, one for each call.
    Answers(Vec<String>),
}

/// What a text must be like; every part must hold.
#[derive(Clone, Debug, Default)]
pub struct TextCheck {
    /// It is this text, spaces around it left out.
    pub equals: Option<String>,
    /// Each of these is in it.
    pub contains: Vec<String>,
    /// None of these is in it.
    pub not_contains: Vec<String>,
    /// Each of these patterns is found in it.
    pub matches: Vec<Pattern>,
}

/// What an action must be like; every part must hold.
#[derive(Clone, Debug)]
pub struct ActionCheck {
    /// Its name.
    pub name: String,
    /// Values that its slots have; other slots may have any.
    pub slots: Vec<(String, Json)>,
    /// Its state: `start`, `continue`, `end`, `break`.
    pub state: Option<String>,
    /// What its result's text is like.
    pub result: Option<TextCheck>,
}

impl TextCheck {
    /// Whether a text passes.
    ///
    /// # Errors
    /// What the text lacks, as a sentence without a full stop.
    pub fn check(&self, text: &str) -> Result<(), String> {
        if let Some(equals) = self.equals.as_ref().filter(|equals| equals.trim() != text.trim()) {
            return Err(format!("is not `{equals}`"));
        }
        if let Some(part) = self.contains.iter().find(|part| !text.contains(part.as_str())) {
            return Err(format!("does not contain `{part}`"));
        }
        if let Some(part) = self.not_contains.iter().find(|part| text.contains(part.as_str())) {
            return Err(format!("contains `{part}`"));
        }
        if let Some(pattern) = self.matches.iter().find(|pattern| pattern.find(text).is_none()) {
            return Err(format!("does not match `{}`", pattern.as_str()));
        }
        Ok(())
    }
}

/// The tests of a bot folder, and every problem in them. A test with a problem is left out.
#[must_use]
pub fn read(files: &crate::Files) -> (Vec<ConversationTest>, Vec<Diagnostic>) {
    let mut report = Report::default();
    let mut tests = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| is_test(path)) {
        let file = report.sources.add(path, Some(text));
        if let Some(tree) = crate::yaml::parse(text, file, &mut report) {
            read_file(path, &tree, &mut tests, &mut report);
        }
    }
    (tests, report.finish())
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") && is_yaml(path)
}

fn read_file(path: &str, tree: &Node, tests: &mut Vec<ConversationTest>, report: &mut Report<'_>) {
    let Some(fields) = Fields::read(tree, &TESTS_FILE, report) else { return };
    tests.extend(fields.list("tests", report).iter().filter_map(|node| test(path, node, report)));
}

fn test(path: &str, node: &Node, report: &mut Report<'_>) -> Option<ConversationTest> {
    let fields = Fields::read(node, &TEST, report)?;
    let Some(name) = fields.text("name", report) else {
        bad(node.span, "a test needs a `name`", report);
        return None;
    };
    let items = fields.list("steps", report);
    let steps: Vec<TestStep> = items.iter().filter_map(|item| step(item, report)).collect();
    if !matches!(steps.first(), Some(TestStep { kind: TestStepKind::User(_), .. }) | None) {
        bad(items.first().map_or(node.span, |item| item.span), "a test starts with a `user` step", report);
    }
    if items.is_empty() {
        bad(node.span, "a test needs `steps`", report);
    }
    let llm = match fields.get("llm") {
        Some(llm) => Some(scripted(llm, report)?),
        None => None,
    };
    (steps.len() == items.len() && !steps.is_empty()).then(|| ConversationTest {
        name,
        file: path.to_owned(),
        line: line(node),
        steps,
        llm,
    })
}

fn step(node: &Node, report: &mut Report<'_>) -> Option<TestStep> {
    let fields = Fields::read(node, &TEST_STEP, report)?;
    let [entry] = fields.entries() else {
        bad(node.span, "a step is one of `user`, `bot` and `action`", report);
        return None;
    };
    let kind = match entry.key.as_str() {
        "user" => TestStepKind::User(text(&entry.value, "`user`", report).unwrap_or_default()),
        "bot" => TestStepKind::Bot(text_check(&entry.value, "`bot`", report)?),
        "action" => TestStepKind::Action(action_check(&entry.value, report)?),
        _ => return None,
    };
    Some(TestStep { line: line(node), kind })
}

/// A text alone is the exact text.
fn text_check(node: &Node, what: &str, report: &mut Report<'_>) -> Option<TextCheck> {
    if node.as_map().is_none() {
        return text(node, what, report).map(|text| TextCheck { equals: Some(text), ..TextCheck::default() });
    }
    let fields = Fields::read(node, &TEXT_CHECK, report)?;
    let check = TextCheck {
        equals: fields.text("equals", report),
        contains: fields.texts("contains", report),
        not_contains: fields.texts("not_contains", report),
        matches: patterns(&fields, report)?,
    };
    let is_empty = check.equals.is_none() && check.contains.is_empty() && check.not_contains.is_empty() && check.matches.is_empty();
    if is_empty {
        bad(node.span, "this checks nothing: give `contains`, `matches`, `equals` or `not_contains`", report);
        return None;
    }
    Some(check)
}

fn patterns(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<Pattern>> {
    let written = fields.texts("matches", report);
    let mut patterns = Vec::with_capacity(written.len());
    for pattern in &written {
        match Pattern::new(pattern) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let span = fields.get("matches").map_or(fields.span, |node| node.span);
                report.add(&codes::BAD_PATTERN, span, || say(format!("this is not a regular expression: {}", error.trim())));
            }
        }
    }
    (patterns.len() == written.len()).then_some(patterns)
}

fn action_check(node: &Node, report: &mut Report<'_>) -> Option<ActionCheck> {
    if let Some(name) = node.as_text() {
        return Some(ActionCheck { name, slots: Vec::new(), state: None, result: None });
    }
    let fields = Fields::read(node, &ACTION_CHECK, report)?;
    let Some(name) = fields.text("name", report) else {
        bad(node.span, "an `action` needs a `name`", report);
        return None;
    };
    let slots = fields.named("slots", report).iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
    let result = match fields.get("result") {
        Some(result) => Some(text_check(result, "`result`", report)?),
        None => None,
    };
    Some(ActionCheck { name, slots, state: fields.text("state", report), result })
}

/// `examples`, or the model's answers: texts, or maps that are sent as JSON.
fn scripted(node: &Node, report: &mut Report<'_>) -> Option<ScriptedLlm> {
    if node.as_text().as_deref() == Some("examples") {
        return Some(ScriptedLlm::Examples);
    }
    if node.as_list().is_none() {
        bad(node.span, "`llm` is a list of answers, or `examples`", report);
        return None;
    }
    let items = fields::list(node, "`llm`", report)?;
    Some(ScriptedLlm::Answers(items.iter().map(|item| item.as_text().unwrap_or_else(|| item.to_json().to_string())).collect()))
}

fn line(node: &Node) -> Option<u32> {
    node.span.range.map(|range| range.start.line)
}

fn bad(span: Span, message: &str, report: &mut Report<'_>) {
    report.add(&codes::BAD_TEST, span, || say(message));
}
