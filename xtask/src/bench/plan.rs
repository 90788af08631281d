//! What to measure, and how long.

use std::time::Duration;

/// One run of the benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    quick: bool,
    only: Option<String>,
    /// How often each figure of a comparison is taken; the median counts.
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Clients that talk at one time.
    pub(crate) clients: Vec<usize>,
    /// WebSockets that are open and silent.
    pub(crate) idle_sockets: usize,
    /// What is compared for the cost of a long conversation.
    pub(crate) long: Long,
    /// How often a start is repeated.
    pub(crate) starts: usize,
}

/// What is compared for the cost of a long conversation: turns in the midst of long ones, and as many of short ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Long {
    /// Conversations that are talked in at one time, a turn in each, then the next turn.
    pub(crate) conversations: usize,
    /// The turn of a long conversation that the measured ones lie around.
    pub(crate) late: usize,
    /// How many turns of each long conversation are measured.
    pub(crate) window: usize,
    /// The turns of a short conversation, all of them measured.
    pub(crate) short: usize,
}

impl Plan {
    /// Reads the words of the command line; none where they make no sense. `parts` can be run alone.
    pub(crate) fn parse(words: &[&str], parts: &[&str]) -> Option<Self> {
        let mut plan = Self::full();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => plan = Self { only: plan.only, ..Self::short() },
                "--only" => {
                    let part = words.next().filter(|part| parts.contains(*part))?;
                    plan.only = Some((*part).to_owned());
                }
                _ => return None,
            }
        }
        Some(plan)
    }

    /// Whether a part is to be run.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// Whether the figures are worth keeping.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none() && !self.quick
    }

    fn full() -> Self {
        Self {
            quick: false,
            only: None,
            rounds: 3,
            warm_up: Duration::from_millis(500),
            measured: Duration::from_millis(2500),
            clients: vec![1, 10, 100, 1000],
            idle_sockets: 10_000,
            long: Long { conversations: 10, late: 1000, window: 800, short: 20 },
            starts: 20,
        }
    }

    fn short() -> Self {
        Self {
            quick: true,
            rounds: 1,
            warm_up: Duration::from_millis(300),
            measured: Duration::from_millis(1200),
            idle_sockets: 2_000,
            long: Long { conversations: 4, window: 400, ..Self::full().long },
            starts: 5,
            ..Self::full()
        }
    }
}
