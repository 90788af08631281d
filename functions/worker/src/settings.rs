//! What a deployment decides: variables and secrets of wrangler.toml.

use std::sync::{Mutex, PoisonError};

use worker::Env;

use crate::limits::limits;

/// How long a conversation is kept that nobody touches, where nobody says.
const RETENTION_DAYS: u64 = 30;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Effects that one event may perform where nobody says: most of the 50 requests to others that the free plan allows it.
const EFFECTS: u32 = 45;
/// The same where tokens are counted: that is one more request for each.
const COUNTED_EFFECTS: u32 = 22;
/// The same where they are counted for identities and for addresses.
const TWICE_COUNTED_EFFECTS: u32 = 15;

/// A variable or a secret, if it is set to something. The isolate asks the platform once for each: another value is another version
/// of the Worker.
pub(crate) fn setting(env: &Env, name: &str) -> Option<String> {
    static KNOWN: Mutex<Vec<(String, Option<String>)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, value)) = known.iter().find(|(other, _)| other == name) {
        return value.clone();
    }
    let value = env.var(name).ok().map(|value| value.to_string()).filter(|value| !value.is_empty());
    known.push((name.to_owned(), value.clone()));
    value
}

/// How long a conversation is kept that nobody touches: `COTA_RETENTION_DAYS`, 0 for ever.
pub(crate) fn keep_ms(env: &Env) -> Option<u64> {
    let days = setting(env, "COTA_RETENTION_DAYS").and_then(|days| {
        days.parse().inspect_err(|_| tracing::warn!("COTA_RETENTION_DAYS is not a number of days; {RETENTION_DAYS} holds")).ok()
    });
    Some(days.unwrap_or(RETENTION_DAYS)).filter(|days| *days > 0).map(|days| days.saturating_mul(DAY_MS))
}

/// How many effects one event may perform: `COTA_MOST_EFFECTS`. A turn that needs more is parked, and goes on in another event.
pub(crate) fn most_effects(env: &Env) -> u32 {
    let counts = limits(env).map_or(0, |limits| [limits.identity.tokens, limits.address.tokens].iter().flatten().count());
    let default = match counts {
        0 => EFFECTS,
        1 => COUNTED_EFFECTS,
        _ => TWICE_COUNTED_EFFECTS,
    };
    let most = setting(env, "COTA_MOST_EFFECTS").and_then(|most| {
        let read = most.parse().ok().filter(|most| *most > 0);
        read.or_else(|| {
            tracing::warn!("COTA_MOST_EFFECTS is not a number of effects; {default} holds");
            None
        })
    });
    most.unwrap_or(default)
}
