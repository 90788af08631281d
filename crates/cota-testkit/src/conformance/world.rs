//! A store, and the conversation of one case.

use std::sync::Arc;

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, Seq, Timestamp};
use cota_core::turn::{Commit, Then};
use cota_driver::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, Claimed, CommitError, CommitTerms, Committed, Loaded, NewMessage, Next,
    Progress, Store,
};

use super::samples::{T0, answered, driving, finish, going_on, holder, key, message, message_id, sender};

/// A store, and the conversation of one case.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) key: ConversationKey,
}

impl World {
    pub(super) fn new(store: Arc<dyn Store>, case: &str) -> Self {
        Self { store, key: key("public", case) }
    }

    pub(super) async fn accept(&self, message: NewMessage, terms: &AcceptTerms) -> Acceptance {
        self.store.accept(&self.key, message, terms).await.unwrap()
    }

    /// Accepts the first message `id`, which the holder `a` then drives.
    pub(super) async fn drive(&self, id: &str) -> Claim {
        match self.accept(message(id), &driving("a")).await {
            Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed.claim,
            other => panic!("a free conversation is the acceptor's: {other:?}"),
        }
    }

    /// Accepts a message that does not start a turn.
    pub(super) async fn wait(&self, id: &str) {
        let accepted = self.accept(message(id), &driving("b")).await;
        assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Wait | AfterAccept::Ring, .. }), "{accepted:?}");
    }

    pub(super) async fn claim(&self, by: &str, now: Timestamp) -> ClaimOutcome {
        self.store.claim(&self.key, &holder(by), now).await.unwrap()
    }

    pub(super) async fn take(&self, by: &str, now: Timestamp) -> Claimed {
        match self.claim(by, now).await {
            ClaimOutcome::Taken(claimed) => claimed,
            other => panic!("the claim is free for {by}: {other:?}"),
        }
    }

    pub(super) async fn load(&self) -> Loaded {
        self.store.load(&self.key).await.unwrap().expect("the conversation exists")
    }

    pub(super) async fn commit(&self, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        self.store.commit(&self.key, claim, commit, terms).await
    }

    /// Finishes the claim's turn: answers the first waiting message. `n` counts the run's commits.
    pub(super) async fn finish(&self, claim: &Claim, n: u32) -> Committed {
        let commit = self.finishing(claim, n).await;
        self.commit(claim, &commit, &going_on(T0)).await.unwrap()
    }

    /// The commit that answers the first waiting message.
    pub(super) async fn finishing(&self, claim: &Claim, n: u32) -> Commit {
        let loaded = self.load().await;
        finish(claim, n, loaded.tracker.head, &loaded.inbox[..1])
    }

    pub(super) async fn events(&self) -> Vec<Event> {
        self.store.events(&self.key, Seq(0), usize::MAX).await.unwrap()
    }

    pub(super) async fn progress(&self, id: &str) -> Option<Progress> {
        let recorded = self.store.recorded(&self.key, &sender("ann"), &message_id(id)).await.unwrap();
        recorded.map(|recorded| recorded.progress)
    }

    pub(super) async fn waiting_ids(&self) -> Vec<String> {
        ids(&self.load().await.inbox)
    }
}

pub(super) fn ids(inbox: &[InboxMessage]) -> Vec<String> {
    inbox.iter().map(|message| message.message_id.to_string()).collect()
}

/// The claim after a commit that handed it on.
pub(super) fn handed_on(committed: Committed) -> (Claim, Vec<InboxMessage>) {
    match committed.next {
        Next::Waiting { claim, inbox } => (claim, inbox),
        other => panic!("a message waits: {other:?}"),
    }
}

/// Says what becomes of the claim, and of messages.
pub(super) trait ThenExt {
    fn then(self, then: Then) -> Self;
    fn answering(self, messages: &[InboxMessage]) -> Self;
}

impl ThenExt for Commit {
    fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn answering(self, messages: &[InboxMessage]) -> Self {
        Self { answered: messages.iter().map(answered).collect(), ..self }
    }
}
