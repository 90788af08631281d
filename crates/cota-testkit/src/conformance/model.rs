//! What a store ought to do, in the plainest way: lists in memory, and no word of how a store keeps them.

use cota_core::event::{Event, InboxMessage, MessageContent};
use cota_core::ids::{CommitId, MessageId, Position, RunId, SenderId, Seq, Timestamp};
use cota_core::limits::LEASE_MS;
use cota_core::turn::{Commit, RunState, Then};
use cota_driver::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, Claimed, CommitError, CommitTerms, Committed, Holder, NewMessage, Next,
    Progress,
};

/// Fails with a sentence unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(super) use ensure;

/// One conversation as it ought to be.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) messages: Vec<Known>,
    pub(super) log: Vec<Event>,
    pub(super) saved: Option<Vec<u8>>,
    driver: Option<Driver>,
    parked_until: Option<Timestamp>,
    takeovers: u32,
    epoch: u64,
    began: u64,
    last_commit: Option<CommitId>,
    last: Position,
}

/// A message that was accepted.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) sender: SenderId,
    pub(super) id: MessageId,
    text: String,
    position: Position,
    run: RunId,
    pub(super) progress: Progress,
}

#[derive(Clone, Debug)]
struct Driver {
    run: RunId,
    epoch: u64,
    holder: Holder,
    until: Timestamp,
}

impl Known {
    /// The message as a turn is given it.
    pub(super) fn to_inbox(&self, at: Timestamp) -> InboxMessage {
        let content = MessageContent { text: self.text.clone(), ..MessageContent::default() };
        InboxMessage { position: self.position, sender: self.sender.clone(), message_id: self.id.clone(), at, content }
    }
}

impl Model {
    /// A conversation that begins after another of its name was deleted: it repeats no epoch.
    pub(super) fn begun_after(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// The last epoch that was given out.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The messages that wait, in order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Known> {
        self.messages.iter().filter(|message| message.progress == Progress::Pending)
    }

    pub(super) fn waiting_positions(&self) -> Vec<Position> {
        self.waiting().map(|message| message.position).collect()
    }

    fn is_free(&self) -> bool {
        self.driver.is_none() && self.saved.is_none() && self.waiting().next().is_none()
    }

