use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use worker::Delay;
use worker::js_sys::Date;
use worker::send::SendFuture;

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
