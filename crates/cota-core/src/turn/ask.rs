//! Asking an LLM: its chain of endpoints, tries, the one repair request, the streamed answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::effect::{Completion, Effect, LlmCall, Purpose};
use super::form::Entry;
use super::state::{Pending, Phase, Progress};
use super::{Cx, Turn, fallback_reason};
use crate::answer::{self, Fault};
use crate::bot::{BOT_UTTER, Bot, Llm, SELECTOR, USER_UTTER};
use crate::dpl::{self, ThoughtSource};
use crate::event::{CallTrace, Cause, Slots};
use crate::ids::Timestamp;
use crate::limits;
use crate::machine::{EffectError, FailureKind};
use crate::prompt;

/// A question under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) purpose: Purpose,
    /// The form being entered, where its slots are asked for.
    #[serde(default)]
    pub(super) entry: Option<Entry>,
    /// The endpoint asked now, and those that failed.
    llm: String,
    #[serde(default)]
    failed: Vec<String>,
    thoughts: Thoughts,
    json: bool,
    #[serde(default)]
    fault: Option<String>,
}

/// How far the thoughts for a prompt have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thoughts {
    /// The policy chain is to be asked from this link on.
    Wanted(usize),
    /// An LLM policy is being asked; the chain goes on at this link if it fails.
    Asked(usize),
    /// These, or none.
    Known(Option<Arc<str>>),
}

impl Turn {
    /// Starts a question.
    pub(super) fn ask(&mut self, cx: Cx<'_>, purpose: Purpose, entry: Option<Entry>) {
        let named = endpoint_for(cx.bot, &purpose);
        let Some(llm) = cx.bot.llm(named).or_else(|| cx.bot.llm(None)) else {
            return self.fall_back(cx, fallback_reason::NO_LLM);
        };
        let thoughts = if prompt::uses_thoughts(cx.bot, &purpose) { Thoughts::Wanted(0) } else { Thoughts::Known(None) };
        let json = wants_json(&purpose);
        let ask = Ask { purpose, entry, llm: llm.name.clone(), failed: Vec::new(), thoughts, json, fault: None };
        self.state.phase = Phase::Asking(Box::new(ask));
    }

    /// Issues the next call of a question that has none under way.
    pub(super) fn advance_ask(&mut self, cx: Cx<'_>, mut ask: Ask) {
        if let Thoughts::Wanted(from) = ask.thoughts {
            match dpl::thoughts(cx.bot, &self.tracker, acting(&ask.purpose), from) {
                ThoughtSource::Ready { text, mut examples } => {
                    examples.truncate(limits::TRACED_EXAMPLES);
                    self.state.trace.examples = examples;
                    ask.thoughts = Thoughts::Known(Some(text.into()));
                }
                ThoughtSource::Ask { llm, next } => {
                    ask.thoughts = Thoughts::Asked(next);
                    let call = LlmCall {
                        llm,
                        purpose: Purpose::Think { action: acting(&ask.purpose).to_owned() },
                        thoughts: None,
                        json: false,
                        stream: false,
                        slots: Slots::new(),
                        fault: None,
                    };
                    self.state.phase = Phase::Asking(Box::new(ask));
                    return self.issue_call(cx, call);
                }
                ThoughtSource::None => ask.thoughts = Thoughts::Known(None),
            }
        }
        let call = LlmCall {
            llm: ask.llm.clone(),
            purpose: ask.purpose.clone(),
            thoughts: match &ask.thoughts {
                Thoughts::Known(thoughts) => thoughts.clone(),
                Thoughts::Wanted(_) | Thoughts::Asked(_) => None,
            },
            json: ask.json,
            stream: self.streams && matches!(ask.purpose, Purpose::Utter { .. }),
            slots: ask.entry.as_ref().map(|entry| entry.slots.clone()).unwrap_or_default(),
            fault: ask.fault.clone(),
        };
        self.state.phase = Phase::Asking(Box::new(ask));
        self.issue_call(cx, call);
    }

    fn issue_call(&mut self, cx: Cx<'_>, call: LlmCall) {
        if self.state.counters.usage.llm_calls >= limits::TURN_LLM_CALLS {
            return self.fall_back(cx, fallback_reason::TOO_MANY_CALLS);
        }
        self.issue(cx, Effect::CallLlm(call));
    }

