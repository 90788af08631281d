//! Whether what a bot did is what a test expects.

use cota_config::tests::{ActionCheck, TextCheck};
use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, FormState};
use cota_core::tracker::result_text;
use serde::Serialize;
use serde_json::Value as Json;

use crate::talk;

/// What was said and done, and how far the test's expectations have come.
#[derive(Default)]
pub(super) struct Transcript {
    lines: Vec<String>,
    /// What followed the last thing the user said.
    seen: Vec<Seen>,
    /// Up to where it has been expected.
    cursor: usize,
}

/// Something that a test may expect.
enum Seen {
    Action(ActionRecord),
    Reply(String),
}

/// An expectation that was not met.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Fault {
    /// The step's line in its file.
    pub(super) line: Option<u32>,
    /// What should have come.
    pub(super) expected: String,
    /// What came, and what is wrong with each.
    pub(super) got: Vec<String>,
    /// All that was said and done before.
    pub(super) conversation: Vec<String>,
}

impl Fault {
    pub(super) fn at(self, line: Option<u32>) -> Self {
        Self { line, ..self }
    }
}

impl Transcript {
    /// The user said something, and this followed.
    pub(super) fn go_on(&mut self, text: &str, actions: Vec<ActionRecord>) {
        self.seen.clear();
        self.cursor = 0;
        // What a proxy user says is among the actions; what the user said is, too, unless it was nothing.
        if actions.iter().all(|action| action.name != USER_UTTER) {
            self.lines.push(format!("user: {text}"));
        }
        for action in actions {
            self.lines.push(line(&action));
            let replies: Vec<String> = talk::replies(&action).map(str::to_owned).collect();
            self.seen.push(Seen::Action(action));
            self.seen.extend(replies.into_iter().map(Seen::Reply));
        }
    }

    /// The message was not even accepted.
    pub(super) fn refusal(&self, text: &str, why: String) -> Fault {
        self.fault(format!("the message `{text}` to be accepted"), vec![why])
    }

    /// Goes on to the first reply that passes.
    pub(super) fn expect_reply(&mut self, check: &TextCheck) -> Result<(), Fault> {
        let check_one = |seen: &Seen| match seen {
            Seen::Action(_) => None,
            Seen::Reply(text) => Some(check.check(text).map_err(|fault| format!("`{text}` {fault}"))),
        };
        self.advance_to(check_one, || format!("a reply that {}", text_words(check)), "the bot says nothing more")
    }

    /// Goes on to the first action that passes.
    pub(super) fn expect_action(&mut self, check: &ActionCheck) -> Result<(), Fault> {
        let check_one = |seen: &Seen| match seen {
            Seen::Action(action) if action.name == check.name => Some(check_action(check, action)),
            Seen::Action(_) | Seen::Reply(_) => None,
        };
        self.advance_to(check_one, || action_words(check), "the bot does no such thing from here on")
    }

    /// `check` is nothing for what is no candidate at all.
    fn advance_to(
        &mut self,
        check: impl Fn(&Seen) -> Option<Result<(), String>>,
        expected: impl Fn() -> String,
        nothing: &str,
    ) -> Result<(), Fault> {
        let mut got = Vec::new();
        for (place, seen) in self.seen.iter().enumerate().skip(self.cursor) {
            match check(seen) {
                Some(Ok(())) => {
                    self.cursor = place + 1;
                    return Ok(());
                }
                Some(Err(why)) => got.push(why),
                None => {}
            }
        }
        if got.is_empty() {
            got.push(nothing.to_owned());
        }
        Err(self.fault(expected(), got))
    }

    fn fault(&self, expected: String, got: Vec<String>) -> Fault {
        Fault { line: None, expected, got, conversation: self.lines.clone() }
    }
}

fn check_action(check: &ActionCheck, action: &ActionRecord) -> Result<(), String> {
    let name = &action.name;
    for (slot, expected) in &check.slots {
        let found = action.slots.as_ref().and_then(|slots| slots.get(slot));
        if found.is_none_or(|found| plain(found) != plain(expected)) {
            let found = found.map_or_else(|| "empty".to_owned(), |found| format!("`{}`", plain(found)));
            return Err(format!("{name} runs, but its slot `{slot}` is {found}, not `{}`", plain(expected)));
        }
    }
    if let Some(expected) = &check.state {
        let found = action.state.map_or("none", state_word);
        if found != expected {
            return Err(format!("{name} runs, but its state is `{found}`, not `{expected}`"));
        }
    }
    let result = check.result.as_ref().map_or(Ok(()), |check| check.check(&result_text(action)));
    result.map_err(|fault| format!("{name} runs, but its result `{}` {fault}", result_text(action)))
}

/// A value as text: a test may write 5 where a model wrote "5".
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

