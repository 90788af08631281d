//! Sequences of operations drawn at random, tried on a store and on a model of what it ought to do.

use cota_core::event::{InboxMessage, MessageContent};
use cota_core::ids::{ConversationKey, Position, RunId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_core::turn::{Commit, RunState, Then};
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, CommitTerms, Committed, NewMessage, Next, Store};
use proptest::prelude::*;

use super::model::{Model, ensure};
use super::samples::{T0, checkpoint, finish, going_on, holder, key, message_id, said, sender};

/// Senders, ids, holders and claims are drawn from so few that they meet.
const FEW: u8 = 3;

/// One operation on one of a few conversations.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A message is offered.
    Accept {
        /// Which conversation.
        conversation: u8,
        /// Who sends it.
        sender: u8,
        /// Its id.
        id: u8,
        /// Whether its text is another than the id's usual one.
        other_text: bool,
        /// Which holder accepts, and whether it drives.
        drive_as: Option<u8>,
        /// `on_busy: reject`.
        reject: bool,
    },
    /// A holder asks for the claim.
    Claim {
        /// Which conversation.
        conversation: u8,
        /// Which holder.
        holder: u8,
    },
    /// Whoever has or had a claim commits.
    Commit {
        /// Which conversation.
        conversation: u8,
        /// Which of its claims, counted from the latest.
        claim: u8,
        /// How many events, those of a finish apart.
        events: u8,
        /// What becomes of the run.
        then: Ending,
        /// Whether a finish answers two messages, where two wait.
        merged: bool,
        /// Whether a finish puts a message into the inbox.
        follow_up: bool,
        /// Whether the holder goes on with the next message.
        go_on: bool,
    },
    /// The latest commit is sent again: its answer was lost.
    Repeat {
        /// Which conversation.
        conversation: u8,
    },
    /// Whoever has or had a claim renews it.
    Renew {
        /// Which conversation.
        conversation: u8,
        /// Which of its claims, counted from the latest.
        claim: u8,
    },
    /// The conversation is deleted.
    Delete {
        /// Which conversation.
        conversation: u8,
    },
    /// Time passes.
    Pass {
        /// How many seconds.
        seconds: u8,
    },
}

/// What becomes of a run with a commit.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// It goes on.
    Hold,
    /// It is parked for ten seconds.
    Park,
    /// It is over.
    Finish,
}

/// Up to `length` operations.
pub fn operations(length: usize) -> impl Strategy<Value = Vec<Operation>> {
    let few = || 0..FEW;
    let conversation = || 0..2_u8;
    let ending = prop_oneof![1 => Just(Ending::Hold), 1 => Just(Ending::Park), 3 => Just(Ending::Finish)];
    let claim_age = || prop_oneof![4 => Just(0_u8), 1 => few()];
    let operation = prop_oneof![
        6 => (conversation(), few(), 0..4_u8, any::<bool>(), proptest::option::of(few()), proptest::bool::weighted(0.1))
            .prop_map(|(conversation, sender, id, other_text, drive_as, reject)| {
                Operation::Accept { conversation, sender, id, other_text: other_text && id == 0, drive_as, reject }
            }),
        3 => (conversation(), few()).prop_map(|(conversation, holder)| Operation::Claim { conversation, holder }),
        8 => (conversation(), claim_age(), 0..3_u8, ending, any::<bool>(), proptest::bool::weighted(0.2), any::<bool>())
            .prop_map(|(conversation, claim, events, then, merged, follow_up, go_on)| {
                Operation::Commit { conversation, claim, events, then, merged, follow_up, go_on }
            }),
        2 => conversation().prop_map(|conversation| Operation::Repeat { conversation }),
        1 => (conversation(), claim_age()).prop_map(|(conversation, claim)| Operation::Renew { conversation, claim }),
        1 => conversation().prop_map(|conversation| Operation::Delete { conversation }),
        3 => (1..20_u8).prop_map(|seconds| Operation::Pass { seconds }),
    ];
    proptest::collection::vec(operation, 1..=length)
}

