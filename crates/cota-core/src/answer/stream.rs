//! The `text` of a JSON answer while it is still being written.

/// An incremental decoder of a JSON answer's `text`.
#[derive(Debug, Default)]
pub struct TextStream {
    text: String,
}

impl TextStream {
    /// At the answer's start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the answer; returns what it adds to the text.
    pub fn feed(&mut self, _piece: &str) -> String {
        String::new()
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