fn text_words(check: &TextCheck) -> String {
    let is = check.equals.iter().map(|text| format!("is `{text}`"));
    let contains = check.contains.iter().map(|text| format!("contains `{text}`"));
    let lacks = check.not_contains.iter().map(|text| format!("does not contain `{text}`"));
    let matches = check.matches.iter().map(|pattern| format!("matches `{}`", pattern.as_str()));
    is.chain(contains).chain(lacks).chain(matches).collect::<Vec<_>>().join(" and ")
}

fn action_words(check: &ActionCheck) -> String {
    let slots: Vec<String> = check.slots.iter().map(|(slot, value)| format!("{slot}: {}", plain(value))).collect();
    let slots = if slots.is_empty() { String::new() } else { format!(" with {}", slots.join(", ")) };
    let state = check.state.as_ref().map(|state| format!(" in the state `{state}`")).unwrap_or_default();
    let result = check.result.as_ref().map(|check| format!(" with a result that {}", text_words(check))).unwrap_or_default();
    format!("the action {}{slots}{state}{result}", check.name)
}

/// An action as a line of the conversation.
fn line(action: &ActionRecord) -> String {
    let text = result_text(action);
    if action.name == USER_UTTER {
        return format!("user: {text}");
    }
    if talk::replies(action).next().is_some() {
        return format!("bot: {text}");
    }
    let slots = action.slots.clone().map(|slots| format!(" {}", Json::Object(slots))).unwrap_or_default();
    let state = action.state.map(|state| format!(" ({})", state_word(state))).unwrap_or_default();
    let text = if text.is_empty() { text } else { format!(": {text}") };
    format!("  {}{slots}{state}{text}", action.name)
}

fn state_word(state: FormState) -> &'static str {
    match state {
        FormState::Start => "start",
        FormState::Continue => "continue",
        FormState::End => "end",
        FormState::Break => "break",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn action(value: Json) -> ActionRecord {
        let mut whole = json!({"name": "", "timestamp": 0.0, "sender_id": "b", "receiver_id": "user", "result": []});
        whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn transcript() -> Transcript {
        let mut transcript = Transcript::default();
        let heard = [
            json!({"name": "UserUtter", "result": [{"text": "Oslo or Bergen?", "message_id": "m"}]}),
            json!({"name": "Weather", "slots": {"city": "Oslo", "days": 2}, "state": "end", "result": [{"text": "rain"}]}),
            json!({"name": "Weather", "slots": {"city": "Bergen"}, "state": "end", "result": [{"text": "sun"}]}),
            json!({"name": "BotUtter", "result": [{"text": "Bergen is drier.", "message_id": "r.0"}]}),
        ];
        transcript.go_on("Oslo or Bergen?", heard.map(action).into());
        transcript
    }

    fn weather(slots: &[(&str, Json)]) -> ActionCheck {
        let slots = slots.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        ActionCheck { name: "Weather".to_owned(), slots, state: None, result: None }
    }

    fn contains(text: &str) -> TextCheck {
        TextCheck { contains: vec![text.to_owned()], ..TextCheck::default() }
    }

    #[test]
    fn expectations_are_met_in_order_and_what_lies_between_is_passed_over() {
        let mut transcript = transcript();
        transcript.expect_action(&weather(&[("city", json!("Bergen"))])).unwrap();
        transcript.expect_reply(&contains("drier")).unwrap();
        assert!(transcript.expect_action(&weather(&[("city", json!("Oslo"))])).is_err(), "it came before");
        assert!(transcript.expect_reply(&contains("drier")).is_err(), "it was met already");
    }

    #[test]
    fn a_number_and_its_text_are_the_same_value() {
        transcript().expect_action(&weather(&[("days", json!("2"))])).unwrap();
    }

    #[test]
    fn a_fault_tells_what_was_expected_what_came_and_what_was_said_before() {
        let fault = transcript().expect_action(&weather(&[("city", json!("Paris"))])).unwrap_err();
        assert_eq!(fault.expected, "the action Weather with city: Paris");
        assert_eq!(
            fault.got,
            ["Weather runs, but its slot `city` is `Oslo`, not `Paris`", "Weather runs, but its slot `city` is `Bergen`, not `Paris`"]
        );
        assert_eq!(
            fault.conversation,
            [
                "user: Oslo or Bergen?",
                "  Weather {\"city\":\"Oslo\",\"days\":2} (end): rain",
                "  Weather {\"city\":\"Bergen\"} (end): sun",
                "bot: Bergen is drier."
            ]
        );
        let fault = transcript().expect_reply(&contains("snow")).unwrap_err();
        assert_eq!(
            (fault.expected.as_str(), fault.got.as_slice()),
            ("a reply that contains `snow`", ["`Bergen is drier.` does not contain `snow`".to_owned()].as_slice())
        );
    }
}
