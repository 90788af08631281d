//! How many calls an endpoint gets at one time and in one minute, in one process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cota_core::bot::{Bot, Llm};
use cota_core::ids::Timestamp;
use cota_core::machine::{EffectError, FailureKind};
use cota_driver::ports::Clock;
use futures_channel::oneshot;

const MINUTE_MS: u64 = 60_000;

/// Every endpoint's gate.
#[derive(Default)]
pub(crate) struct Gates {
    gates: Mutex<HashMap<EndpointKey, Arc<Gate>>>,
}

/// What makes two entries of two versions of a bot the same endpoint.
#[derive(PartialEq, Eq, Hash)]
struct EndpointKey {
    bot: String,
    llm: String,
    apibase: String,
    model: String,
    max_concurrent: Option<u32>,
    rate_limit: Option<u32>,
}

impl Gates {
    /// The gate of one endpoint, the same for every call.
    pub(crate) fn of(&self, bot: &Bot, llm: &Llm) -> Arc<Gate> {
        // Without a limit there is nothing to share, and most endpoints have none.
        if llm.max_concurrent.is_none() && llm.rate_limit.is_none() {
            return Arc::new(Gate::new(None, None));
        }
        let key = EndpointKey {
            bot: bot.name().to_owned(),
            llm: llm.name.clone(),
            apibase: llm.apibase.clone(),
            model: llm.model.clone(),
            max_concurrent: llm.max_concurrent,
            rate_limit: llm.rate_limit,
        };
        Arc::clone(lock(&self.gates).entry(key).or_insert_with(|| Arc::new(Gate::new(llm.max_concurrent, llm.rate_limit))))
    }
}

/// Lets calls through one endpoint's two limits, in the order of their coming.
pub(crate) struct Gate {
    places: Option<Arc<Places>>,
    minute: Option<Mutex<Minute>>,
}

/// A call's leave to run; dropping it makes room for another.
#[must_use]
pub(crate) struct Pass {
    _place: Option<Place>,
}

impl Gate {
    fn new(max_concurrent: Option<u32>, rate_limit: Option<u32>) -> Self {
        Self {
            places: max_concurrent.map(|most| Arc::new(Places::new(most.max(1)))),
            minute: rate_limit.map(|most| Mutex::new(Minute::new(most.max(1)))),
        }
    }

    /// Waits until a call may run.
    ///
    /// # Errors
    /// `RateLimited`, at once, where the minute's calls are spent for longer than until `deadline`.
    pub(crate) async fn enter(&self, clock: &dyn Clock, deadline: Timestamp) -> Result<Pass, EffectError> {
        let place = match &self.places {
            Some(places) => Some(Places::take(places).await),
            None => None,
        };
        if let Some(minute) = &self.minute {
            let now = clock.now();
            let booked = lock(minute).book(now, deadline).map_err(|at| EffectError {
                kind: FailureKind::RateLimited,
                message: "the LLM's `rate_limit` is used up for now".to_owned(),
                retry_after_ms: Some(at.since(now)),
            })?;
            if booked > now {
                let unused = Booking { minute, at: booked };
                clock.sleep_until(booked).await;
                unused.keep();
            }
        }
        Ok(Pass { _place: place })
    }
}

/// The calls of the last minute, and those booked ahead: an exact count, so that a burst is let through whole and yet no
/// minute, wherever it begins, holds more than its share.
struct Minute {
    most: usize,
    calls: VecDeque<Timestamp>,
}

impl Minute {
    fn new(most: u32) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), calls: VecDeque::new() }
    }

    /// Books the earliest time for one more call; an error, with that time, where it is not before `deadline`.
    fn book(&mut self, now: Timestamp, deadline: Timestamp) -> Result<Timestamp, Timestamp> {
        while self.calls.front().is_some_and(|call| call.plus_ms(MINUTE_MS) <= now) {
            self.calls.pop_front();
        }
        let blocking = self.calls.len().checked_sub(self.most).and_then(|place| self.calls.get(place));
        let earliest = blocking.map_or(now, |call| call.plus_ms(MINUTE_MS));
        let at = earliest.max(self.calls.back().copied().unwrap_or(now)).max(now);
        if at > now && at >= deadline {
            return Err(at);
        }
        self.calls.push_back(at);
        Ok(at)
    }

    fn give_back(&mut self, at: Timestamp) {
        if let Some(place) = self.calls.iter().rposition(|call| *call == at) {
            self.calls.remove(place);
        }
    }
}

/// A booked time, given back where its call is dropped before it comes.
struct Booking<'a> {
    minute: &'a Mutex<Minute>,
    at: Timestamp,
}

impl Booking<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Booking<'_> {
    fn drop(&mut self) {
        lock(self.minute).give_back(self.at);
    }
}

