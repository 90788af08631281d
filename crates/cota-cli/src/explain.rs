//! Why a bot did what it did: a conversation's record, read turn by turn.

use std::fmt::Write as _;

use cota_core::event::{
    ActionRecord, CallTrace, Cause, Control, Event, EventBody, FormState, Slots, StepTrace, TurnEnd, TurnOutcome, Usage,
};
use cota_core::ids::{RunId, Seq, Timestamp};
use cota_core::tracker::result_text;
use cota_protocol::time::iso8601;
use serde::Serialize;

use crate::output::Paint;

/// Titles of examples that are told for one action.
const MOST_EXAMPLES: usize = 5;

/// One turn of a conversation.
#[derive(Debug, Serialize)]
pub(crate) struct Turn {
    run: RunId,
    at: Timestamp,
    /// Absent while it runs.
    outcome: Option<TurnOutcome>,
    usage: Option<Usage>,
    steps: Vec<Step>,
    controls: Vec<Control>,
}

/// One action of a turn.
#[derive(Debug, Serialize)]
struct Step {
    seq: Seq,
    action: String,
    text: String,
    thought: Option<String>,
    slots: Option<Slots>,
    state: Option<FormState>,
    cause: Option<Cause>,
    examples: Vec<String>,
    calls: Vec<CallTrace>,
    ms: Option<u64>,
}

/// The turns of a record, in order.
pub(crate) fn turns(events: &[Event]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for event in events {
        match turns.last_mut().filter(|turn| turn.run == event.run) {
            Some(turn) => turn.take(event),
            None => {
                let mut turn = Turn::begin(event);
                turn.take(event);
                turns.push(turn);
            }
        }
    }
    turns
}

impl Turn {
    fn begin(event: &Event) -> Self {
        Self { run: event.run.clone(), at: event.at, outcome: None, usage: None, steps: Vec::new(), controls: Vec::new() }
    }

    fn take(&mut self, event: &Event) {
        match &event.body {
            EventBody::Action(action) => self.steps.push(Step::of(event.seq, action)),
            EventBody::Control(control) => self.controls.push(control.clone()),
            EventBody::TurnEnd(end) => self.end(end),
            EventBody::Task(_) => {}
        }
    }

    fn end(&mut self, end: &TurnEnd) {
        self.outcome = Some(end.outcome);
        self.usage = Some(end.usage);
        for trace in &end.steps {
            if let Some(step) = self.steps.iter_mut().find(|step| step.seq == trace.seq) {
                step.explain(trace);
            }
        }
    }

    /// The turn as lines for people, each with a line break.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let mut text = format!("{}  {}\n", iso8601(self.at), self.summary());
        for step in &self.steps {
            step.write(&mut text, paint);
        }
        for control in &self.controls {
            let _ = writeln!(text, "  {}", control_words(control));
        }
        text
    }

    fn summary(&self) -> String {
        let (Some(outcome), Some(usage)) = (self.outcome, self.usage) else { return "not finished".to_owned() };
        let Usage { llm_calls, prompt_tokens, completion_tokens, ms } = usage;
        let calls = if llm_calls == 1 { "1 LLM call".to_owned() } else { format!("{llm_calls} LLM calls") };
        format!("{}, {ms} ms, {calls}, {prompt_tokens} tokens sent, {completion_tokens} received", outcome_words(outcome))
    }
}

impl Step {
    fn of(seq: Seq, action: &ActionRecord) -> Self {
        let thoughts: Vec<&str> = action.result.iter().filter_map(|item| item.thought.as_deref()).filter(|text| !text.is_empty()).collect();
        Self {
            seq,
            action: action.name.clone(),
            text: result_text(action),
            thought: (!thoughts.is_empty()).then(|| thoughts.join("\n")),
            slots: action.slots.clone(),
            state: action.state,
            cause: None,
            examples: Vec::new(),
            calls: Vec::new(),
            ms: None,
        }
    }

    fn explain(&mut self, trace: &StepTrace) {
        self.cause = Some(trace.cause.clone());
        self.examples.clone_from(&trace.examples);
        self.calls.clone_from(&trace.calls);
        self.ms = Some(trace.ms);
    }

    fn write(&self, text: &mut String, paint: Paint) {
        let _ = write!(text, "  {}", self.action);
        if let Some(slots) = &self.slots {
            let _ = write!(text, " {}", serde_json::Value::Object(slots.clone()));
        }
        if let Some(state) = self.state {
            let _ = write!(text, " ({})", state_word(state));
        }
        if !self.text.is_empty() {
            let _ = write!(text, ": {}", self.text.replace('\n', "\n    "));
        }
        text.push('\n');
        for line in self.details() {
            let _ = writeln!(text, "    {}", paint.dim(line.replace('\n', "\n      ")));
        }
    }

    fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.cause.as_ref().map(|cause| format!("because: {}", cause_words(cause))));
        lines.extend(self.thought.as_ref().map(|thought| format!("thought: {thought}")));
        if let Some(examples) = self.examples_words() {
            lines.push(format!("examples: {examples}"));
        }
        for CallTrace { llm, purpose, ms, prompt_tokens, completion_tokens, error } in &self.calls {
            let failed = error.as_ref().map(|error| format!(", failed: {error}")).unwrap_or_default();
            lines.push(format!("LLM {llm}: {purpose}, {ms} ms, {prompt_tokens} tokens sent, {completion_tokens} received{failed}"));
        }
        lines.extend(self.ms.filter(|ms| *ms > 0).map(|ms| format!("took {ms} ms")));
        lines
    }

    fn examples_words(&self) -> Option<String> {
        let first: Vec<&str> = self.examples.iter().take(MOST_EXAMPLES).map(String::as_str).collect();
        let more = self.examples.len() - first.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!first.is_empty()).then(|| first.join(", ") + &more)
    }
}

fn cause_words(cause: &Cause) -> String {
    match cause {
        Cause::User => "the user spoke".to_owned(),
        Cause::ProxyUser => "the proxy user spoke".to_owned(),
        Cause::Trigger { rule } => format!("the rule `{rule}` says so"),
        Cause::Llm => "the LLM was asked what to do".to_owned(),
        Cause::Selector => "Selector chose it".to_owned(),
        Cause::Tools => "the LLM chose it as a tool".to_owned(),
        Cause::Slot { form, slot } => format!("{form} misses its slot `{slot}`"),
        Cause::Interrupted => "it was left for another action".to_owned(),
        Cause::Fallback { reason } => format!("nothing else could be said: {reason}"),
    }
}

fn outcome_words(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Replied => "replied",
        TurnOutcome::Fallback => "ended with the fallback reply",
        TurnOutcome::Superseded => "superseded by a later message",
        TurnOutcome::Cancelled => "cancelled",
        TurnOutcome::Relayed => "relayed to somebody else",
        TurnOutcome::Stopped => "the proxy user stopped",
    }
}

fn control_words(control: &Control) -> String {
    match control {
        Control::Cancelled { reason } => format!("cancelled: {reason}"),
        Control::Superseded => "superseded by a later message".to_owned(),
        Control::BotChanged { from } => format!("the bot it began on ({}) is gone", from.0),
        Control::GaveUp { takeovers } => format!("given up after {takeovers} takeovers: its process died too often"),
    }
}

fn state_word(state: FormState) -> &'static str {
    match state {
        FormState::Start => "start",
        FormState::Continue => "continue",
        FormState::End => "end",
        FormState::Break => "break",
    }
}
