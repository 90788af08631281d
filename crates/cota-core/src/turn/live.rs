//! The reply while it is being written: provisional pieces, and taking them back.

use super::effect::Fragment;
use super::{Turn, TurnStep};
use crate::answer::TextStream;
use crate::ids::MessageId;
use crate::limits;

/// What has been shown of a reply that is not committed yet.
#[derive(Debug, Default)]
pub(super) struct Live {
    stream: TextStream,
    /// Code points shown.
    shown: u32,
    /// Bytes shown.
    bytes: usize,
}

impl Turn {
    /// Shows what a streamed piece adds to the reply.
    pub(super) fn show(&mut self, piece: &str) {
        let Some(message_id) = self.reply_id(self.state.counters.messages) else { return };
        let live = self.live.get_or_insert_with(Live::default);
        let text = live.stream.feed(piece);
        // A longer reply becomes several messages, which the commit brings.
        if text.is_empty() || live.bytes + text.len() > limits::MESSAGE_BYTES {
            return;
        }
        let offset = live.shown;
        live.shown += u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        live.bytes += text.len();
        self.out.push_back(TurnStep::Emit(Fragment::Delta { message_id, offset, text }));
    }

    /// Takes back what was shown, if anything was.
    pub(super) fn take_back(&mut self) {
        let shown = self.live.take().is_some_and(|live| live.shown > 0);
        if let Some(message_id) = self.reply_id(self.state.counters.messages).filter(|_| shown) {
            self.out.push_back(TurnStep::Emit(Fragment::Reset { message_id }));
        }
    }

    /// Settles what was shown against what is said: the client keeps it if it is the same.
    pub(super) fn settle_live(&mut self, text: &str) {
        match &self.live {
            Some(live) if live.shown > 0 && live.stream.text() == text => self.live = None,
            Some(_) | None => self.take_back(),
        }
    }

    /// The id of the turn's `n`-th message.
    pub(super) fn reply_id(&self, n: u32) -> Option<MessageId> {
        MessageId::new(format!("{}.{n}", self.state.run)).ok()
    }
}
