use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;
use futures_util::future::BoxFuture;

/// The system's time as it was at the start, and the monotonic clock from then on: it never goes back.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    began: Timestamp,
    since: Instant,
}

impl TokioClock {
    /// A clock that is set now.
    #[must_use]
    pub fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Timestamp(whole_ms(unix)), since: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.began.plus_ms(whole_ms(self.since.elapsed()))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let pause = Duration::from_millis(at.since(self.now()));
        Box::pin(tokio::time::sleep(pause))
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
