//! How much anybody may have: what the settings say, and what holds where they say nothing.

use std::num::NonZeroU32;
use std::str::FromStr;

use cota_gateway::limits::{Allowance, Limits, Rate};
use http::HeaderName;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Requests a minute, and at once, of one identity.
const IDENTITY_REQUESTS: Option<Rate> = rate(600, 200);
/// Connections of one identity.
const IDENTITY_CONNECTIONS: Option<u32> = Some(64);
/// Requests a minute, and at once, from one address.
const ADDRESS_REQUESTS: Option<Rate> = rate(6_000, 2_000);
/// Connections from one address.
const ADDRESS_CONNECTIONS: Option<u32> = Some(1_000);
/// How long a socket may be open on which nothing is said, in seconds.
const IDLE_SECONDS: Option<u32> = Some(3_600);
/// No limit.
const OFF: &str = "off";

/// What the settings say of limits; `None` where they say nothing.
pub(crate) struct LimitSettings {
    identity: Settings,
    address: Settings,
    idle_seconds: Option<Setting<u32>>,
    /// The header in which a proxy says from where a request comes.
    pub(crate) address_header: Option<HeaderName>,
}

struct Settings {
    requests: Option<Setting<Rate>>,
    tokens: Option<Setting<Rate>>,
    connections: Option<Setting<u32>>,
}

/// A limit, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting<T>(Option<T>);

impl LimitSettings {
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let rate = |name| arguments.parsed(name, "a number a minute, such as 600, or 600:200 for at most 200 at once, or off");
        let count = |name| arguments.parsed(name, "a whole number from 1 on, or off");
        let header = arguments.parsed("address-header", "a header's name, such as X-Forwarded-For")?;
        Ok(Self {
            identity: Settings {
                requests: rate("limit-requests")?,
                tokens: rate("limit-tokens")?,
                connections: count("limit-connections")?,
            },
            address: Settings {
                requests: rate("limit-address-requests")?,
                tokens: rate("limit-address-tokens")?,
                connections: count("limit-address-connections")?,
            },
            idle_seconds: count("idle-timeout")?,
            address_header: header,
        })
    }

    /// The limits of a server. `is_private` tells that only this machine can reach it: then nothing is held against an address.
    pub(crate) fn limits(&self, is_private: bool) -> Limits {
        Limits {
            identity: self.identity.or(IDENTITY_REQUESTS, IDENTITY_CONNECTIONS),
            address: self.address.or(ADDRESS_REQUESTS.filter(|_| !is_private), ADDRESS_CONNECTIONS.filter(|_| !is_private)),
            idle_ms: limit(self.idle_seconds, IDLE_SECONDS.filter(|_| !is_private)).map(|seconds| u64::from(seconds) * 1_000),
        }
    }
}

impl Settings {
    /// What is set, else these.
    fn or(&self, requests: Option<Rate>, connections: Option<u32>) -> Allowance {
        Allowance {
            requests: limit(self.requests, requests),
            tokens: limit(self.tokens, None),
            connections: limit(self.connections, connections),
        }
    }
}

fn limit<T>(set: Option<Setting<T>>, default: Option<T>) -> Option<T> {
    set.map_or(default, |Setting(limit)| limit)
}

/// So many a minute, and at most so many at once.
const fn rate(per_minute: u32, burst: u32) -> Option<Rate> {
    match (NonZeroU32::new(per_minute), NonZeroU32::new(burst)) {
        (Some(per_minute), Some(burst)) => Some(Rate::new(per_minute, burst)),
        (None, _) | (_, None) => None,
    }
}

/// A text that is no limit.
#[derive(Debug, PartialEq, Eq)]
struct NoLimit;

impl FromStr for Setting<u32> {
    type Err = NoLimit;

    fn from_str(text: &str) -> Result<Self, NoLimit> {
        if text == OFF {
            return Ok(Self(None));
        }
        let count: NonZeroU32 = text.parse().map_err(|_| NoLimit)?;
        Ok(Self(Some(count.get())))
    }
}

impl FromStr for Setting<Rate> {
    type Err = NoLimit;

    fn from_str(text: &str) -> Result<Self, NoLimit> {
        if text == OFF {
            return Ok(Self(None));
        }
        text.parse().map(|rate| Self(Some(rate))).map_err(|_| NoLimit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_minute_and_how_many_at_once() {
        for (text, expected) in [
            ("off", Ok(Setting(None))),
            ("60", Ok(Setting(rate(60, 60)))),
            ("60:10", Ok(Setting(rate(60, 10)))),
            ("0", Err(NoLimit)),
            ("60:", Err(NoLimit)),
            ("60:0", Err(NoLimit)),
            ("-1", Err(NoLimit)),
            ("fast", Err(NoLimit)),
        ] {
            assert_eq!(text.parse::<Setting<Rate>>(), expected, "{text}");
        }
        assert_eq!("7".parse(), Ok(Setting(Some(7))));
        assert_eq!("0".parse::<Setting<u32>>(), Err(NoLimit));
    }

    #[test]
    fn a_server_that_only_this_machine_reaches_holds_nothing_against_its_address() {
        let none = || Settings { requests: None, tokens: None, connections: None };
        let settings = LimitSettings { identity: none(), address: none(), idle_seconds: None, address_header: None };
        let (private, open) = (settings.limits(true), settings.limits(false));
        assert_eq!((private.address, private.idle_ms), (Allowance::default(), None));
        assert_eq!(private.identity, open.identity);
        assert_eq!((open.address.connections, open.idle_ms), (ADDRESS_CONNECTIONS, Some(3_600_000)));
        let set = Settings { requests: Some(Setting(rate(5, 5))), tokens: None, connections: Some(Setting(None)) };
        let set = LimitSettings { identity: none(), address: set, idle_seconds: Some(Setting(None)), address_header: None };
        assert_eq!((set.limits(true).address.requests, set.limits(false).address.connections), (rate(5, 5), None));
        assert_eq!(set.limits(false).idle_ms, None);
    }
}