    /// Whether somebody with this claim drives.
    fn is_driven_by(&self, claim: &Claim) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.epoch == claim.epoch && driver.holder == claim.holder)
    }

    pub(super) fn accept(&mut self, run: RunId, message: &NewMessage, terms: &AcceptTerms, got: &Acceptance) -> Result<(), String> {
        let same_id = |known: &&Known| known.sender == message.sender && known.id == message.message_id;
        if let Some(known) = self.messages.iter().find(same_id) {
            let expected = if known.text == message.content.text { Acceptance::Repeated(known.progress) } else { Acceptance::IdReused };
            ensure!(*got == expected, "the id is known: expected {expected:?}, got {got:?}");
            return Ok(());
        }
        let free = self.is_free();
        let busy = usize::from(self.driver.is_some() || self.saved.is_some());
        if !free && terms.reject_if_busy {
            ensure!(*got == Acceptance::Busy, "it is busy: {got:?}");
            return Ok(());
        }
        if self.waiting().count() - busy.min(self.waiting().count()) >= terms.max_queue as usize {
            ensure!(*got == Acceptance::QueueFull, "the queue is full: {got:?}");
            return Ok(());
        }
        let Acceptance::Accepted { position, then } = got else { return Err(format!("it is to be accepted: {got:?}")) };
        ensure!(*position > self.last, "{position:?} is not after {:?}", self.last);
        self.last = *position;
        let (sender, id, text) = (message.sender.clone(), message.message_id.clone(), message.content.text.clone());
        self.messages.push(Known { sender, id, text, position: *position, run: run.clone(), progress: Progress::Pending });
        match (&terms.drive_as, &self.driver, then) {
            (Some(holder), None, AfterAccept::Drive(claimed)) if free => self.taken(run, holder, message.at, 0, claimed),
            (_, Some(driver), AfterAccept::Wait) if driver.until > message.at => Ok(()),
            (_, Some(driver), AfterAccept::Ring) if driver.until <= message.at => Ok(()),
            (_, None, AfterAccept::Ring) if terms.drive_as.is_none() || !free => Ok(()),
            (_, driver, then) => Err(format!("free: {free}, driver: {driver:?}, and yet {then:?}")),
        }
    }

    pub(super) fn claim(&mut self, holder: &Holder, now: Timestamp, got: &ClaimOutcome) -> Result<(), String> {
        let first = self.waiting().next().map(|message| message.run.clone());
        let (run, takeovers) = match (&self.driver, self.parked_until, first) {
            (Some(driver), _, _) if driver.until > now => {
                ensure!(*got == ClaimOutcome::Held { until: driver.until }, "{driver:?} has it: {got:?}");
                return Ok(());
            }
            (Some(driver), _, _) => (driver.run.clone(), self.takeovers + 1),
            (None, Some(until), _) if until > now => {
                ensure!(*got == ClaimOutcome::Parked { until }, "it is parked until {until:?}: {got:?}");
                return Ok(());
            }
            (None, _, None) => {
                ensure!(*got == ClaimOutcome::Idle, "nothing is to be done: {got:?}");
                return Ok(());
            }
            (None, _, Some(run)) => (run, if self.saved.is_some() { self.takeovers } else { 0 }),
        };
        let ClaimOutcome::Taken(claimed) = got else { return Err(format!("it can be taken: {got:?}")) };
        self.taken(run, holder, now, takeovers, claimed)
    }

    fn taken(&mut self, run: RunId, holder: &Holder, now: Timestamp, takeovers: u32, claimed: &Claimed) -> Result<(), String> {
        let claim = &claimed.claim;
        ensure!(claim.epoch > self.epoch, "epoch {} after {}", claim.epoch, self.epoch);
        ensure!(claim.run == run && claim.holder == *holder, "for {run} and {holder:?}, not {claim:?}");
        ensure!(claim.takeovers == takeovers, "{takeovers} takeovers, not {claim:?}");
        ensure!(claim.lease_until == now.plus_ms(LEASE_MS), "the lease ends at {:?}", claim.lease_until);
        ensure!(claimed.head.0 == self.log.len() as u64, "the head is {}, not {}", self.log.len(), claimed.head);
        ensure!(claimed.last_commit == self.last_commit, "{:?} was last, not {:?}", self.last_commit, claimed.last_commit);
        ensure!(claimed.saved == self.saved.is_some(), "a run is saved: {}", claimed.saved);
        if self.saved.is_none() {
            self.began = self.log.len() as u64;
        }
        self.epoch = claim.epoch;
        self.takeovers = takeovers;
        self.parked_until = None;
        self.driver = Some(Driver { run, epoch: claim.epoch, holder: holder.clone(), until: claim.lease_until });
        Ok(())
    }

    pub(super) fn renew(&mut self, claim: &Claim, until: Timestamp, got: Option<Position>) -> Result<(), String> {
        let (driven, last) = (self.is_driven_by(claim), self.last);
        match self.driver.as_mut().filter(|_| driven) {
            Some(driver) => {
                ensure!(got == Some(last), "the inbox ends at {last:?}, not {got:?}");
                driver.until = until;
            }
            None => ensure!(got.is_none(), "{claim:?} is another's by now"),
        }
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        claim: &Claim,
        commit: &Commit,
        terms: &CommitTerms,
        follow_up: Option<(RunId, String)>,
        got: &Result<Committed, CommitError>,
    ) -> Result<(), String> {
        let repeated = self.last_commit.as_ref() == Some(&commit.commit_id);
        let of_present_run = self.driver.as_ref().is_some_and(|driver| driver.run == claim.run);
        let fenced = claim.epoch != self.epoch || !(repeated || self.is_driven_by(claim) && of_present_run);
        if fenced {
            ensure!(*got == Err(CommitError::Fenced), "{claim:?} is another's by now: {got:?}");
            return Ok(());
        }
        let committed = got.as_ref().map_err(|error| format!("it is to be written: {error}"))?;
        if repeated {
            return self.repeated(claim, commit, committed);
        }
        self.write(commit, follow_up, committed)?;
        ensure!(committed.head.0 == self.log.len() as u64, "the head is {}, not {}", self.log.len(), committed.head);
        self.settle(commit.then, terms, &committed.next)
    }

    fn repeated(&self, claim: &Claim, commit: &Commit, committed: &Committed) -> Result<(), String> {
        ensure!(committed.head.0 == self.log.len() as u64, "a repeat moves the head to {}", committed.head);
        let as_expected = match (&committed.next, &self.driver) {
            (Next::Held, Some(_)) => commit.then == Then::Hold,
            (Next::Waiting { claim: next, inbox }, Some(driver)) => {
                let positions: Vec<Position> = inbox.iter().map(|message| message.position).collect();
                next.run == driver.run && next.run != claim.run && positions == self.waiting_positions()
            }
            (Next::Released { ring }, None) => *ring == (self.parked_until.is_none() && self.waiting().next().is_some()),
            (Next::Released { .. }, Some(_)) | (Next::Held | Next::Waiting { .. }, None) => false,
        };
        ensure!(as_expected, "a repeat told {:?}, but {:?} drives", committed.next, self.driver);
        Ok(())
    }

    fn write(&mut self, commit: &Commit, follow_up: Option<(RunId, String)>, committed: &Committed) -> Result<(), String> {
        self.log.extend(commit.events.iter().cloned());
        self.last_commit = Some(commit.commit_id.clone());
        self.saved = match &commit.run {
            RunState::Put(run) => Some(run.clone()),
            RunState::Clear => None,
        };
        let answer = Progress::Answered { first: Seq(self.began + 1), last: Seq(self.log.len() as u64) };
        for answered in &commit.answered {
            self.messages.iter_mut().filter(|known| known.position == answered.position).for_each(|known| known.progress = answer);
        }
        if let (Some(message), Some((run, text))) = (&commit.follow_up, follow_up) {
            let position = match &committed.next {
                Next::Waiting { inbox, .. } => inbox.last().map_or(self.last, |message| message.position),
                Next::Held | Next::Released { .. } => Position(self.last.0 + 1),
            };
            ensure!(position > self.last, "the follow-up stands at {position:?}, not after {:?}", self.last);
            self.last = position;
            let (sender, id) = (message.sender.clone(), message.message_id.clone());
            self.messages.push(Known { sender, id, text, position, run, progress: Progress::Pending });
        }
        Ok(())
    }

    fn settle(&mut self, then: Then, terms: &CommitTerms, next: &Next) -> Result<(), String> {
        let first = self.waiting().next().map(|message| message.run.clone());
        match then {
            Then::Hold => {
                ensure!(*next == Next::Held, "the run goes on: {next:?}");
                if let Some(driver) = &mut self.driver {
                    driver.until = terms.lease_until;
                }
            }
            Then::Park(until) => {
                ensure!(*next == Next::Released { ring: false }, "it is parked: {next:?}");
                (self.driver, self.parked_until) = (None, Some(until));
            }
            Then::Finish => {
                self.began = self.log.len() as u64;
                match (first, next) {
                    (Some(run), Next::Waiting { claim, inbox }) if terms.go_on => {
                        let positions: Vec<Position> = inbox.iter().map(|message| message.position).collect();
                        ensure!(positions == self.waiting_positions(), "{positions:?} wait");
                        ensure!(claim.run == run && claim.takeovers == 0, "the next run is {run}, not {claim:?}");
                        self.takeovers = 0;
                        if let Some(driver) = &mut self.driver {
                            (driver.run, driver.until) = (run, terms.lease_until);
                        }
                    }
                    (first, Next::Released { ring }) if first.is_none() || !terms.go_on => {
                        ensure!(*ring == first.is_some(), "{first:?} waits, ring: {ring}");
                        self.driver = None;
                    }
                    (first, next) => return Err(format!("{first:?} waits, go on: {}, and yet {next:?}", terms.go_on)),
                }
            }
        }
        Ok(())
    }
}
