//! What turns ask for, over the platform's fetch.

use std::sync::{Arc, LazyLock};

use worker::Env;

use cota_driver::ports::Effects;
use cota_effects::StandardEffects;
use cota_gateway::limits::Metered;

use crate::limits::limiter;
use crate::platform::{PlatformClock, PlatformHttp};

/// The effects of one object or one request. Only what needs no waiting is shared: on this platform an event may not wake another
/// one's futures.
pub(crate) fn effects(env: &Env) -> worker::Result<Arc<dyn Effects>> {
    static MODELS: LazyLock<StandardEffects> = LazyLock::new(new);
    Ok(Metered::over(Arc::new(new().sharing_models(&MODELS)), &limiter(env)?))
}

fn new() -> StandardEffects {
    StandardEffects::new(Arc::new(PlatformHttp), Arc::new(PlatformClock))
}
