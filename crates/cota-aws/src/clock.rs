use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;

/// The system's time, which never goes back here. A monotonic clock would not do: it may stand still while an environment is
/// frozen, and leases are compared with the clocks of others.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    latest: AtomicU64,
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let pause = Duration::from_millis(at.since(self.now()));
        Box::pin(tokio::time::sleep(pause))
    }
}
