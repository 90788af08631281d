use std::borrow::Cow;

use super::Event;

/// A comment that keeps proxies from closing a quiet connection.
pub const KEEP_ALIVE: &str = ":\n\n";

/// A comment, which clients skip. Line breaks in it start a further comment line.
#[must_use]
pub fn comment(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for line in line_feeds(text).split('\n') {
        push_line(&mut out, "", line);
    }
    out.push('\n');
    out
}

impl Event {
    /// The event as text, with the empty line that ends it.
    ///
    /// An id and a type are one line by nature: line breaks in them, and NUL in an id, are left out, so that no value can
    /// smuggle in a field. Line breaks in the payload arrive as line feeds.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.data.len() + 64);
        if let Some(retry) = self.retry {
            push_line(&mut out, "retry", &retry.to_string());
        }
        if let Some(id) = &self.id {
            push_line(&mut out, "id", &one_line(id).replace('\0', ""));
        }
        if let Some(event) = &self.event {
            push_line(&mut out, "event", &one_line(event));
        }
        for line in line_feeds(&self.data).split('\n') {
            push_line(&mut out, "data", line);
        }
        out.push('\n');
        out
    }
}

/// The text with CR LF and CR as LF: what a decoder makes of them anyway.
fn line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

fn one_line(value: &str) -> String {
    value.replace(['\r', '\n'], "")
}

fn push_line(out: &mut String, field: &str, value: &str) {
    out.push_str(field);
    out.push_str(": ");
    out.push_str(value);
    out.push('\n');
}
