use std::collections::VecDeque;

use super::Event;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An event, or a line of it, grew past the decoder's bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {max_bytes} bytes")]
pub struct EventTooLarge {
    /// The decoder's bound.
    pub max_bytes: usize,
}

/// Decodes a stream of events from its bytes, however they are cut into chunks.
///
/// Feed every chunk, then take events until there is none. What it holds is bounded by the size of one event, plus the events
/// of the last chunk. Invalid UTF-8 becomes U+FFFD.
#[derive(Debug)]
pub struct Decoder {
    max_bytes: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to the same line end.
    after_cr: bool,
    first_line: bool,
    pending: Pending,
    last_event_id: String,
    retry: Option<u64>,
    ready: VecDeque<Event>,
    too_large: bool,
}

impl Decoder {
    /// A decoder for one stream, which holds at most `max_bytes` bytes of an event that is not complete.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            pending: Pending::default(),
            last_event_id: String::new(),
            retry: None,
            ready: VecDeque::new(),
            too_large: false,
        }
    }

    /// Takes the stream's next bytes.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            if self.too_large {
                return;
            }
            match *byte {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    rest = after;
                }
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    self.end_line();
                    rest = after;
                }
                _ => {
                    self.after_cr = false;
                    let length = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                    let (text, after) = rest.split_at(length);
                    self.extend_line(text);
                    rest = after;
                }
            }
        }
    }

    /// The next complete event, if there is one.
    ///
    /// # Errors
    /// After the last event before it: when an event is larger than the decoder's bound. The stream is then unusable.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        match self.ready.pop_front() {
            Some(event) => Ok(Some(event)),
            None if self.too_large => Err(EventTooLarge { max_bytes: self.max_bytes }),
            None => Ok(None),
        }
    }

    /// Takes the end of the stream as the end of its last event, for servers that leave out the empty line.
    ///
    /// The standard drops such an event. It may be cut in the middle, so what it says has to be complete in itself.
    pub fn end(&mut self) {
        if !self.too_large {
            self.end_line();
            self.end_line();
        }
    }

    /// The last id seen, for `Last-Event-ID` on the next connection; empty if there was none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Milliseconds to wait before the next connection, where the server said so.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    fn extend_line(&mut self, text: &[u8]) {
        let held = self.line.len().saturating_add(self.pending.bytes());
        if held.saturating_add(text.len()) > self.max_bytes {
            self.too_large = true;
            self.line = Vec::new();
            self.pending = Pending::default();
        } else {
            self.line.extend_from_slice(text);
        }
    }

    fn end_line(&mut self) {
        let held = std::mem::take(&mut self.line);
        let mut line = held.as_slice();
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch();
        } else {
            self.field(&String::from_utf8_lossy(line));
        }
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => self.pending.add_data(value),
            "event" => self.pending.event = (!value.is_empty()).then(|| value.to_owned()),
            "id" if !value.contains('\0') => self.pending.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|b| b.is_ascii_digit()) => {
                if let Ok(ms) = value.parse() {
                    self.retry = Some(ms);
                    self.pending.retry = Some(ms);
                }
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let Pending { id, event, data, retry } = std::mem::take(&mut self.pending);
        if let Some(id) = &id {
            self.last_event_id.clone_from(id);
        }
        if let Some(data) = data {
            self.ready.push_back(Event { id, event, data, retry });
        }
    }
}

/// The fields of the event that is being read.
#[derive(Debug, Default)]
struct Pending {
    id: Option<String>,
    event: Option<String>,
    /// Absent until the first `data` line: without one there is no event.
    data: Option<String>,
    retry: Option<u64>,
}

impl Pending {
    fn add_data(&mut self, line: &str) {
        match &mut self.data {
            None => self.data = Some(line.to_owned()),
            Some(data) => {
                data.push('\n');
                data.push_str(line);
            }
        }
    }

    fn bytes(&self) -> usize {
        [&self.id, &self.event, &self.data].into_iter().flatten().map(String::len).sum()
    }
}
