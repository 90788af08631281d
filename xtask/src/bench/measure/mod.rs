//! The measurements, each a table.

mod channels;
mod limits;
pub(crate) mod long;
mod memory;
mod modes;
mod start;
pub(crate) mod throughput;

use anyhow::Result;

use crate::processes::{Helper, binary};
use crate::roles::LlmRole;
use crate::suite::{Part, Suite};

/// The server of a laptop.
pub(crate) const SUITE: Suite = Suite {
    command: "cargo xtask bench",
    title: "Benchmarks",
    page: "docs/benchmarks.md",
    needs: binary,
    parts: &[
        Part { name: "start", measure: start::measure },
        Part { name: "modes", measure: modes::measure },
        Part { name: "long", measure: long::measure },
        Part { name: "memory", measure: memory::measure },
        Part { name: "channels", measure: channels::measure },
        Part { name: "limits", measure: limits::measure },
        Part { name: "throughput", measure: throughput::measure },
    ],
};

/// A model that chats.
pub(crate) fn chatting(latency_ms: u64) -> Result<Helper> {
    Helper::start("llm", &LlmRole { latency_ms, weather: false })
}

/// The middle of some values; 0 where there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
