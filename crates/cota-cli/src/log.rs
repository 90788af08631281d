//! What happens, for whoever runs a server: one line each on standard error, without anything that people said.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::output::Format;

/// What the targets of this project's crates begin with. Libraries are left out: they might log addresses with keys in them.
const OURS: &str = "cota";

/// Begins to log; only the first call in a process counts.
pub(crate) fn begin(level: LevelFilter, format: Format) {
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        Format::Text => layer.with_ansi(false).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    let ours = layer.with_filter(Targets::new().with_target(OURS, level));
    // Fails where somebody logs already.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ours));
}