    /// Takes the answer to the call under way.
    pub(super) fn answered(&mut self, cx: Cx<'_>, ask: Ask, pending: &Pending, result: Result<Completion, EffectError>) {
        self.trace_call(cx, pending, &result);
        if let Thoughts::Asked(next) = ask.thoughts {
            return self.thought(ask, next, result);
        }
        match result {
            Ok(completion) => match self.understand(cx, &ask, &completion) {
                Ok(()) => {}
                Err(Fault(fault)) => self.repair(cx, ask, &fault),
            },
            Err(error) => self.call_failed(cx, ask, pending, &error),
        }
    }

    fn thought(&mut self, mut ask: Ask, next: usize, result: Result<Completion, EffectError>) {
        ask.thoughts = match result {
            Ok(completion) if !completion.content.trim().is_empty() => Thoughts::Known(Some(completion.content.into())),
            Ok(_) | Err(_) => Thoughts::Wanted(next),
        };
        self.state.phase = Phase::Asking(Box::new(ask));
    }

    /// Acts on an answer; a fault leaves everything as it was.
    fn understand(&mut self, cx: Cx<'_>, ask: &Ask, completion: &Completion) -> Result<(), Fault> {
        match &ask.purpose {
            Purpose::Select => {
                let selection = answer::selection(cx.bot, &completion.content)?;
                self.selected(cx, selection, Cause::Llm);
            }
            Purpose::Choose => {
                let choice = answer::choice(cx.bot, completion)?;
                self.chose(cx, choice);
            }
            Purpose::Fill { form } => {
                let filled = match cx.bot.form(form) {
                    Some(form) => answer::slots(form, &completion.content)?,
                    None => Slots::new(),
                };
                self.filled(cx, ask.entry.clone(), filled);
            }
            Purpose::Utter { action, slot } => {
                let utterance = answer::utterance(&completion.content)?;
                self.uttered(cx, action, slot.as_ref(), utterance);
            }
            Purpose::ProxyUser => {
                let said = answer::proxy_user(&completion.content)?;
                self.proxy_said(cx, said);
            }
            Purpose::Think { .. } => self.state.phase = Phase::Decide,
        }
        Ok(())
    }

    /// Asks once more with the fault named, then makes do without.
    fn repair(&mut self, cx: Cx<'_>, mut ask: Ask, fault: &str) {
        self.take_back();
        if let Some(call) = self.state.trace.calls.last_mut() {
            call.error = Some(fault.to_owned());
        }
        if ask.fault.is_none() {
            ask.fault = Some(fault.to_owned());
            self.state.phase = Phase::Asking(Box::new(ask));
            return;
        }
        match &ask.purpose {
            Purpose::Select | Purpose::Choose => {
                self.state.trace.cause = Some(Cause::Fallback { reason: fallback_reason::UNUSABLE_CHOICE.to_owned() });
                self.ask(cx, Purpose::Utter { action: BOT_UTTER.to_owned(), slot: None }, None);
            }
            Purpose::Fill { .. } => self.filled(cx, ask.entry.clone(), Slots::new()),
            Purpose::Utter { .. } | Purpose::Think { .. } => self.fall_back(cx, fallback_reason::UNUSABLE_ANSWER),
            Purpose::ProxyUser => self.proxy_silent(),
        }
    }

    /// Another try, the same without JSON, the next endpoint of the chain, or the end.
    fn call_failed(&mut self, cx: Cx<'_>, mut ask: Ask, pending: &Pending, error: &EffectError) {
        self.take_back();
        if error.kind == FailureKind::Rejected && ask.json {
            ask.json = false;
            self.state.phase = Phase::Asking(Box::new(ask));
            return;
        }
        let llm = cx.bot.llm(Some(&ask.llm));
        let next =
            llm.and_then(|llm| llm.fallback.as_deref()).filter(|next| *next != ask.llm && !ask.failed.iter().any(|failed| failed == next));
        if let Some(until) = llm.and_then(|llm| self.retry_at(cx, llm, pending, error, next.is_some())) {
            self.state.phase = Phase::Asking(Box::new(ask));
            self.state.pending = Some(Pending { attempt: pending.attempt + 1, progress: Progress::Backoff { until }, ..pending.clone() });
            return;
        }
        match next.and_then(|next| cx.bot.llm(Some(next))) {
            Some(next) => {
                ask.failed.push(std::mem::replace(&mut ask.llm, next.name.clone()));
                ask.json = wants_json(&ask.purpose);
                self.state.phase = Phase::Asking(Box::new(ask));
            }
            None if ask.purpose == Purpose::ProxyUser => self.proxy_silent(),
            None => self.fall_back(cx, fallback_reason::LLM_FAILED),
        }
    }

