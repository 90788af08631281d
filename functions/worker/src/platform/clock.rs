use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, AbortHandle, BoxFuture, abortable};
use worker::Delay;
use worker::js_sys::Date;
use worker::send::SendFuture;
use worker::wasm_bindgen_futures::spawn_local;

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;

/// The longest that the platform's timers wait; who needs longer asks again.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// The platform's clock. While nothing comes in or goes out it stands still.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformClock;

impl Clock for PlatformClock {
    fn now(&self) -> Timestamp {
        // Whole milliseconds since 1970, never negative.
        Timestamp(Date::now() as u64)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        match at.since(self.now()) {
            0 => future::ready(()).boxed(),
            ms => SendFuture::new(Delay::from(Duration::from_millis(ms.min(LONGEST_MS)))).boxed(),
        }
    }
}

/// The clock of an object's turns and of those who wait for them. They share one timer of the platform, since setting one and taking
/// it back costs a turn about a fiftieth of its processor time. It is set for the first to be woken, and taken back when nobody
/// sleeps any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectClock(Arc<Mutex<Sleepers>>);

#[derive(Debug, Default)]
struct Sleepers {
    /// Who sleeps, and until when.
    asleep: Vec<(Sleeper, Timestamp, Option<Waker>)>,
    last: Sleeper,
    timer: Option<(Timestamp, AbortHandle)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sleeper(u64);

/// Somebody's sleep. Dropping it ends it.
struct Sleep {
    clock: ObjectClock,
    sleeper: Sleeper,
}

impl Clock for ObjectClock {
    fn now(&self) -> Timestamp {
        PlatformClock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        if at <= self.now() {
            return future::ready(()).boxed();
        }
        let mut sleepers = self.sleepers();
        sleepers.last.0 += 1;
        let sleeper = sleepers.last;
        sleepers.asleep.push((sleeper, at, None));
        self.set_timer(&mut sleepers);
        Sleep { clock: self.clone(), sleeper }.boxed()
    }
}

impl ObjectClock {
    /// Sets the timer for the first who is to be woken, unless it rings before.
    fn set_timer(&self, sleepers: &mut Sleepers) {
        let Some(at) = sleepers.asleep.iter().map(|(_, at, _)| *at).min() else { return };
        match &sleepers.timer {
            Some((set, _)) if *set <= at => return,
            Some((_, timer)) => timer.abort(),
            None => {}
        }
        let clock = self.clone();
        let (ringing, timer) = abortable(async move {
            PlatformClock.sleep_until(at).await;
            clock.ring();
        });
        sleepers.timer = Some((at, timer));
        spawn_local(async move {
            // One that was taken back rings for nobody.
            let _ = ringing.await;
        });
    }

    /// Wakes those whose time has come.
    fn ring(&self) {
        let now = self.now();
        let mut sleepers = self.sleepers();
        sleepers.timer = None;
        for (_, _, waker) in sleepers.asleep.extract_if(.., |(_, at, _)| *at <= now) {
            waker.into_iter().for_each(Waker::wake);
        }
        self.set_timer(&mut sleepers);
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.clock.sleepers().asleep.iter_mut().find(|(sleeper, _, _)| *sleeper == self.sleeper) {
            Some((_, _, waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut sleepers = self.clock.sleepers();
        sleepers.asleep.retain(|(sleeper, _, _)| *sleeper != self.sleeper);
        if sleepers.asleep.is_empty()
            && let Some((_, timer)) = sleepers.timer.take()
        {
            timer.abort();
        }
    }
}
