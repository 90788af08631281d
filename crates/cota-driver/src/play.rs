//! Playing one turn: polling the machine, performing its steps, feeding back what comes of them.

use std::sync::Arc;

use futures_channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, select_biased};

use cota_core::bot::{Bot, OnBusy};
use cota_core::event::EventBody;
use cota_core::ids::{CommitId, ConversationKey, Timestamp};
use cota_core::limits;
use cota_core::machine::{CancelReason, CommitFailure, EffectError, EffectId, Input, Issued, Machine, ProtocolError, Step};
use cota_core::turn::{Commit, Effect, Outcome, Turn, TurnReport};

use crate::conversation::{DriveTerms, Driver, Outlet};
use crate::ports::{Job, Pieces, Work};
use crate::signals::Signals;
use crate::store::{Claim, CommitError, CommitTerms, Committed, Next, Renewed};

/// One turn and everything it is played with.
pub(crate) struct Play<'d> {
    pub(crate) driver: &'d Driver,
    pub(crate) key: &'d ConversationKey,
    pub(crate) bot: Arc<Bot>,
    pub(crate) claim: Claim,
    pub(crate) turn: Turn,
    pub(crate) outlet: &'d dyn Outlet,
    pub(crate) signals: &'d Signals,
    pub(crate) terms: DriveTerms,
    /// The turn has been told that a newer message takes its place.
    pub(crate) superseded: bool,
}

/// How a turn was left.
pub(crate) struct Played {
    pub(crate) report: TurnReport,
    pub(crate) turn: Turn,
    /// The last commit, and what became of the claim with it.
    pub(crate) last: Option<(CommitId, Next)>,
}

/// What the machine waits for.
enum Heard {
    /// A newer message takes the turn's place, or somebody asked to stop.
    Stopped(CancelReason),
    /// It is time for a tick or a renewal.
    Time,
    /// A streamed piece.
    Piece(Piece),
    /// An effect ended.
    Ended(EffectId, u16, Result<Outcome, EffectError>),
    /// An aborted effect is gone.
    Aborted,
    /// A commit was answered.
    Written(Box<Commit>, Result<Committed, CommitError>),
    /// A renewal was answered.
    Renewed(Result<Renewed, CommitError>),
}

type Piece = (EffectId, u16, String);

