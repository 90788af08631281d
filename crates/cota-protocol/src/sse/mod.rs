//! Server-Sent Events, as the HTML standard's section "Server-sent events" defines them.
//!
//! [`Decoder`] takes bytes as they come from the network and yields whole events; [`Event::encode`], [`comment`] and
//! [`KEEP_ALIVE`] write the same format.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, EventTooLarge};
pub use encode::{KEEP_ALIVE, comment};

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The id written with this event. Empty text is an id too: it clears the last one.
    pub id: Option<String>,
    /// The event's type; absent means `message`.
    pub event: Option<String>,
    /// The payload, its lines joined by a line feed.
    pub data: String,
    /// Milliseconds the client waits before it connects again.
    pub retry: Option<u64>,
}

impl Event {
    /// An event with a payload and nothing else.
    #[must_use]
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// The same event with a type.
    #[must_use]
    pub fn named(mut self, event: impl Into<String>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// The same event with an id, for a client that comes back with `Last-Event-ID`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }
}
