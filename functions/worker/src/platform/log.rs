//! The log: a line of JSON on the platform's console for each event.

use std::fmt::{self, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value as Json, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use worker::{console_error, console_log, console_warn};

/// Starts logging what is of this level or above, once.
pub(super) fn begin(level: LevelFilter) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody who set another one wants it.
        let _ = tracing::subscriber::set_global_default(Console { level, spans: AtomicU64::new(0) });
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            console_error!("{}", json!({"level": "ERROR", "message": "the isolate panicked and begins anew", "panic": place(panic)}));
            before(panic);
        }));
    });
}

/// Where a panic happened: what it says may hold what somebody said.
fn place(panic: &std::panic::PanicHookInfo<'_>) -> String {
    panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string)
}

/// Writes events to the console. It keeps no spans: an event carries the ids it is about.
#[derive(Debug)]
struct Console {
    level: LevelFilter,
    spans: AtomicU64,
}

impl Subscriber for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        fields.0.insert("level".to_owned(), metadata.level().as_str().into());
        fields.0.insert("target".to_owned(), metadata.target().into());
        event.record(&mut fields);
        let line = Json::Object(fields.0);
        match *metadata.level() {
            Level::ERROR => console_error!("{line}"),
            Level::WARN => console_warn!("{line}"),
            _ => console_log!("{line}"),
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's fields.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
