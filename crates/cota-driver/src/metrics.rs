//! What a host has done, as numbers: counted where it happens, printed by a gateway.

use std::sync::atomic::{AtomicU64, Ordering};

use cota_core::event::{TurnEnd, TurnOutcome};

/// Upper bounds of the turn-time histogram, in milliseconds.
pub const TURN_MS_BOUNDS: [u64; 10] = [5, 10, 25, 50, 100, 250, 1_000, 5_000, 30_000, 120_000];

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages accepted.
    pub accepted: AtomicU64,
    /// Messages refused: busy, queue full, id reused.
    pub refused: AtomicU64,
    /// Conversations being driven now.
    pub running: AtomicU64,
    /// Turns that ended with the bot's own words.
    pub replied: AtomicU64,
    /// Turns that ended with the fallback reply.
    pub fallbacks: AtomicU64,
    /// Turns that ended otherwise: superseded, cancelled, relayed.
    pub other_turns: AtomicU64,
    /// Calls to LLMs.
    pub llm_calls: AtomicU64,
    /// Tokens sent.
    pub prompt_tokens: AtomicU64,
    /// Tokens received.
    pub completion_tokens: AtomicU64,
    /// Milliseconds of all turns.
    pub turn_ms: AtomicU64,
    /// Turns by time: one count for each of [`TURN_MS_BOUNDS`], and one for those beyond.
    pub turn_buckets: [AtomicU64; TURN_MS_BOUNDS.len() + 1],
}

impl Metrics {
    /// Counts a turn that ended.
    pub fn turn_ended(&self, end: &TurnEnd) {
        let by_outcome = match end.outcome {
            TurnOutcome::Replied => &self.replied,
            TurnOutcome::Fallback => &self.fallbacks,
            TurnOutcome::Superseded | TurnOutcome::Cancelled | TurnOutcome::Relayed | TurnOutcome::Stopped => &self.other_turns,
        };
        add(by_outcome, 1);
        add(&self.llm_calls, u64::from(end.usage.llm_calls));
        add(&self.prompt_tokens, end.usage.prompt_tokens);
        add(&self.completion_tokens, end.usage.completion_tokens);
        add(&self.turn_ms, end.usage.ms);
        let bucket = TURN_MS_BOUNDS.iter().position(|bound| end.usage.ms <= *bound).unwrap_or(TURN_MS_BOUNDS.len());
        if let Some(count) = self.turn_buckets.get(bucket) {
            add(count, 1);
        }
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
