//! What memory knows of the rows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, Position};

use super::rows::Conversation;

/// The conversation that was last read or written, so that a turn reads nothing that the object wrote itself. Nobody else writes its
/// database; what is rolled back has to be forgotten here.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<Entry>>);

#[derive(Debug)]
struct Entry {
    key: ConversationKey,
    conversation: Conversation,
    /// Its messages that are not yet answered, once somebody has asked for them.
    inbox: Option<Vec<InboxMessage>>,
}

impl Known {
    pub(super) fn conversation(&self, key: &ConversationKey) -> Option<Conversation> {
        self.entry().as_ref().filter(|entry| entry.key == *key).map(|entry| entry.conversation.clone())
    }

    pub(super) fn inbox(&self, number: i64) -> Option<Vec<InboxMessage>> {
        self.entry().as_ref().filter(|entry| entry.conversation.number == number)?.inbox.clone()
    }

    /// A conversation that was read or begun; `inbox` is empty with one that was begun.
    pub(super) fn learn(&self, key: &ConversationKey, conversation: &Conversation, inbox: Option<Vec<InboxMessage>>) {
        *self.entry() = Some(Entry { key: key.clone(), conversation: conversation.clone(), inbox });
    }

    pub(super) fn learn_inbox(&self, number: i64, inbox: &[InboxMessage]) {
        self.change(number, |entry| entry.inbox = Some(inbox.to_vec()));
    }

    pub(super) fn update(&self, conversation: &Conversation) {
        self.change(conversation.number, |entry| entry.conversation = conversation.clone());
    }

    pub(super) fn add_waiting(&self, number: i64, message: &InboxMessage) {
        self.change(number, |entry| entry.inbox.iter_mut().for_each(|inbox| inbox.push(message.clone())));
    }

    pub(super) fn remove_waiting(&self, number: i64, position: Position) {
        self.change(number, |entry| entry.inbox.iter_mut().for_each(|inbox| inbox.retain(|message| message.position != position)));
    }

    pub(super) fn forget(&self) {
        *self.entry() = None;
    }

    fn change(&self, number: i64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entry().as_mut().filter(|entry| entry.conversation.number == number) {
            change(entry);
        }
    }

    fn entry(&self) -> MutexGuard<'_, Option<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