/// Tries the operations on `store`, which holds nothing yet, and on a model.
///
/// # Errors
/// Where the two first differ.
pub async fn agree(store: &dyn Store, operations: &[Operation]) -> Result<(), String> {
    let mut now = T0;
    let mut sides: Vec<Side> = ["random-0", "random-1"].map(Side::new).into();
    for (n, operation) in operations.iter().enumerate() {
        // A deleted conversation may begin again only in a later millisecond.
        now = now.plus_ms(1);
        if let Operation::Pass { seconds } = operation {
            now = now.plus_ms(u64::from(*seconds) * 1000);
        }
        let side = match conversation_of(operation).and_then(|place| sides.get_mut(usize::from(place))) {
            Some(side) => side,
            None => continue,
        };
        let tried = match side.try_on(store, operation, n, now).await {
            Ok(()) => side.compare(store).await,
            Err(error) => Err(error),
        };
        tried.map_err(|error| format!("operation {n}, {operation:?}: {error}"))?;
    }
    Ok(())
}

fn conversation_of(operation: &Operation) -> Option<u8> {
    match operation {
        Operation::Accept { conversation, .. }
        | Operation::Claim { conversation, .. }
        | Operation::Commit { conversation, .. }
        | Operation::Repeat { conversation }
        | Operation::Renew { conversation, .. }
        | Operation::Delete { conversation } => Some(*conversation),
        Operation::Pass { .. } => None,
    }
}

/// A conversation, its model, and what its drivers remember.
struct Side {
    key: ConversationKey,
    model: Model,
    claims: Vec<Claim>,
    sent: Option<(Claim, Commit, CommitTerms)>,
}

impl Side {
    fn new(id: &str) -> Self {
        Self { key: key("public", id), model: Model::default(), claims: Vec::new(), sent: None }
    }

    async fn try_on(&mut self, store: &dyn Store, operation: &Operation, n: usize, now: Timestamp) -> Result<(), String> {
        match operation {
            Operation::Accept { sender, id, other_text, drive_as, reject, .. } => {
                let text = if *other_text { "another text".to_owned() } else { format!("text {id}") };
                let content = MessageContent { text, ..MessageContent::default() };
                let (from, id) = (self::sender(&format!("sender-{sender}")), message_id(&format!("m{id}")));
                let message = NewMessage { sender: from, message_id: id, at: now, content };
                let drive_as = drive_as.map(|by| holder(&format!("holder-{by}")));
                self.accept(store, message, &AcceptTerms { drive_as, max_queue: 2, reject_if_busy: *reject, wakes: false }).await
            }
            Operation::Claim { holder: by, .. } => {
                let by = holder(&format!("holder-{by}"));
                let got = store.claim(&self.key, &by, now).await.map_err(|error| error.to_string())?;
                self.model.claim(&by, now, &got)?;
                if let ClaimOutcome::Taken(claimed) = got {
                    self.claims.push(claimed.claim);
                }
                Ok(())
            }
            Operation::Commit { claim, events, then, merged, follow_up, go_on, .. } => {
                let Some(claim) = self.remembered(*claim) else { return Ok(()) };
                let commit = self.draw_commit(&claim, n, now, *events, *then, *merged, *follow_up);
                self.commit(store, claim, commit, CommitTerms { go_on: *go_on, ..going_on(now) }).await
            }
            Operation::Repeat { .. } => match self.sent.clone() {
                Some((claim, commit, terms)) => self.commit(store, claim, commit, terms).await,
                None => Ok(()),
            },
            Operation::Renew { claim, .. } => {
                let Some(claim) = self.remembered(*claim) else { return Ok(()) };
                let until = now.plus_ms(20_000);
                let got = store.renew(&self.key, &claim, until).await;
                self.model.renew(&claim, until, got.ok().map(|renewed| renewed.last))
            }
            Operation::Delete { .. } => {
                store.delete(&self.key).await.map_err(|error| error.to_string())?;
                let epoch = self.model.epoch();
                self.model = Model::begun_after(epoch);
                Ok(())
            }
            Operation::Pass { .. } => Ok(()),
        }
    }

    /// A claim that was once given out, counted from the latest.
    fn remembered(&self, age: u8) -> Option<Claim> {
        self.claims.iter().rev().nth(usize::from(age)).cloned()
    }

