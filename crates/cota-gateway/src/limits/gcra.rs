//! The generic cell rate algorithm: so much a minute, and so much at once.
//!
//! Its state is one point in time, at which all that was taken is paid for. So it is small, means the same to every process, and
//! forgets itself: a state that has passed is the same as none.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use cota_core::ids::Timestamp;
use cota_driver::ledger::Record;

const MINUTE_NS: u64 = 60_000_000_000;
const MS_NS: u64 = 1_000_000;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    per_minute: NonZeroU32,
    burst: NonZeroU32,
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number a minute, such as 600, or 600:200 for at most 200 at once")]
pub struct NoRate;

/// When all that was taken is paid for, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PaidAt(u64);

/// There is not enough; there will be in so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait(pub u64);

impl Rate {
    /// So much in each minute, and at most `burst` at once after a pause.
    #[must_use]
    pub const fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_minute, burst }
    }

    /// How much in each minute.
    #[must_use]
    pub fn per_minute(self) -> u32 {
        self.per_minute.get()
    }

    /// The state after so much is taken, if there is so much.
    pub(super) fn take(self, paid_at: PaidAt, count: u32, now: Timestamp) -> Result<PaidAt, Wait> {
        let next = self.charge(paid_at, count.into(), now);
        let latest = ns(now).saturating_add(self.cost(self.burst.get().into()));
        if next.0 <= latest { Ok(next) } else { Err(Wait((next.0 - latest).div_ceil(MS_NS))) }
    }

    /// The state after so much was used, whether there was so much or not.
    pub(super) fn charge(self, paid_at: PaidAt, count: u64, now: Timestamp) -> PaidAt {
        PaidAt(paid_at.0.max(ns(now)).saturating_add(self.cost(count)))
    }

    /// How long it takes until so much is paid for. Rounded up, so that a rate is never exceeded.
    fn cost(self, count: u64) -> u64 {
        MINUTE_NS.div_ceil(self.per_minute.get().into()).saturating_mul(count)
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let (per_minute, burst) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.parse::<NonZeroU32>().map_err(|_| NoRate);
        Ok(Self::new(number(per_minute)?, number(burst)?))
    }
}

impl PaidAt {
    /// From when on it is the same as none.
    pub(super) fn passes_at(self) -> Timestamp {
        Timestamp(self.0.div_ceil(MS_NS))
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// What a ledger keeps of it: it ends by itself.
    pub(super) fn record(self) -> Record {
        Record { value: self.to_bytes(), expires_at: Some(self.passes_at()) }
    }

    /// The state that these bytes are; none if they are no state.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        bytes.try_into().map(|bytes| Self(u64::from_be_bytes(bytes))).unwrap_or_default()
    }
}

fn ns(at: Timestamp) -> u64 {
    at.0.saturating_mul(MS_NS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_minute: u32, burst: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_minute).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn so_much_at_once_and_then_so_much_a_minute() {
        let sixty = rate(60, 3);
        let mut paid_at = PaidAt::default();
        for (at, count, expected) in [
            (10_000, 1, Ok(())),
            (10_000, 1, Ok(())),
            (10_000, 1, Ok(())),
            (10_000, 1, Err(Wait(1_000))),
            (10_400, 1, Err(Wait(600))),
            (11_000, 1, Ok(())),
            (11_000, 1, Err(Wait(1_000))),
            (20_000, 3, Ok(())),
            (20_000, 1, Err(Wait(1_000))),
            (90_000, 4, Err(Wait(1_000))),
            (90_000, 2, Ok(())),
            (80_000, 1, Err(Wait(10_000))),
            (90_000, 1, Ok(())),
        ] {
            let taken = sixty.take(paid_at, count, Timestamp(at));
            assert_eq!(taken.map(drop), expected, "{count} at {at}");
            paid_at = taken.unwrap_or(paid_at);
        }
    }

    #[test]
    fn what_was_used_has_to_be_paid_for_first() {
        let sixty = rate(60, 10);
        let paid_at = sixty.charge(PaidAt::default(), 100, Timestamp(0));
        assert_eq!(sixty.take(paid_at, 1, Timestamp(0)), Err(Wait(91_000)));
        assert!(sixty.take(paid_at, 1, Timestamp(91_000)).is_ok());
        assert_eq!(paid_at.passes_at(), Timestamp(100_000));
    }

    #[test]
    fn a_state_is_its_bytes() {
        assert_eq!(PaidAt::from_bytes(&PaidAt(7).to_bytes()), PaidAt(7));
        assert_eq!(PaidAt::from_bytes(b"other"), PaidAt::default());
    }

    #[test]
    fn nothing_overflows() {
        let most = rate(1, u32::MAX);
        assert!(most.take(PaidAt(u64::MAX), u32::MAX, Timestamp(u64::MAX)).is_ok());
        assert!(most.charge(PaidAt(u64::MAX), u64::MAX, Timestamp(0)).passes_at().0 > 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_in_any_stretch_of_time(
            per_minute in 1_u32..200_000,
            burst in 1_u32..500,
            asked in prop::collection::vec((0_u64..3_000, 1_u32..20), 1..200),
        ) {
            let rate = rate(per_minute, burst);
            let (mut paid_at, mut now, mut taken) = (PaidAt::default(), 1_000_000_u64, Vec::new());
            for (pause, count) in asked {
                now += pause;
                if let Ok(next) = rate.take(paid_at, count, Timestamp(now)) {
                    taken.push((now, u64::from(count)));
                    paid_at = next;
                }
            }
            for (begin, &(from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for &(to, count) in &taken[begin..] {
                    sum += count;
                    prop_assert!(sum * 60_000 <= u64::from(burst) * 60_000 + u64::from(per_minute) * (to - from));
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_gets_it_and_not_earlier(
            per_minute in 1_u32..200_000,
            burst in 1_u32..500,
            used in 0_u64..1_000,
            count in 1_u32..500,
        ) {
            prop_assume!(count <= burst);
            let rate = rate(per_minute, burst);
            let now = Timestamp(1_000_000);
            let paid_at = rate.charge(PaidAt::default(), used, now);
            if let Err(Wait(ms)) = rate.take(paid_at, count, now) {
                prop_assert!(rate.take(paid_at, count, now.plus_ms(ms)).is_ok());
                prop_assert!(rate.take(paid_at, count, now.plus_ms(ms - 1)).is_err());
            }
        }
    }
}
