//! What turns ask for, over the platform's fetch.

use std::sync::{Arc, LazyLock};

use cota_effects::StandardEffects;

use crate::platform::{PlatformClock, PlatformHttp};

/// The effects of one object or one request. Only what needs no waiting is shared: on this platform an event may not wake another
/// one's futures.
pub(crate) fn effects() -> Arc<StandardEffects> {
    static MODELS: LazyLock<StandardEffects> = LazyLock::new(new);
    Arc::new(new().sharing_models(&MODELS))
}

fn new() -> StandardEffects {
    StandardEffects::new(Arc::new(PlatformHttp), Arc::new(PlatformClock))
}
