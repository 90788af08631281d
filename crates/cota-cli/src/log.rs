//! What happens, for whoever runs a server: one line each on standard error, without anything that people said.

use std::io;

use tracing::level_filters::LevelFilter;

use crate::output::Format;

/// Begins to log; only the first call in a process counts.
pub(crate) fn begin(level: LevelFilter, format: Format) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr);
    // Fails where somebody logs already.
    let _ = match format {
        Format::Text => tracing::subscriber::set_global_default(builder.with_ansi(false).finish()),
        Format::Json => tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish()),
    };
}
