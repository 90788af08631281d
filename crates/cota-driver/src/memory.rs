//! Conversations in memory: for tests, tools and benchmarks, gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, Position, RunId, SenderId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_core::turn::{Commit, RunState};

use crate::claim::{AcceptRule, ClaimRecord, CommitRule, Fate};
use crate::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Next, Progress,
    Recorded, Renewed, Store, StoreError,
};

/// So many locks that two conversations rarely meet at one.
const SHARDS: usize = 64;

/// A [`Store`] that keeps everything in memory. No holder of a claim is ever known to be dead: it would have taken the store
/// along.
#[derive(Debug)]
pub struct MemoryStore {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

type Shard = HashMap<ConversationKey, Conversation>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// A store of one conversation that began with these events, in order and without a gap from the first place on.
    #[must_use]
    pub fn with_past(key: &ConversationKey, past: Vec<Event>, now: Timestamp) -> Self {
        let mut conversation = Conversation::new(now);
        past.iter().for_each(|event| conversation.tracker.apply(event));
        conversation.record.head = conversation.tracker.head;
        if !past.is_empty() {
            conversation.log.push(past.into());
        }
        let store = Self::new();
        if let Some(shard) = store.shard(key) {
            lock(shard).insert(key.clone(), conversation);
        }
        store
    }

    fn shard(&self, key: &ConversationKey) -> Option<&Mutex<Shard>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }

    /// Runs `work` on the shard of `key`, alone.
    fn with<T>(&self, key: &ConversationKey, work: impl FnOnce(&mut Shard) -> T) -> Result<T, StoreError> {
        let shard = self.shard(key).ok_or_else(|| StoreError::Unavailable("the memory store has no shards".to_owned()))?;
        Ok(work(&mut lock(shard)))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        self.with(key, |shard| match shard.get_mut(key) {
            Some(conversation) => conversation.accept(key, message, terms),
            None => {
                let mut conversation = Conversation::new(message.at);
                let acceptance = conversation.accept(key, message, terms);
                shard.insert(key.clone(), conversation);
                acceptance
            }
        })
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        self.with(key, |shard| {
            shard.get_mut(key).map_or(ClaimOutcome::Idle, |conversation| {
                let first = conversation.inbox.values().next().map(|message| run_of(key, message));
                conversation.record.claim(first, holder, now, false)
            })
        })
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        self.with(key, |shard| {
            shard.get(key).map(|conversation| Loaded {
                tracker: conversation.tracker.clone(),
                saved: conversation.saved.clone(),
                inbox: conversation.waiting(),
            })
        })
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        self.with(key, |shard| {
            let conversation = shard.get_mut(key).ok_or(CommitError::Fenced)?;
            conversation.commit(key, claim, commit, terms)
        })
        .map_err(unavailable)?
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        self.with(key, |shard| shard.get_mut(key).ok_or(CommitError::Fenced)?.record.renew(claim, lease_until)).map_err(unavailable)?
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, _now: Timestamp) -> Result<(), CommitError> {
        self.with(key, |shard| shard.get_mut(key).ok_or(CommitError::Fenced)?.record.release(claim)).map_err(unavailable)?
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.with(key, |shard| {
            shard.get(key).map_or_else(Vec::new, |conversation| events_after(&conversation.log, after).take(limit).cloned().collect())
        })
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        self.with(key, |shard| shard.get(key)?.messages.get(&(sender.clone(), message.clone())).cloned())
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        self.with(key, |shard| {
            shard.remove(key);
        })
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        let mut unfinished = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            unfinished.extend(shard.iter().filter_map(|(key, conversation)| Some((key.clone(), conversation.record.due(now, false)?))));
        }
        Ok(unfinished)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Conversation {
    record: ClaimRecord,
    inbox: BTreeMap<Position, InboxMessage>,
    messages: HashMap<(SenderId, MessageId), Recorded>,
    /// The commits' events, none of them empty.
    log: Vec<Arc<[Event]>>,
    tracker: Tracker,
    saved: Option<Vec<u8>>,
}

impl Conversation {
    fn new(now: Timestamp) -> Self {
        Self {
            record: ClaimRecord::new(now),
            inbox: BTreeMap::new(),
            messages: HashMap::new(),
            log: Vec::new(),
            tracker: Tracker::default(),
            saved: None,
        }
    }

    fn accept(&mut self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Acceptance {
        let digest = message.digest();
        let id = (message.sender.clone(), message.message_id.clone());
        match self.messages.get(&id) {
            Some(recorded) if recorded.digest == digest => return Acceptance::Repeated(recorded.progress),
            Some(_) => return Acceptance::IdReused,
            None => {}
        }
        match self.record.accept(key, &message, terms) {
            AcceptRule::Write { position, then } => {
                self.messages.insert(id, Recorded { digest, progress: Progress::Pending });
                self.inbox.insert(position, message.at_position(position));
                Acceptance::Accepted { position, then }
            }
            AcceptRule::Refuse(refusal) => refusal,
        }
    }

    fn commit(&mut self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        let rest = self.inbox.values().filter(|message| !commit.answered.iter().any(|answered| answered.position == message.position));
        let first_waiting = rest.chain(&commit.follow_up).next().map(|message| run_of(key, message));
        let fate = match self.record.commit(claim, commit, terms, first_waiting)? {
            CommitRule::Write { answered, follow_up, fate } => {
                self.write(commit, answered, follow_up);
                fate
            }
            CommitRule::Repeated(fate) => fate,
        };
        Ok(Committed { head: self.record.head, next: self.next(fate) })
    }

    fn write(&mut self, commit: &Commit, progress: Progress, follow_up: Option<Position>) {
        if !commit.events.is_empty() {
            self.log.push(Arc::clone(&commit.events));
        }
        if let Some(snapshot) = &commit.snapshot {
            self.tracker = snapshot.clone();
        }
        events_after(&self.log, self.tracker.head).for_each(|event| self.tracker.apply(event));
        self.saved = match &commit.run {
            RunState::Put(run) => Some(run.clone()),
            RunState::Clear => None,
        };
        for answered in &commit.answered {
            self.inbox.remove(&answered.position);
            if let Some(recorded) = self.messages.get_mut(&(answered.sender.clone(), answered.message_id.clone())) {
                recorded.progress = progress;
            }
        }
        if let (Some(message), Some(position)) = (&commit.follow_up, follow_up) {
            let message = NewMessage::from(message.clone());
            let recorded = Recorded { digest: message.digest(), progress: Progress::Pending };
            self.messages.insert((message.sender.clone(), message.message_id.clone()), recorded);
            self.inbox.insert(position, message.at_position(position));
        }
    }

    fn next(&self, fate: Fate) -> Next {
        let Ok(next) = fate.next(|| Ok::<_, Infallible>(self.waiting()));
        next
    }

    fn waiting(&self) -> Vec<InboxMessage> {
        self.inbox.values().cloned().collect()
    }
}

fn events_after(log: &[Arc<[Event]>], seq: Seq) -> impl Iterator<Item = &Event> {
    let behind = log.partition_point(|commit| commit.last().is_none_or(|last| last.seq <= seq));
    log.iter().skip(behind).flat_map(|commit| commit.iter()).skip_while(move |event| event.seq <= seq)
}

fn run_of(key: &ConversationKey, message: &InboxMessage) -> RunId {
    RunId::of(key, &message.sender, &message.message_id)
}

fn unavailable(error: StoreError) -> CommitError {
    CommitError::Unavailable(error.to_string())
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