    /// When to try the same endpoint again; `None` if that makes no sense.
    fn retry_at(&self, cx: Cx<'_>, llm: &Llm, pending: &Pending, error: &EffectError, has_next: bool) -> Option<Timestamp> {
        let worth_it = match error.kind {
            FailureKind::Transient | FailureKind::RateLimited | FailureKind::OutcomeUnknown => true,
            FailureKind::TimedOut => !has_next,
            FailureKind::Rejected | FailureKind::Aborted => false,
        };
        if !worth_it || pending.attempt >= llm.attempts || self.state.counters.usage.llm_calls >= limits::TURN_LLM_CALLS {
            return None;
        }
        let doubled = llm.retry_delay_ms.saturating_mul(1 << u32::from(pending.attempt - 1).min(10));
        // Half of the delay is fixed and half is drawn, so that conversations that failed together do not come back together.
        let salt = (u64::from(pending.id.0) << 16) | u64::from(pending.attempt);
        let jittered = doubled / 2 + self.state.run.draw(salt) % (doubled / 2 + 1);
        let until = cx.now.plus_ms(jittered.max(error.retry_after_ms.unwrap_or(0)));
        (until < self.ends_at(cx.now)).then_some(until)
    }

    fn trace_call(&mut self, cx: Cx<'_>, pending: &Pending, result: &Result<Completion, EffectError>) {
        let Effect::CallLlm(call) = &pending.effect else { return };
        let (prompt_tokens, completion_tokens, error) = match result {
            Ok(completion) => (completion.prompt_tokens, completion.completion_tokens, None),
            Err(error) => (0, 0, Some(error.message.clone())),
        };
        let usage = &mut self.state.counters.usage;
        usage.prompt_tokens += prompt_tokens;
        usage.completion_tokens += completion_tokens;
        self.state.trace.calls.push(CallTrace {
            llm: call.llm.clone(),
            purpose: call.purpose.name().to_owned(),
            ms: cx.now.since(pending.since),
            prompt_tokens,
            completion_tokens,
            error,
        });
    }
}

/// The LLM that the author named for a purpose.
fn endpoint_for<'b>(bot: &'b Bot, purpose: &Purpose) -> Option<&'b str> {
    let of = |action: &str| bot.action(action).and_then(|action| action.llm.as_deref());
    match purpose {
        Purpose::Select | Purpose::Choose => of(SELECTOR),
        Purpose::Fill { form } => of(form),
        Purpose::Utter { action, slot: None } => of(action).or_else(|| of(BOT_UTTER)),
        Purpose::Utter { slot: Some(question), .. } => bot
            .form(&question.form)
            .and_then(|form| form.slots.iter().find(|slot| slot.name == question.slot))
            .and_then(|slot| slot.llm.as_deref())
            .or_else(|| of(BOT_UTTER)),
        Purpose::Think { action } => of(action),
        Purpose::ProxyUser => of(USER_UTTER),
    }
}

/// The action that thoughts are wanted for.
fn acting(purpose: &Purpose) -> &str {
    match purpose {
        Purpose::Select | Purpose::Choose => SELECTOR,
        Purpose::Fill { form } => form,
        Purpose::Utter { action, .. } | Purpose::Think { action } => action,
        Purpose::ProxyUser => USER_UTTER,
    }
}

fn wants_json(purpose: &Purpose) -> bool {
    match purpose {
        Purpose::Select | Purpose::Fill { .. } | Purpose::Utter { .. } | Purpose::ProxyUser => true,
        Purpose::Choose | Purpose::Think { .. } => false,
    }
}
