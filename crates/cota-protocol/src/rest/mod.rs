//! The conversation routes: what `POST /v1/conversations/{id}/messages` takes and answers, the state and the record of a
//! conversation, and the event stream of a turn.

mod answer;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub use answer::{ConversationState, EventsPage, MessageAnswer, PendingAnswer, PendingStatus};
pub use request::{BODY_BYTES, MessageRequest};
pub use stream::TurnEvent;
