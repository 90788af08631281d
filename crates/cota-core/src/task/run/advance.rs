//! What begins and what ends: stop, budget, schedule, plan, end, in this order.

use super::{At, Cx, Effect, Flight, StepState, TaskRun, What};
use crate::ids::{MessageId, Timestamp};
use crate::limits;
use crate::machine::{EffectId, Step};
use crate::task::board::{Step as BoardStep, ask_id};
use crate::task::planner::{self, Mind, Planner};
use crate::task::template::{Holes, cut};
use crate::task::{Ending, Planning, Skip, Spent, TaskEvent};

/// How long a conversation may take to hear of progress, in milliseconds.
const REPORT_MS: u64 = 30_000;
/// What an agent hears that is to speak first.
const SPEAK_FIRST: &str = "/start";

/// What a step that waits may do.
enum Verdict {
    Wait,
    Begin,
    Skip(Skip),
}

impl TaskRun {
    /// Moves on as far as the task can without an input.
    pub(super) fn advance(&mut self, cx: Cx<'_>) {
        if !self.board.has_started() || self.board.is_over() {
            return;
        }
        if self.cancelled.is_some() {
            return self.stop(cx);
        }
        self.expire(cx);
        self.look_again(cx.now);
        if self.board.steps.is_empty()
            && !self.board.whole
            && let Planning::Static(plan) = &cx.task.planning
        {
            self.plan(cx, plan.sources(), true, Spent::default());
        }
        if self.ends_at(cx).is_some_and(|end| end <= cx.now) {
            return self.run_out(cx);
        }
        self.schedule(cx);
        if self.board.open > 0 || self.board.is_over() {
            return;
        }
        match &cx.task.planning {
            Planning::Dynamic(planner) if !self.board.whole => self.ask_for_more(cx, planner),
            Planning::Dynamic(_) | Planning::Static(_) => self.end(cx, self.board.outcome(), None),
        }
    }

    /// When the task's time is used up.
    pub(super) fn ends_at(&self, cx: Cx<'_>) -> Option<Timestamp> {
        Some(self.board.started?.plus_ms(cx.task.settings.budget.ms?))
    }

    /// Whether calls or tokens are used up.
    fn is_spent(&self, cx: Cx<'_>) -> bool {
        let (spent, budget) = (self.board.spent, cx.task.settings.budget);
        spent.llm_calls >= budget.llm_calls || budget.tokens.is_some_and(|most| spent.tokens >= most)
    }

    /// Stops on request.
    fn stop(&mut self, cx: Cx<'_>) {
        self.abort_all();
        let reason = self.cancelled.take().unwrap_or_default();
        self.record(cx.now, TaskEvent::Cancelled { reason });
        self.end(cx, Ending::Cancelled, None);
    }

    /// Stops for want of time.
    fn run_out(&mut self, cx: Cx<'_>) {
        self.abort_all();
        self.fail_the_rest(cx, "the task's time is used up");
    }

    /// Ends the task: what runs has failed, and nothing more is begun.
    pub(super) fn fail_the_rest(&mut self, cx: Cx<'_>, error: &str) {
        let running = |step: &BoardStep| matches!(step.state, StepState::Running(_) | StepState::Backoff(_));
        let running: Vec<usize> = self.board.steps.iter().enumerate().filter(|(_, step)| running(step)).map(|(place, _)| place).collect();
        for place in running {
            self.step_failed(cx.now, place, error, false, Spent::default());
        }
        self.skip_the_rest(cx);
        self.end_with_error(cx, error);
    }

    fn abort_all(&mut self) {
        let ids: Vec<EffectId> = self.flights.iter().filter(|(_, flight)| flight.what != What::Report).map(|(id, _)| *id).collect();
        for id in ids {
            if self.flights.remove(&id).is_some_and(|flight| flight.at.is_begun()) {
                self.out.push_back(Step::Abort(id));
            }
        }
    }

    fn skip_the_rest(&mut self, cx: Cx<'_>) {
        let waiting = |step: &&BoardStep| matches!(step.state, StepState::Waiting | StepState::Backoff(_));
        let names: Vec<String> = self.board.steps.iter().filter(waiting).map(|step| step.planned.source.name.clone()).collect();
        for step in names {
            self.record(cx.now, TaskEvent::StepSkipped { step, why: Skip::Budget });
        }
    }

    /// Begins whatever may begin. A step that is skipped may settle others, wherever in the plan they stand.
    fn schedule(&mut self, cx: Cx<'_>) {
        if self.is_spent(cx) {
            self.skip_the_rest(cx);
        }
        let mut settled = true;
        while settled {
            settled = false;
            for place in 0..self.board.steps.len() {
                match self.verdict(cx, place) {
                    Verdict::Wait => {}
                    Verdict::Begin => self.begin(cx, place),
                    Verdict::Skip(why) => {
                        let step = self.board.steps.get(place).map(|step| step.planned.source.name.clone()).unwrap_or_default();
                        self.record(cx.now, TaskEvent::StepSkipped { step, why });
                        settled = true;
                    }
                }
            }
        }
    }

