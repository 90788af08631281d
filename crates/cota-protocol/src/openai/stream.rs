use serde_json::Value as Json;

use super::lenient::{self, filled, present};
use super::{ApiError, Completion, FinishReason, StreamError, ToolCall, Usage};

/// What ends a stream after its last chunk.
const DONE: &str = "[DONE]";

/// Puts a streamed answer together: feed it the `data` of every event, then [`finish`](Self::finish).
///
/// A server may answer a request for a stream with one whole answer; the media type tells, and
/// [`decode_completion`](super::decode_completion) reads it.
#[derive(Debug)]
pub struct Accumulator {
    max_bytes: usize,
    bytes: usize,
    content: Option<String>,
    calls: Vec<PartialCall>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    done: bool,
}

impl Accumulator {
    /// An empty answer that may grow to `max_bytes` bytes of text, tool calls included.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, content: None, calls: Vec::new(), finish_reason: None, usage: None, done: false }
    }

    /// Takes one event's data; returns the piece of text it adds, if it adds one.
    ///
    /// What follows the end marker is skipped.
    ///
    /// # Errors
    /// When the chunk is no JSON or an error, or the answer grows too large. The answer is then lost.
    pub fn feed(&mut self, data: &str) -> Result<Option<String>, StreamError> {
        let data = data.trim();
        if self.done || data.is_empty() {
            return Ok(None);
        }
        if data == DONE {
            self.done = true;
            return Ok(None);
        }
        let chunk: Json = serde_json::from_slice(data.as_bytes()).map_err(|_| StreamError::NotJson)?;
        if let Some(error) = ApiError::find(&chunk, present(&chunk, "choices").is_some()) {
            return Err(StreamError::Refused(error));
        }
        self.usage = lenient::usage(&chunk).or(self.usage);
        first_choice(&chunk).map_or(Ok(None), |choice| self.take_choice(choice))
    }

    /// Whether the end marker was seen: nothing more is to come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The whole answer, at the stream's end.
    ///
    /// # Errors
    /// When the stream ended with neither the end marker nor a reason: it was cut.
    pub fn finish(self) -> Result<Completion, StreamError> {
        if !self.done && self.finish_reason.is_none() {
            return Err(StreamError::Cut);
        }
        Ok(Completion {
            content: self.content,
            tool_calls: self.calls.into_iter().enumerate().map(|(place, call)| call.finish(place)).collect(),
            finish_reason: self.finish_reason,
            usage: self.usage.unwrap_or_default(),
        })
    }

    fn take_choice(&mut self, choice: &Json) -> Result<Option<String>, StreamError> {
        self.finish_reason = FinishReason::of(choice).or_else(|| self.finish_reason.take());
        let Some(delta) = self.delta(choice) else {
            return Ok(None);
        };
        for (place, call) in lenient::raw_calls(delta).iter().enumerate() {
            self.take_call(call, place)?;
        }
        let piece = present(delta, "content").or_else(|| present(delta, "text")).and_then(lenient::text);
        let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
            return Ok(None);
        };
        self.grow(piece.len())?;
        self.content.get_or_insert_default().push_str(&piece);
        Ok(Some(piece))
    }

    /// What a choice adds. A `message` is a whole answer: it counts only where no piece of one came before.
    fn delta<'a>(&self, choice: &'a Json) -> Option<&'a Json> {
        present(choice, "delta").or_else(|| match present(choice, "message") {
            Some(message) => (self.content.is_none() && self.calls.is_empty()).then_some(message),
            None => Some(choice),
        })
    }

    fn take_call(&mut self, call: &Json, place: usize) -> Result<(), StreamError> {
        let function = present(call, "function").unwrap_or(call);
        let fragment = Fragment {
            index: call.get("index").and_then(Json::as_u64),
            id: filled(call, "id"),
            name: filled(function, "name"),
            arguments: lenient::arguments(function.get("arguments")),
        };
        self.grow(fragment.arguments.len() + fragment.name.map_or(0, str::len) + fragment.id.map_or(0, str::len))?;
        match self.calls.iter_mut().rev().find(|partial| partial.continues_with(&fragment, place)) {
            Some(partial) => partial.extend(&fragment),
            None => {
                // Every call is paid for, so that a stream of empty ones ends too.
                self.grow(size_of::<PartialCall>())?;
                self.calls.push(PartialCall::start(&fragment, place));
            }
        }
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes { Err(StreamError::TooLarge { max_bytes: self.max_bytes }) } else { Ok(()) }
    }
}

/// Only one answer is ever asked for; servers that send more number them.
fn first_choice(chunk: &Json) -> Option<&Json> {
    chunk.get("choices")?.as_array()?.iter().find(|choice| choice.get("index").and_then(Json::as_u64).unwrap_or(0) == 0)
}

/// A piece of a tool call.
struct Fragment<'a> {
    index: Option<u64>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    arguments: String,
}

/// A tool call whose pieces are still coming.
#[derive(Debug)]
struct PartialCall {
    index: u64,
    id: Option<String>,
    name: String,
    arguments: String,
}

impl PartialCall {
    fn start(fragment: &Fragment<'_>, place: usize) -> Self {
        Self {
            index: fragment.index.unwrap_or(place as u64),
            id: fragment.id.map(str::to_owned),
            name: fragment.name.unwrap_or_default().to_owned(),
            arguments: fragment.arguments.clone(),
        }
    }

    /// Whether a fragment belongs to this call: the index decides, or the place where there is none.
    fn continues_with(&self, fragment: &Fragment<'_>, place: usize) -> bool {
        self.index == fragment.index.unwrap_or(place as u64) && !self.is_followed_by(fragment)
    }

    /// Whether a fragment starts the next call under the same index. Some servers number no call, or all alike: a name with an
    /// id of its own starts one, and so does a name without either after arguments.
    fn is_followed_by(&self, fragment: &Fragment<'_>) -> bool {
        match (fragment.name, fragment.id, &self.id) {
            (Some(_), Some(theirs), Some(ours)) => theirs != ours,
            (Some(_), None, _) => fragment.index.is_none() && !self.arguments.is_empty(),
            (None, _, _) | (Some(_), Some(_), None) => false,
        }
    }

    fn extend(&mut self, fragment: &Fragment<'_>) {
        if self.id.is_none() {
            self.id = fragment.id.map(str::to_owned);
        }
        // A name comes whole with the first fragment, in pieces, or again with every fragment.
        if let Some(name) = fragment.name.filter(|name| *name != self.name) {
            self.name.push_str(name);
        }
        self.arguments.push_str(&fragment.arguments);
    }

    fn finish(self, place: usize) -> ToolCall {
        ToolCall {
            id: lenient::or_made_id(self.id.as_deref(), place),
            name: self.name,
            arguments: lenient::or_empty_object(self.arguments),
        }
    }
}
