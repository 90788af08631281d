//! The rules of the claim, free of any storage: who may accept, drive, commit and release.
//!
//! A store reads the [`ClaimRecord`], asks it, and writes what it decided together with the record in one atomic write.

use serde::{Deserialize, Serialize};

use cota_core::event::InboxMessage;
use cota_core::ids::{CommitId, ConversationKey, Position, RunId, Seq, Timestamp};
use cota_core::limits;
use cota_core::turn::{Commit, RunState, Then};

use crate::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, Claimed, CommitError, CommitTerms, Holder, NewMessage, Next, Progress,
    Renewed,
};

/// Room for the claims of one millisecond. The product still fits the 53 bits that every store keeps exactly.
const EPOCHS_PER_MS: u64 = 1024;

/// The small record that every write of a conversation goes through: the rules of the claim, free of any storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// The last epoch given out. It starts at the conversation's first millisecond times 1024, so that a conversation that is
    /// deleted and begun again repeats none, however fast its turns were.
    pub epoch: u64,
    /// The claim, while somebody has it.
    pub claim: Option<Claim>,
    /// The inbox's last position.
    pub last: Position,
    /// How many messages are not yet answered.
    pub pending: u32,
    /// The log's last place.
    pub head: Seq,
    /// The log's last place when the present run began.
    pub began: Seq,
    /// The last commit.
    pub last_commit: Option<CommitId>,
    /// Whether a saved run exists.
    pub saved: bool,
    /// When a parked run goes on.
    pub parked_until: Option<Timestamp>,
    /// The run that was last claimed and how often it was taken over, kept while a run is saved or its claim has lapsed.
    pub takeovers: u32,
}

/// What [`ClaimRecord::accept`] decided; the store then writes the message.
#[derive(Clone, Debug, PartialEq)]
pub enum AcceptRule {
    /// Write the message at this position.
    Write {
        /// The position.
        position: Position,
        /// What the acceptor does next.
        then: AfterAccept,
    },
    /// Write nothing.
    Refuse(Acceptance),
}