    fn verdict(&self, cx: Cx<'_>, place: usize) -> Verdict {
        let Some(step) = self.board.steps.get(place) else { return Verdict::Wait };
        match step.state {
            StepState::Waiting => {}
            StepState::Backoff(until) if until <= cx.now => return self.room_for(cx, step),
            StepState::Backoff(_)
            | StepState::Running(_)
            | StepState::Done
            | StepState::Failed
            | StepState::Skipped(_)
            | StepState::Cancelled => return Verdict::Wait,
        }
        let mut let_down = None;
        for dependency in &step.planned.dependencies {
            match self.board.steps.get(*dependency) {
                Some(other) if !other.is_over() => return Verdict::Wait,
                Some(other) if other.let_down() => {
                    let_down.get_or_insert(other);
                }
                Some(_) | None => {}
            }
        }
        if let Some(other) = let_down.filter(|_| !step.planned.tolerates_failure()) {
            return Verdict::Skip(Skip::Failed(other.planned.source.name.clone()));
        }
        if let Some(when) = &step.planned.when
            && !when.test.holds(self.board.steps.get(when.step).and_then(BoardStep::outcome))
        {
            return Verdict::Skip(Skip::When);
        }
        self.room_for(cx, step)
    }

    /// One step of an agent at a time, and so many in all. People take no room.
    fn room_for(&self, cx: Cx<'_>, step: &BoardStep) -> Verdict {
        let most = usize::try_from(cx.task.settings.max_concurrent.max(1)).unwrap_or(usize::MAX);
        let has_room = step.planned.is_human() || (self.board.running < most && self.board.is_free(&step.planned.source.agent));
        if has_room { Verdict::Begin } else { Verdict::Wait }
    }

    fn begin(&mut self, cx: Cx<'_>, place: usize) {
        let Some(step) = self.board.steps.get(place) else { return };
        let source = &step.planned.source;
        let (name, agent, is_human) = (source.name.clone(), source.agent.clone(), step.planned.is_human());
        let timeout_ms = source.timeout_ms.unwrap_or(cx.task.settings.timeout_ms);
        let (query, speaker) = match &step.planned.query {
            Some(query) => (self.filled(query), None),
            None => self.speech(&agent),
        };
        let effect = self.saved.effects;
        self.record(cx.now, TaskEvent::StepStarted { step: name.clone(), effect, query: query.clone(), speaker: speaker.clone() });
        if is_human {
            self.saved.effects += 1;
            self.report_question(&name, &query);
        } else if let Some(message_id) = self.message_of(effect) {
            self.issue(What::Step(place), Effect::Ask { agent, message_id, query, speaker }, timeout_ms);
        }
    }

    /// The id of the message by which an effect asks an agent.
    fn message_of(&self, effect: u32) -> Option<MessageId> {
        ask_id(&self.saved.run, effect)
    }

    /// A query with the results in it, each cut to its share of what an agent takes.
    fn filled(&self, query: &Holes) -> String {
        let holes = query.names().count().max(1);
        let share = limits::MESSAGE_BYTES.saturating_sub(query.literal_bytes()) / holes;
        let text = query.fill(|name| {
            if name == "input" {
                return Some(cut(&self.board.input, share).to_owned());
            }
            let step = self.board.step(name.strip_prefix("results.")?)?;
            let text = match (step.outcome(), &step.error) {
                (Some(result), _) => result.to_owned(),
                (None, Some(error)) => format!("({} failed: {error})", step.planned.source.name),
                (None, None) => format!("({} was skipped)", step.planned.source.name),
            };
            Some(cut(&text, share).to_owned())
        });
        cut(&text, limits::MESSAGE_BYTES).to_owned()
    }

    /// What an agent hears that speaks on the shared transcript: what the others said since it spoke last, and who did.
    fn speech(&self, agent: &str) -> (String, Option<String>) {
        let said: Vec<(&str, &str)> = self.board.transcript().collect();
        let heard = said.iter().rposition(|(who, _)| *who == agent).map_or(0, |place| place + 1);
        let (text, speaker) = match said.get(heard..).unwrap_or_default() {
            [] if heard == 0 && !self.board.input.is_empty() => (self.board.input.clone(), None),
            [] => (SPEAK_FIRST.to_owned(), None),
            [(who, text)] => ((*text).to_owned(), Some((*who).to_owned())),
            several => {
                let lines: Vec<String> = several.iter().map(|(who, text)| format!("{who}: {text}")).collect();
                (lines.join("\n"), None)
            }
        };
        (cut(&text, limits::MESSAGE_BYTES).to_owned(), speaker)
    }

