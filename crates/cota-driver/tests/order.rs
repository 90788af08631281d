//! Those who follow a conversation hear of messages in the order of acceptance, however late the store says so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]
#![allow(dead_code, reason = "each test file uses its part of the stage")]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, Position, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::host::{Conversations as _, Sent, Update};
use cota_driver::memory::MemoryStore;
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};
use futures_util::StreamExt as _;
use stage::{Stage, TestClock, bot, key, message};

/// Messages that are sent at once.
const MESSAGES: u64 = 8;

/// Accepts at once and says so late: the earlier a message came, the later.
#[derive(Default)]
struct TellsLate {
    store: MemoryStore,
    accepted: AtomicU64,
}

#[async_trait]
impl Store for TellsLate {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        let accepted = self.store.accept(key, message, terms).await;
        let earlier = self.accepted.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5 * (MESSAGES - earlier))).await;
        accepted
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        self.store.claim(key, holder, now).await
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        self.store.load(key).await
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        self.store.commit(key, claim, commit, terms).await
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        self.store.renew(key, claim, lease_until).await
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError> {
        self.store.release(key, claim, now).await
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.store.events(key, after, limit).await
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        self.store.recorded(key, sender, message).await
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        self.store.delete(key).await
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        self.store.unfinished(now).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}

#[tokio::test]
async fn a_room_hears_of_messages_in_the_order_of_acceptance() {
    let stage = Stage::over(Arc::new(TellsLate::default()), bot(|_| {}), &TestClock::default(), stage::echo);
    let key = key("c");
    let mut updates = stage.host.subscribe(&key, false);
    let sent = (0..MESSAGES).map(|n| {
        let (host, key) = (&stage.host, &key);
        async move { host.send(key, message(&format!("m{n}"), "one of many")).await }
    });
    let sent = futures_util::future::join_all(sent).await;
    assert!(sent.iter().all(|sent| matches!(sent, Ok(Sent::Accepted(_)))), "{sent:?}");
    let hears = async {
        let mut heard: Vec<Position> = Vec::new();
        while heard.len() < usize::try_from(MESSAGES).unwrap() {
            if let Update::Accepted(message) = updates.next().await.unwrap() {
                heard.push(message.position);
            }
        }
        heard
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), hears).await.expect("every message is told of");
    assert!(heard.is_sorted(), "{heard:?}");
}