/// What runs beside the machine.
struct UnderWay<'d> {
    futures: FuturesUnordered<BoxFuture<'d, Heard>>,
    effects: Vec<(EffectId, AbortHandle)>,
    pieces_in: UnboundedSender<Piece>,
    pieces: UnboundedReceiver<Piece>,
    renew_at: Timestamp,
    /// The time that is waited for, kept from wait to wait: most of them are for the same.
    timer: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl<'d> Play<'d> {
    /// Plays the turn to its end, or to the point where somebody else goes on with it.
    ///
    /// # Errors
    /// If machine and driver disagree on the contract: a defect.
    pub(crate) async fn run(mut self) -> Result<Played, ProtocolError> {
        let (pieces_in, pieces) = mpsc::unbounded();
        let renew_at = self.now().plus_ms(limits::RENEW_MS);
        let mut under_way = UnderWay { futures: FuturesUnordered::new(), effects: Vec::new(), pieces_in, pieces, renew_at, timer: None };
        let mut last = None;
        // Before it does anything more: a run that was parked might park once more instead.
        if let Some(reason) = self.is_stopped().now_or_never() {
            self.stop(reason)?;
        }
        loop {
            let until = loop {
                match self.turn.poll(&self.bot, self.now())? {
                    Step::Perform(issued) => self.perform(issued, &mut under_way),
                    Step::Emit(fragment) => self.outlet.emit(self.key, fragment),
                    Step::Abort(id) => {
                        under_way.effects.iter().filter(|(running, _)| *running == id).for_each(|(_, handle)| handle.abort())
                    }
                    Step::Commit(commit) => under_way.futures.push(self.commit(commit)),
                    Step::Wait { until } => break until,
                    Step::Park { until } => self.driver.doorbell.ring(self.key, until),
                    Step::Done(report) => return Ok(Played { report, turn: self.turn, last }),
                }
            };
            match self.wait(until, &mut under_way).await {
                Heard::Stopped(reason) => self.stop(reason)?,
                Heard::Time => {
                    let now = self.now();
                    if now >= under_way.renew_at {
                        under_way.renew_at = now.plus_ms(limits::RENEW_MS);
                        under_way.futures.push(self.renew(now));
                    }
                    self.turn.handle(&self.bot, Input::Tick, now)?;
                }
                Heard::Piece((id, attempt, delta)) => self.turn.handle(&self.bot, Input::Delta { id, attempt, delta }, self.now())?,
                Heard::Ended(id, attempt, result) => {
                    under_way.effects.retain(|(running, _)| *running != id);
                    self.turn.handle(&self.bot, Input::Outcome { id, attempt, result }, self.now())?;
                }
                Heard::Aborted => {}
                Heard::Written(commit, Ok(committed)) => {
                    if let Next::Waiting { claim, .. } = &committed.next {
                        self.claim = claim.clone();
                    }
                    self.outlet.durable(self.key, &commit, committed.head);
                    self.tell_askers(&commit);
                    self.turn.handle(&self.bot, Input::Committed { head: committed.head }, self.now())?;
                    last = Some((commit.commit_id, committed.next));
                }
                Heard::Written(_, Err(error)) => {
                    tracing::debug!(%error, run = %self.turn.run(), "a commit failed");
                    self.turn.handle(&self.bot, Input::CommitFailed(CommitFailure::from(&error)), self.now())?;
                }
                Heard::Renewed(Ok(renewed)) => self.signals.nudge(renewed.last),
                Heard::Renewed(Err(CommitError::Fenced)) => return Ok(Played { report: TurnReport::Fenced, turn: self.turn, last: None }),
                Heard::Renewed(Err(CommitError::Unavailable(reason))) => tracing::warn!(%reason, "a lease could not be renewed"),
            }
        }
    }

    /// Waits for whatever comes first. Cancel and time come before pieces, and pieces before the outcome they belong to.
    async fn wait(&self, until: Option<Timestamp>, under_way: &mut UnderWay<'d>) -> Heard {
        let wake_at = until.map_or(under_way.renew_at, |until| until.min(under_way.renew_at));
        let timer = under_way.timer.take().filter(|(at, _)| *at == wake_at);
        let (_, time) = under_way.timer.insert(timer.unwrap_or_else(|| (wake_at, self.driver.clock.sleep_until(wake_at))));
        let mut stopped = std::pin::pin!(self.is_stopped().fuse());
        select_biased! {
            reason = stopped => Heard::Stopped(reason),
            () = time.fuse() => {
                under_way.timer = None;
                Heard::Time
            }
            piece = under_way.pieces.select_next_some() => Heard::Piece(piece),
            heard = under_way.futures.select_next_some() => heard,
        }
    }

    fn perform(&self, issued: Issued<Effect>, under_way: &mut UnderWay<'d>) {
        let Issued { id, attempt, deadline, effect } = issued;
        let work = match effect {
            Effect::CallLlm(call) => Work::Llm { call: Box::new(call), tracker: Arc::clone(self.turn.tracker()) },
            Effect::RunExecutor { action, slots, safety: _ } => Work::Executor { action, slots },
        };
        let key = format!("{}/{}", self.turn.run(), id.0);
        let job = Job { bot: Arc::clone(&self.bot), conversation: self.key.clone(), key, attempt, deadline, work };
        let pieces_in = under_way.pieces_in.clone();
        let pieces = Pieces::to(move |piece| {
            // The receiver is gone only when the turn is over.
            let _ = pieces_in.unbounded_send((id, attempt, piece));
        });
        let (handle, registration) = AbortHandle::new_pair();
        let effects = &self.driver.effects;
        let performed = async move { Heard::Ended(id, attempt, effects.perform(job, pieces).await) };
        let performed = Abortable::new(performed, registration).map(|ended| ended.unwrap_or(Heard::Aborted));
        under_way.effects.push((id, handle));
        under_way.futures.push(performed.boxed());
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'d, Heard> {
        let (driver, key, claim, drive) = (self.driver, self.key, self.claim.clone(), self.terms);
        // Its last message, where a newer one wakes it.
        let is_woken = self.bot.settings().on_busy == OnBusy::Latest;
        let heard = self.turn.input().last().filter(|_| is_woken).map(|own| own.position);
        async move {
            let now = driver.clock.now();
            let terms = CommitTerms { now, lease_until: now.plus_ms(limits::LEASE_MS), go_on: drive.goes_on(now), heard };
            let result = driver.store.commit(key, &claim, &commit, &terms).await;
            Heard::Written(Box::new(commit), result)
        }
        .boxed()
    }

    fn renew(&self, now: Timestamp) -> BoxFuture<'d, Heard> {
        let (driver, key, claim) = (self.driver, self.key, self.claim.clone());
        let lease_until = now.plus_ms(limits::LEASE_MS);
        driver.doorbell.watch(key, lease_until);
        async move { Heard::Renewed(driver.store.renew(key, &claim, lease_until).await) }.boxed()
    }

    /// Has those told who asked for what the turn has answered.
    fn tell_askers(&self, commit: &Commit) {
        let ends = commit.events.iter().filter_map(|event| match &event.body {
            EventBody::TurnEnd(end) => Some(end),
            EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
        });
        for end in ends {
            for message in self.turn.input().iter().filter(|message| end.message_ids.contains(&message.message_id)) {
                if let Some(asker) = &message.content.asked_by {
                    self.outlet.answered(asker, &message.message_id, end);
                }
            }
        }
    }

    fn stop(&mut self, reason: CancelReason) -> Result<(), ProtocolError> {
        self.superseded = true;
        self.turn.handle(&self.bot, Input::Cancel(reason), self.now())
    }

    /// Ends when a newer message is to take this turn's place or somebody asks to stop it, once.
    async fn is_stopped(&self) -> CancelReason {
        let newer = match self.turn.input().last() {
            Some(newest) if self.bot.settings().on_busy == OnBusy::Latest => self.signals.newer_than(newest.position).left_future(),
            Some(_) | None => futures_util::future::pending().right_future(),
        };
        if self.superseded {
            return futures_util::future::pending().await;
        }
        let (mut newer, mut cancelled) = (newer.fuse(), self.signals.cancelled(self.turn.input()).fuse());
        select_biased! {
            () = newer => CancelReason::Superseded,
            () = cancelled => CancelReason::Requested("its task no longer waits for it".to_owned()),
        }
    }

    fn now(&self) -> Timestamp {
        self.driver.clock.now()
    }
}