/// Places for calls that run at one time. A free place goes to the call that has waited longest: no newcomer overtakes it.
struct Places {
    queue: Mutex<Queue>,
}

struct Queue {
    free: u32,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

struct Place {
    /// Absent once the place went to somebody else.
    of: Option<Arc<Places>>,
}

impl Places {
    fn new(most: u32) -> Self {
        Self { queue: Mutex::new(Queue { free: most, waiting: VecDeque::new() }) }
    }

    async fn take(places: &Arc<Self>) -> Place {
        let turn = {
            let mut queue = lock(&places.queue);
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Place { of: Some(Arc::clone(places)) };
            }
            let (give, turn) = oneshot::channel();
            queue.waiting.push_back(give);
            turn
        };
        // The sender lives in the queue, which `places` holds, until it sends.
        turn.await.unwrap_or(Place { of: None })
    }

    fn release(places: &Arc<Self>) {
        loop {
            let next = {
                let mut queue = lock(&places.queue);
                match queue.waiting.pop_front() {
                    Some(next) => next,
                    None => {
                        queue.free = queue.free.saturating_add(1);
                        return;
                    }
                }
            };
            match next.send(Place { of: Some(Arc::clone(places)) }) {
                Ok(()) => return,
                // It was dropped while it waited: its place goes on to the next.
                Err(mut place) => place.of = None,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.of.take() {
            Places::release(&places);
        }
    }
}

/// No code panics while it holds one of these locks, and a count that is off by one is better than an endpoint lost.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use proptest::prelude::*;

    use super::*;

    const NEVER: Timestamp = Timestamp(u64::MAX);

    /// A clock that stands still at its time and wakes nobody.
    struct Stopped(u64);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp(self.0)
        }
        fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
            if at.0 <= self.0 { futures_util::future::ready(()).boxed() } else { futures_util::future::pending().boxed() }
        }
    }

    #[test]
    fn places_go_to_the_longest_waiting_that_is_still_there() {
        let gate = Gate::new(Some(1), None);
        let clock = Stopped(0);
        let first = gate.enter(&clock, NEVER).now_or_never().unwrap().unwrap();
        let mut second = Box::pin(gate.enter(&clock, NEVER));
        let mut third = Box::pin(gate.enter(&clock, NEVER));
        let mut fourth = Box::pin(gate.enter(&clock, NEVER));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        let mut newcomer = Box::pin(gate.enter(&clock, NEVER));
        assert!(newcomer.as_mut().now_or_never().is_none());
        assert!(fourth.as_mut().now_or_never().is_none());
        let third = third.now_or_never().unwrap().unwrap();
        drop(third);
        // The place is on its way to the fourth, which never takes it.
        drop(fourth);
        assert!(newcomer.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn calls_over_the_minutes_share_wait_or_are_told_when_to_come_back() {
        let gate = Gate::new(None, Some(2));
        let enter = |now, deadline| gate.enter(&Stopped(now), Timestamp(deadline)).now_or_never();
        assert!(enter(1_000, 5_000).unwrap().is_ok());
        assert!(enter(3_000, 5_000).unwrap().is_ok());
        let refused = enter(4_000, 61_000).unwrap().err().unwrap();
        assert_eq!((refused.kind, refused.retry_after_ms), (FailureKind::RateLimited, Some(57_000)));
        // It waits, is dropped, and its booking with it.
        assert!(enter(4_000, 62_000).is_none());
        assert!(enter(61_000, 62_000).unwrap().is_ok());
        assert!(enter(61_000, 62_000).unwrap().is_err());
    }

    #[test]
    fn a_booking_that_came_true_is_not_given_back() {
        let minute = Mutex::new(Minute::new(1));
        let at = lock(&minute).book(Timestamp(0), NEVER).unwrap();
        Booking { minute: &minute, at }.keep();
        assert_eq!(lock(&minute).book(Timestamp(1), NEVER), Ok(Timestamp(60_000)));
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_its_share(most in 1_u32..6, steps in prop::collection::vec((0_u64..40_000, any::<bool>()), 1..60)) {
            let mut minute = Minute::new(most);
            let mut now = 0;
            let mut made = Vec::new();
            for (step, dropped) in steps {
                now += step;
                let at = minute.book(Timestamp(now), NEVER).unwrap();
                if dropped && at.0 > now { minute.give_back(at) } else { made.push(at.0) }
            }
            made.sort_unstable();
            for (place, first) in made.iter().enumerate() {
                let held = made[place..].iter().take_while(|call| **call < first + MINUTE_MS).count();
                prop_assert!(held <= most as usize, "{held} calls from {first} on: {made:?}");
            }
        }
    }
}
