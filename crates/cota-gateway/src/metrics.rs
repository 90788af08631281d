//! A host's counters in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use cota_driver::metrics::{Metrics, TURN_MS_BOUNDS};

/// The counters, and how many sockets are open.
pub(crate) fn text(metrics: &Metrics, sockets: u64) -> String {
    let mut out = String::with_capacity(4096);
    family(
        &mut out,
        "cota_messages_total",
        "counter",
        "Messages offered, by what became of them.",
        &[("{result=\"accepted\"}", read(&metrics.accepted)), ("{result=\"refused\"}", read(&metrics.refused))],
    );
    family(
        &mut out,
        "cota_turns_total",
        "counter",
        "Turns that ended, by how.",
        &[
            ("{outcome=\"replied\"}", read(&metrics.replied)),
            ("{outcome=\"fallback\"}", read(&metrics.fallbacks)),
            ("{outcome=\"other\"}", read(&metrics.other_turns)),
        ],
    );
    family(&mut out, "cota_conversations_running", "gauge", "Conversations being driven now.", &[("", read(&metrics.running))]);
    family(&mut out, "cota_websockets_open", "gauge", "WebSockets open now.", &[("", sockets)]);
    family(&mut out, "cota_llm_calls_total", "counter", "Calls to LLMs, retries included.", &[("", read(&metrics.llm_calls))]);
    family(
        &mut out,
        "cota_llm_tokens_total",
        "counter",
        "Tokens, as the endpoints counted them.",
        &[("{direction=\"prompt\"}", read(&metrics.prompt_tokens)), ("{direction=\"completion\"}", read(&metrics.completion_tokens))],
    );
    turn_times(&mut out, metrics);
    out
}

fn turn_times(out: &mut String, metrics: &Metrics) {
    const NAME: &str = "cota_turn_duration_seconds";
    head(out, NAME, "histogram", "Running time of turns, parks left out.");
    let mut total = 0;
    let bounds = TURN_MS_BOUNDS.iter().map(|bound| seconds(*bound)).chain(std::iter::once("+Inf".to_owned()));
    for (bound, count) in bounds.zip(&metrics.turn_buckets) {
        total += read(count);
        let _ = writeln!(out, "{NAME}_bucket{{le=\"{bound}\"}} {total}");
    }
    let _ = writeln!(out, "{NAME}_sum {}\n{NAME}_count {total}", seconds(read(&metrics.turn_ms)));
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(&str, u64)]) {
    head(out, name, kind, help);
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Milliseconds as seconds, without a rounding of their own.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_adds_up() {
        let metrics = Metrics::default();
        for (bucket, count) in [(0, 3), (4, 2), (TURN_MS_BOUNDS.len(), 1)] {
            metrics.turn_buckets[bucket].store(count, Ordering::Relaxed);
        }
        metrics.turn_ms.store(1_234, Ordering::Relaxed);
        let text = text(&metrics, 7);
        for line in [
            "cota_websockets_open 7",
            "cota_turn_duration_seconds_bucket{le=\"0.005\"} 3",
            "cota_turn_duration_seconds_bucket{le=\"0.100\"} 5",
            "cota_turn_duration_seconds_bucket{le=\"120.000\"} 5",
            "cota_turn_duration_seconds_bucket{le=\"+Inf\"} 6",
            "cota_turn_duration_seconds_sum 1.234",
            "cota_turn_duration_seconds_count 6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