    async fn accept(&mut self, store: &dyn Store, message: NewMessage, terms: &AcceptTerms) -> Result<(), String> {
        let run = RunId::of(&self.key, &message.sender, &message.message_id);
        let got = store.accept(&self.key, message.clone(), terms).await.map_err(|error| error.to_string())?;
        self.model.accept(run, &message, terms, &got)?;
        if let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = got {
            self.claims.push(claimed.claim);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one drawn operation")]
    fn draw_commit(&self, claim: &Claim, n: usize, now: Timestamp, events: u8, then: Ending, merged: bool, follow_up: bool) -> Commit {
        let head = self.model.log.len() as u64;
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let said = (head + 1..).take(usize::from(events)).map(|seq| said(claim, seq, &format!("text of {n}"))).collect();
        let held = Commit { events: said, ..checkpoint(claim, n, &n.to_be_bytes()) };
        match then {
            Ending::Hold => held,
            Ending::Park => Commit { then: Then::Park(now.plus_ms(10_000)), ..held },
            Ending::Finish => {
                let waiting: Vec<InboxMessage> =
                    self.model.waiting().take(if merged { 2 } else { 1 }).map(|known| known.to_inbox(now)).collect();
                let finish = finish(claim, n, Seq(head), &waiting);
                let follow_up = follow_up.then(|| follow_up_of(claim, n, now));
                Commit { follow_up, snapshot: (n % 3 == 0).then(|| self.tracker_after(&finish)), run: RunState::Clear, ..finish }
            }
        }
    }

    fn tracker_after(&self, commit: &Commit) -> Tracker {
        let mut tracker = Tracker::default();
        self.model.log.iter().chain(commit.events.iter()).for_each(|event| tracker.apply(event));
        tracker
    }

    async fn commit(&mut self, store: &dyn Store, claim: Claim, commit: Commit, terms: CommitTerms) -> Result<(), String> {
        let follow_up = commit
            .follow_up
            .as_ref()
            .map(|message| (RunId::of(&self.key, &message.sender, &message.message_id), message.content.text.clone()));
        let got = store.commit(&self.key, &claim, &commit, &terms).await;
        self.model.commit(&claim, &commit, &terms, follow_up, &got)?;
        if let Ok(Committed { next: Next::Waiting { claim, .. }, .. }) = &got {
            self.claims.push(claim.clone());
        }
        self.sent = Some((claim, commit, terms));
        Ok(())
    }

    /// Compares all that can be read.
    async fn compare(&self, store: &dyn Store) -> Result<(), String> {
        let events = store.events(&self.key, Seq(0), usize::MAX).await.map_err(|error| error.to_string())?;
        ensure!(events == self.model.log, "the log holds {} events, not {}", events.len(), self.model.log.len());
        let loaded = store.load(&self.key).await.map_err(|error| error.to_string())?.unwrap_or_default();
        ensure!(loaded.saved == self.model.saved, "the saved run is {:?}, not {:?}", loaded.saved, self.model.saved);
        let positions: Vec<Position> = loaded.inbox.iter().map(|message| message.position).collect();
        ensure!(positions == self.model.waiting_positions(), "the inbox holds {positions:?}, not {:?}", self.model.waiting_positions());
        let mut tracker = Tracker::default();
        events.iter().for_each(|event| tracker.apply(event));
        ensure!(loaded.tracker == tracker, "the state is not the fold of the log");
        for known in &self.model.messages {
            let recorded = store.recorded(&self.key, &known.sender, &known.id).await.map_err(|error| error.to_string())?;
            let progress = recorded.map(|recorded| recorded.progress);
            ensure!(progress == Some(known.progress), "{:?} is {progress:?}, not {:?}", known.id, known.progress);
        }
        Ok(())
    }
}

fn follow_up_of(claim: &Claim, n: u32, at: Timestamp) -> InboxMessage {
    let content = MessageContent { text: format!("exchange {n}"), ..MessageContent::default() };
    InboxMessage { position: Position(0), sender: sender("proxy"), message_id: message_id(&format!("{}.{n}", claim.run)), at, content }
}
