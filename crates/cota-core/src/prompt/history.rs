//! The history as a prompt shows it: one line for each action, within the bot's limit.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::ser::{Formatter, Serializer};

use crate::bot::{SELECTOR, USER_UTTER};
use crate::event::{ActionRecord, ResultItem};
use crate::tracker::{Tracker, is_formless};

/// The text with its line breaks escaped. Everything that was said goes through it, so nobody can write another's line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    // Every prompt passes all of its history here: a look at the bytes settles most texts.
    let may_break = |byte: u8| matches!(byte, 0x0a..=0x0d | 0x1c..=0x1e | 0xc2 | 0xe2);
    if !text.bytes().any(may_break) || !text.contains(is_line_break) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c if is_line_break(c) => line.extend(c.escape_unicode().filter(|c| !matches!(c, '{' | '}'))),
            c => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// What some reader takes for the end of a line: Unicode's mandatory breaks and the separators that Python splits at.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What most histories fit into.
const HISTORY_BYTES: usize = 2048;

/// `sender_id:text` lines of what was said.
pub(super) fn messages(tracker: &Tracker, budget: usize) -> String {
    let write = |action: &ActionRecord, text: &mut String| text.push_str(&message_lines(action));
    lines(tracker.actions().filter(|action| is_said(action)), write, tracker, budget)
}

/// The lines of one action's messages.
pub(super) fn message_lines(action: &ActionRecord) -> String {
    let line = |item: &ResultItem| {
        let sender = item.sender_id.as_ref().map_or(action.sender_id.as_str(), |sender| sender.as_str());
        format!("{}:{}", one_line(sender), one_line(&item.text))
    };
    action.result.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `Name:text` lines, a form with its slots, each after its thought where thoughts are wanted. A form that waits for a slot has
/// no result yet: what it knows is told by its question and by the variables of the current form.
pub(super) fn actions(tracker: &Tracker, thoughts: bool, budget: usize) -> String {
    let done = tracker.actions().filter(|action| is_formless(action) || action.name == SELECTOR);
    let write = |action: &ActionRecord, text: &mut String| {
        if let Some(thought) = action.result.iter().find_map(|item| item.thought.as_deref()).filter(|_| thoughts) {
            text.extend(["thought:", &one_line(thought), "\n"]);
        }
        text.push_str(&action.name);
        if let Some(slots) = &action.slots {
            text.extend(["(", &spaced_json(slots), ")"]);
        }
        text.extend([":", &outcome(action)]);
    };
    lines(done, write, tracker, budget)
}

/// `Name:text` lines of the formless history.
pub(super) fn formless(tracker: &Tracker, budget: usize) -> String {
    let write = |action: &ActionRecord, text: &mut String| text.extend([&action.name, ":", &outcome(action)]);
    lines(tracker.formless(), write, tracker, budget)
}

/// The lines of the newest actions, oldest first. They are made newest first, in one piece of memory.
fn lines<'t>(
    actions: impl DoubleEndedIterator<Item = &'t ActionRecord> + Clone,
    write: impl Fn(&ActionRecord, &mut String),
    tracker: &Tracker,
    budget: usize,
) -> String {
    let latest_user = tracker.latest_user();
    let keep = |action: &&ActionRecord| latest_user.is_some_and(|latest| std::ptr::eq(latest, *action));
    let mut made = String::with_capacity(budget.min(HISTORY_BYTES));
    let item = |action: &ActionRecord| {
        let start = made.len();
        write(action, &mut made);
        Item { bytes: made.len() - start + 1, value: start..made.len() }
    };
    let kept = window(actions, keep, item, budget);
    let mut lines = String::with_capacity(kept.iter().map(|line| line.len() + 1).sum());
    for (number, line) in kept.into_iter().enumerate() {
        if number > 0 {
            lines.push('\n');
        }
        lines.push_str(made.get(line).unwrap_or_default());
    }
    lines
}

/// Something of the history on its way into a prompt.
pub(super) struct Item<T> {
    pub(super) value: T,
    /// The room it takes.
    pub(super) bytes: usize,
}

/// The newest items that fit into `budget` bytes, and those that stay in any case. Oldest first. What does not fit is never
/// made, so a long conversation costs no more than its window.
pub(super) fn window<S: Copy, T>(
    sources: impl DoubleEndedIterator<Item = S> + Clone,
    keep: impl Fn(&S) -> bool,
    mut item: impl FnMut(S) -> Item<T>,
    budget: usize,
) -> Vec<T> {
    let pinned: usize = sources.clone().filter(&keep).map(|source| item(source).bytes).sum();
    let mut room = Some(budget.saturating_sub(pinned));
    let mut kept = Vec::new();
    for source in sources.rev() {
        if keep(&source) {
            kept.push(item(source).value);
        } else if let Some(left) = room {
            let Item { value, bytes } = item(source);
            room = left.checked_sub(bytes);
            if room.is_some() {
                kept.push(value);
            }
        }
    }
    kept.reverse();
    kept
}

/// Whether an action is something that was said: by the user, by the bot, but not an action's result.
pub(super) fn is_said(action: &ActionRecord) -> bool {
    action.name == USER_UTTER || (action.state.is_none() && action.name != SELECTOR)
}

/// What came of an action, on one line; a failure says so.
pub(super) fn outcome(action: &ActionRecord) -> Cow<'_, str> {
    match action.result.as_slice() {
        [only] if only.error().is_none() => one_line(&only.text),
        results => {
            let texts: Vec<String> = results.iter().map(item_text).collect();
            Cow::Owned(one_line(&texts.join("\n")).into_owned())
        }
    }
}

/// A result's text and its error.
pub(super) fn item_text(item: &ResultItem) -> String {
    let Some(error) = item.error() else { return item.text.clone() };
    let error = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    if item.text.trim().is_empty() { format!("error: {error}") } else { format!("{} (error: {error})", item.text) }
}

/// JSON on one line with a space after each `:` and `,`, as the format writes slots.
pub(super) fn spaced_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced));
    let text = written.ok().and_then(|()| String::from_utf8(bytes).ok()).unwrap_or_else(|| Json::Null.to_string());
    one_line(&text).into_owned()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