    /// Finds out what is next, where that is not known.
    fn ask_for_more(&mut self, cx: Cx<'_>, planner: &Planner) {
        if planner.is_finished(&self.board) {
            self.record(cx.now, TaskEvent::Finished { result: String::new(), spent: Spent::default() });
            return self.end(cx, self.board.outcome(), None);
        }
        let most = usize::try_from(cx.task.settings.max_steps).unwrap_or(usize::MAX);
        if self.board.steps.len() >= most {
            return self.end_with_error(cx, &format!("the task has taken its {most} steps (max_steps)"));
        }
        if self.is_spent(cx) {
            return self.end_with_error(cx, "the task's budget is used up");
        }
        let asked = self.flights.values().any(|flight| flight.what == What::Plan);
        if asked || self.planner.again_at.is_some_and(|again| again > cx.now) {
            return;
        }
        self.planner.again_at = None;
        match &planner.mind {
            Mind::Llm(llm) => self.issue(What::Plan, Effect::Plan { llm: llm.clone() }, limits::TASK_STEP_MS),
            Mind::Turns => match planner::next_in_turn(cx.task, &self.board) {
                Some(step) => {
                    self.plan(cx, vec![step], false, Spent::default());
                    self.schedule(cx);
                }
                None => self.end_with_error(cx, "the task has no agents"),
            },
        }
    }

    /// Tells the conversation that began the task of a step.
    pub(super) fn report(&mut self, step: &str, text: &str) {
        self.tell(&format!("{}/{step}", self.key.id), text, false);
    }

    /// Tells it what a person is asked.
    fn report_question(&mut self, step: &str, query: &str) {
        self.tell(&format!("{}/{step}", self.key.id), query, true);
    }

    /// Tells it of the end.
    pub(super) fn report_end(&mut self, text: &str) {
        self.tell(&self.key.id.to_string(), text, true);
    }

    fn tell(&mut self, id: &str, text: &str, for_bot: bool) {
        if let (Some(to), Ok(message_id)) = (self.board.report_to.clone(), MessageId::new(id)) {
            let text = cut(text, limits::MESSAGE_BYTES).to_owned();
            self.issue(What::Report, Effect::Report { to, message_id, text, for_bot }, REPORT_MS);
        }
    }

    /// Takes up what a run that was saved had under way.
    pub(super) fn take_up(&mut self, now: Timestamp) {
        let running: Vec<(usize, u32)> = self
            .board
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| !step.planned.is_human())
            .filter_map(|(place, step)| if let StepState::Running(effect) = step.state { Some((place, effect)) } else { None })
            .collect();
        for (place, effect) in running {
            let Some((step, message_id)) = self.board.steps.get(place).zip(self.message_of(effect)) else { continue };
            let agent = step.planned.source.agent.clone();
            let timeout_ms = step.planned.source.timeout_ms.unwrap_or(limits::TASK_STEP_MS);
            let ask = Effect::Ask { agent, message_id, query: step.query.clone(), speaker: step.speaker.clone() };
            let deadline = step.begun.unwrap_or(now).plus_ms(timeout_ms);
            let what = What::Step(place);
            match self.saved.asked.get(&effect) {
                // Before it is too late somebody looks.
                Some(&look) if look > now && deadline > now => {
                    let at = At::Asked { deadline, look };
                    self.flights.insert(EffectId(effect), Flight { what, effect: ask, timeout_ms, at });
                }
                Some(_) | None => {
                    self.put_under_way(EffectId(effect), Flight { what, effect: ask, timeout_ms, at: At::Queued { again: true } });
                }
            }
        }
        if !self.saved.told {
            self.tell_again();
        }
    }

    /// Whether a conversation has heard of everything is not known after a restart; what it hears twice it takes once.
    fn tell_again(&mut self) {
        let is_answered = self.board.is_over() && self.start.is_none();
        if self.board.report_to.is_none() || is_answered {
            return;
        }
        let told: Vec<(String, String, bool)> = self
            .board
            .steps
            .iter()
            .filter_map(|step| {
                let name = step.planned.source.name.clone();
                let is_human = step.planned.is_human();
                let text = match (&step.state, &step.error) {
                    (StepState::Done, _) if !is_human => format!("{name}: {}", step.result),
                    (StepState::Failed, Some(error)) if !is_human => format!("{name} failed: {error}"),
                    (StepState::Running(_), _) if is_human => step.query.clone(),
                    _ => return None,
                };
                Some((format!("{}/{name}", self.key.id), text, is_human))
            })
            .collect();
        for (id, text, for_bot) in told {
            self.tell(&id, &text, for_bot);
        }
        if let Some(end) = &self.board.ended {
            self.report_end(&end.told());
        }
    }
}