impl ClaimRecord {
    /// The record of a conversation that begins now.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            epoch: now.0.saturating_mul(EPOCHS_PER_MS),
            claim: None,
            last: Position::default(),
            pending: 0,
            head: Seq::default(),
            began: Seq::default(),
            last_commit: None,
            saved: false,
            parked_until: None,
            takeovers: 0,
        }
    }

    /// Whether nothing runs, nothing is saved and nothing waits.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.claim.is_none() && !self.saved && self.pending == 0
    }

    /// Decides on a message that is not a repeat, and changes the record accordingly.
    pub fn accept(&mut self, key: &ConversationKey, message: &NewMessage, terms: &AcceptTerms) -> AcceptRule {
        let free = self.is_free();
        if !free && terms.reject_if_busy {
            return AcceptRule::Refuse(Acceptance::Busy);
        }
        let running = u32::from(self.claim.is_some() || self.saved);
        if self.pending.saturating_sub(running) >= terms.max_queue.max(1) {
            return AcceptRule::Refuse(Acceptance::QueueFull);
        }
        self.last = Position(self.last.0 + 1);
        self.pending += 1;
        if terms.wakes {
            self.parked_until = None;
        }
        let then = match (&terms.drive_as, &self.claim) {
            (Some(holder), None) if free => {
                let run = RunId::of(key, &message.sender, &message.message_id);
                AfterAccept::Drive(self.take(run, holder, message.at, 0))
            }
            (_, Some(claim)) if claim.lease_until > message.at => AfterAccept::Wait,
            (_, Some(_) | None) => AfterAccept::Ring,
        };
        AcceptRule::Write { position: self.last, then }
    }

    /// Decides who may drive. `first` is the run of the first waiting message; `dead` says that the present holder is no more.
    pub fn claim(&mut self, first: Option<RunId>, holder: &Holder, now: Timestamp, dead: bool) -> ClaimOutcome {
        if let Some(claim) = &self.claim {
            if claim.lease_until > now && !dead {
                return ClaimOutcome::Held { until: claim.lease_until };
            }
            let (run, takeovers) = (claim.run.clone(), claim.takeovers + 1);
            return ClaimOutcome::Taken(self.take(run, holder, now, takeovers));
        }
        if let Some(until) = self.parked_until.filter(|until| *until > now && self.saved) {
            return ClaimOutcome::Parked { until };
        }
        match first {
            Some(run) => ClaimOutcome::Taken(self.take(run, holder, now, if self.saved { self.takeovers } else { 0 })),
            None => ClaimOutcome::Idle,
        }
    }

    fn take(&mut self, run: RunId, holder: &Holder, now: Timestamp, takeovers: u32) -> Claimed {
        self.epoch += 1;
        self.parked_until = None;
        self.takeovers = takeovers;
        if !self.saved {
            self.began = self.head;
        }
        let lease_until = now.plus_ms(limits::LEASE_MS);
        let claim = Claim { run, epoch: self.epoch, holder: holder.clone(), lease_until, takeovers };
        self.claim = Some(claim.clone());
        Claimed { claim, head: self.head, last_commit: self.last_commit.clone(), saved: self.saved, loaded: None }
    }

    /// Whether `claim` is the present one.
    #[must_use]
    pub fn holds(&self, claim: &Claim) -> bool {
        self.claim.as_ref().is_some_and(|present| present.epoch == claim.epoch && present.holder == claim.holder)
    }

    /// Moves the lease's end.
    ///
    /// # Errors
    /// If the claim is another's.
    pub fn renew(&mut self, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        match &mut self.claim {
            Some(present) if present.epoch == claim.epoch && present.holder == claim.holder => {
                present.lease_until = lease_until;
                Ok(Renewed { last: self.last })
            }
            Some(_) | None => Err(CommitError::Fenced),
        }
    }

    /// Lets go of the claim of a saved run: whoever claims it goes on with it.
    ///
    /// # Errors
    /// If the claim is another's.
    pub fn release(&mut self, claim: &Claim) -> Result<(), CommitError> {
        if !self.holds(claim) {
            return Err(CommitError::Fenced);
        }
        self.claim = None;
        Ok(())
    }

    /// Decides on a commit. `first_waiting` is the run of the first message that will still wait once the commit's answers and
    /// follow-up are written; it matters for a finish alone.
    ///
    /// # Errors
    /// If the claim is another's or another run's, or the events do not go on where the log ends.
    pub fn commit(
        &mut self,
        claim: &Claim,
        commit: &Commit,
        terms: &CommitTerms,
        first_waiting: Option<RunId>,
    ) -> Result<CommitRule, CommitError> {
        // The epoch comes first: a holder that was taken over may carry the commit id that its successor has written, with
        // other events in it.
        if self.epoch != claim.epoch {
            return Err(CommitError::Fenced);
        }
        if self.last_commit.as_ref() == Some(&commit.commit_id) {
            return self.fate_of_repeated(claim, commit.then).map(CommitRule::Repeated);
        }
        // A holder that went on with the next message keeps its epoch: what it still sends for the run before comes too late.
        let of_present_run = self.claim.as_ref().is_some_and(|present| present.run == claim.run);
        if !self.holds(claim) || !of_present_run || !self.is_continued_by(commit) {
            return Err(CommitError::Fenced);
        }
        self.head = Seq(self.head.0 + commit.events.len() as u64);
        self.last_commit = Some(commit.commit_id.clone());
        self.saved = matches!(commit.run, RunState::Put(_));
        self.pending = self.pending.saturating_sub(u32::try_from(commit.answered.len()).unwrap_or(u32::MAX));
        let follow_up = commit.follow_up.as_ref().map(|_| {
            self.pending += 1;
            self.last = Position(self.last.0 + 1);
            self.last
        });
        let answered = Progress::Answered { first: self.began.next(), last: self.head };
        if commit.then == Then::Finish {
            self.began = self.head;
        }
        let fate = match commit.then {
            Then::Hold => {
                self.keep(claim, claim.run.clone(), claim.takeovers, terms);
                Fate::Held
            }
            Then::Park(until) => {
                let missed = terms.heard.is_some_and(|heard| self.last > heard);
                self.claim = None;
                self.takeovers = claim.takeovers;
                self.parked_until = Some(until).filter(|_| !missed);
                Fate::Released { ring: missed }
            }
            Then::Finish => match first_waiting {
                Some(run) if terms.go_on => Fate::Waiting(self.keep(claim, run, 0, terms)),
                waiting => {
                    self.claim = None;
                    Fate::Released { ring: waiting.is_some() }
                }
            },
        };
        Ok(CommitRule::Write { answered, follow_up, fate })
    }

    fn keep(&mut self, claim: &Claim, run: RunId, takeovers: u32, terms: &CommitTerms) -> Claim {
        self.takeovers = takeovers;
        let kept = Claim { run, takeovers, lease_until: terms.lease_until, ..claim.clone() };
        self.claim = Some(kept.clone());
        kept
    }

    /// Whether the commit's events stand right after the log's last.
    fn is_continued_by(&self, commit: &Commit) -> bool {
        (self.head.0 + 1..).zip(commit.events.iter()).all(|(seq, event)| event.seq.0 == seq)
    }

    /// The commit was written before, under this epoch, and its answer lost: what became of the claim with it.
    fn fate_of_repeated(&self, claim: &Claim, then: Then) -> Result<Fate, CommitError> {
        match (&self.claim, then) {
            (Some(_), Then::Hold) => Ok(Fate::Held),
            (Some(present), Then::Finish) if present.run != claim.run => Ok(Fate::Waiting(present.clone())),
            (None, Then::Finish | Then::Park(_)) => Ok(Fate::Released { ring: self.parked_until.is_none() && self.pending > 0 }),
            (Some(_), Then::Finish | Then::Park(_)) | (None, Then::Hold) => Err(CommitError::Fenced),
        }
    }

    /// When somebody should ask for the claim: now where nobody drives, at the lease's end or the parked run's time otherwise,
    /// never where nothing is to be done. `dead` says that the present holder is no more.
    #[must_use]
    pub fn due(&self, now: Timestamp, dead: bool) -> Option<Timestamp> {
        if self.is_free() {
            return None;
        }
        let not_before = match &self.claim {
            Some(claim) => Some(claim.lease_until).filter(|_| !dead),
            None => self.parked_until,
        };
        Some(not_before.map_or(now, |at| at.max(now)))
    }
}

/// What [`ClaimRecord::commit`] decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitRule {
    /// Write it.
    Write {
        /// What became of the messages it answers.
        answered: Progress,
        /// The follow-up message's position, where there is one.
        follow_up: Option<Position>,
        /// What becomes of the claim.
        fate: Fate,
    },
    /// It was written before; write nothing.
    Repeated(Fate),
}

/// What becomes of the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays with its holder, for the same run.
    Held,
    /// It stays with its holder, for the first waiting message's run: read what waits.
    Waiting(Claim),
    /// It is let go.
    Released {
        /// Whether messages wait that somebody else is to take.
        ring: bool,
    },
}

impl Fate {
    /// The answer to the commit. `inbox` reads what waits; it is asked only where the holder goes on with it.
    ///
    /// # Errors
    /// What `inbox` failed with.
    pub fn next<E>(self, inbox: impl FnOnce() -> Result<Vec<InboxMessage>, E>) -> Result<Next, E> {
        match self {
            Self::Held => Ok(Next::Held),
            Self::Waiting(claim) => Ok(Next::Waiting { claim, inbox: inbox()? }),
            Self::Released { ring } => Ok(Next::Released { ring }),
        }
    }
}

#[cfg(test)]
mod tests;
