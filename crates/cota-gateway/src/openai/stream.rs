//! An answer as chunks.

use std::collections::VecDeque;

use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value as Json;

use cota_core::event::Event;
use cota_core::turn::Fragment;
use cota_protocol::openai::server::{Answer, DONE, error_body};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse;

use super::asking::{Asking, Heard};
use crate::answer::AnsweredTurn;
use crate::gateway::Gateway;
use crate::respond;
use crate::wait::forgotten;

/// Streams an answer, unless it fails before there is anything of it.
pub(super) async fn respond(mut asking: Asking, answer: Answer, include_usage: bool, gateway: &Gateway) -> Result<Response, Problem> {
    let first = asking.next().await;
    if let Heard::Failed(problem) = first {
        return Err(problem);
    }
    let begin = sse::Event::new(answer.begin().to_string());
    let mut chunks = Chunks { asking, answer, include_usage, text: Growing::default(), ready: VecDeque::from([begin]), over: false };
    chunks.hear(first);
    let events = stream::unfold(chunks, |mut chunks| async move {
        let event = chunks.next().await?;
        Some((event, chunks))
    });
    Ok(respond::event_stream(events.boxed(), gateway.clock().clone()))
}

struct Chunks {
    asking: Asking,
    answer: Answer,
    include_usage: bool,
    text: Growing,
    ready: VecDeque<sse::Event>,
    over: bool,
}

impl Chunks {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let heard = self.asking.next().await;
            self.hear(heard);
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Fragment(fragment) => {
                let first_reply = format!("{}.0", self.asking.question().run);
                if let Some(piece) = self.text.show(&fragment, &first_reply) {
                    self.push(&self.answer.piece(&piece));
                }
            }
            Heard::Ended(events) => {
                self.over = true;
                if let Err(problem) = self.finish(&events) {
                    self.push(&error_body(&problem));
                }
            }
            Heard::Failed(problem) => {
                self.over = true;
                self.push(&error_body(&problem));
            }
        }
    }

    fn finish(&mut self, events: &[Event]) -> Result<(), Problem> {
        let turn = AnsweredTurn::among(events, self.asking.question()).ok_or_else(forgotten)?;
        let (whole, usage) = (turn.text()?, turn.usage());
        let rest = self.text.rest_of(&whole).ok_or_else(taken_back)?;
        if !rest.is_empty() {
            self.push(&self.answer.piece(rest));
        }
        self.push(&self.answer.end());
        if self.include_usage {
            self.push(&self.answer.usage(usage));
        }
        self.ready.push_back(sse::Event::new(DONE));
        Ok(())
    }

    fn push(&mut self, chunk: &Json) {
        self.ready.push_back(sse::Event::new(chunk.to_string()));
    }
}

/// The text of the first reply as it is being written, and how much of it the client has.
#[derive(Debug, Default)]
struct Growing {
    sent: String,
    live: String,
}

impl Growing {
    /// Takes a piece of a reply; what the client is to be sent, if anything. Later replies wait for the commit, as does a reply
    /// that was begun anew until it has caught up with what was sent.
    fn show(&mut self, fragment: &Fragment, first_reply: &str) -> Option<String> {
        match fragment {
            Fragment::Reset { message_id } if message_id.as_str() == first_reply => {
                self.live.clear();
                None
            }
            Fragment::Delta { message_id, offset, text } if message_id.as_str() == first_reply => {
                let kept = usize::try_from(*offset).unwrap_or(usize::MAX);
                if let Some((end, _)) = self.live.char_indices().nth(kept) {
                    self.live.truncate(end);
                }
                self.live.push_str(text);
                let new = self.live.strip_prefix(self.sent.as_str()).filter(|new| !new.is_empty())?.to_owned();
                self.sent.push_str(&new);
                Some(new)
            }
            Fragment::Reset { .. } | Fragment::Delta { .. } => None,
        }
    }

    /// What the client lacks of the whole text; `None` if it has other text.
    fn rest_of<'w>(&self, whole: &'w str) -> Option<&'w str> {
        whole.strip_prefix(self.sent.as_str())
    }
}

fn taken_back() -> Problem {
    let detail = "the bot took back what this stream has shown; with the header X-Conversation-Id the record has the answer, \
                  else ask again";
    Problem::new(Code::Internal, detail)
}

#[cfg(test)]
mod tests {
    use cota_core::ids::MessageId;

    use super::*;

    const FIRST: &str = "run.0";

    fn delta(reply: &str, offset: u32, text: &str) -> Fragment {
        Fragment::Delta { message_id: MessageId::new(reply).unwrap(), offset, text: text.to_owned() }
    }

    fn reset() -> Fragment {
        Fragment::Reset { message_id: MessageId::new(FIRST).unwrap() }
    }

    #[test]
    fn text_only_grows_whatever_is_taken_back() {
        let mut text = Growing::default();
        let steps = [
            (delta(FIRST, 0, "sün"), Some("sün")),
            (delta(FIRST, 3, "ny"), Some("ny")),
            (delta("run.1", 0, "another"), None),
            (delta("other.0", 0, "foreign"), None),
            (reset(), None),
            (delta(FIRST, 0, "sün"), None),
            (delta(FIRST, 3, "ny and warm"), Some(" and warm")),
            (delta(FIRST, 3, "ny, but cold"), None),
        ];
        for (fragment, piece) in steps {
            assert_eq!(text.show(&fragment, FIRST).as_deref(), piece, "{fragment:?}");
        }
        assert_eq!(text.rest_of("sünny and warm.\n\nanother"), Some(".\n\nanother"));
        assert_eq!(text.rest_of("sünny, but cold"), None);
    }
}
