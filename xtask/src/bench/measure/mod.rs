//! The measurements, each a table.

mod channels;
mod limits;
mod long;
mod memory;
mod modes;
mod start;
mod throughput;

use anyhow::Result;

use crate::machine;
use crate::plan::Plan;
use crate::processes::{Helper, binary};
use crate::report::{self, Section};
use crate::roles::LlmRole;

/// Runs every part that is wanted, prints the tables, and keeps those of a whole run. Whether all targets are met.
pub(crate) fn all(plan: &Plan) -> Result<bool> {
    anyhow::ensure!(binary().is_file(), "{} is not there: `cargo xtask bench` builds it", binary().display());
    type Part = (&'static str, fn(&Plan) -> Result<Vec<Section>>);
    let parts: [Part; 7] = [
        ("start", start::measure),
        ("modes", modes::measure),
        ("long", long::measure),
        ("memory", memory::measure),
        ("channels", channels::measure),
        ("limits", limits::measure),
        ("throughput", throughput::measure),
    ];
    let load_before = machine::load_average();
    println!("load average before: {load_before}");
    let mut sections = Vec::new();
    for (name, measure) in parts.iter().filter(|(name, _)| plan.wants(name)) {
        eprintln!("measuring: {name}");
        for section in measure(plan)? {
            println!("\n{}\n\n{}", section.title, section.table());
            sections.push(section);
        }
    }
    if plan.is_whole() {
        report::write(&load_before, &sections)?;
    }
    Ok(sections.iter().all(Section::passed))
}

/// A model that chats.
fn chatting(latency_ms: u64) -> Result<Helper> {
    Helper::start("llm", &LlmRole { latency_ms, weather: false })
}

/// The middle of some values; 0 where there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
