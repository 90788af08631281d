//! How much anybody may have, as the variables `COTA_LIMIT_*` say.

use std::sync::{Arc, OnceLock};

use worker::Env;

use cota_gateway::limits::{Limiter, Limits, WrongLimit};

use crate::ledger::RemoteLedger;
use crate::platform::PlatformClock;
use crate::settings::setting;

/// The limits of the deployment, read once.
pub(crate) fn limits(env: &Env) -> Result<Limits, WrongLimit> {
    static LIMITS: OnceLock<Limits> = OnceLock::new();
    if let Some(limits) = LIMITS.get() {
        return Ok(*limits);
    }
    let limits = Limits::of_variables(|name| setting(env, name))?;
    Ok(*LIMITS.get_or_init(|| limits))
}

/// What keeps to them. Where nothing is limited, nothing is counted.
pub(crate) fn limiter(env: &Env) -> worker::Result<Arc<Limiter>> {
    let limits = limits(env).map_err(|wrong| worker::Error::RustError(wrong.to_string()))?;
    if limits == Limits::default() {
        return Ok(Limiter::none());
    }
    let ledger = Arc::new(RemoteLedger::of(env)?);
    Ok(Limiter::over(limits, Arc::clone(&ledger) as _, ledger, Arc::new(PlatformClock)))
}
