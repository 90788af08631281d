use std::sync::{Arc, Weak};

use worker::wasm_bindgen_futures::spawn_local;

use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::host::Host;
use cota_driver::ports::{Clock as _, Doorbell};

use crate::platform::PlatformClock;
use crate::store::ObjectStore;

/// Rings at once for what can be done at once. For everything later the store has set the object's alarm, in the same write
/// that made it necessary.
pub(super) struct AlarmDoorbell {
    host: Weak<Host>,
    store: Arc<ObjectStore>,
    /// How many effects one event may perform.
    most_effects: u32,
}

impl AlarmDoorbell {
    pub(super) fn new(host: Weak<Host>, store: Arc<ObjectStore>, most_effects: u32) -> Self {
        Self { host, store, most_effects }
    }
}

impl Doorbell for AlarmDoorbell {
    fn ring(&self, key: &ConversationKey, at: Timestamp) {
        // A run that was parked goes on in an event of its own, which the alarm begins: only that may perform more.
        if at > PlatformClock.now() || self.store.is_parked() {
            return;
        }
        let (host, key) = (Weak::clone(&self.host), key.clone());
        spawn_local(async move {
            if let Some(host) = host.upgrade() {
                host.hear(&key).await;
            }
        });
    }

    fn watch(&self, _key: &ConversationKey, _lease_until: Timestamp) {}

    fn most_effects(&self) -> Option<u32> {
        Some(self.most_effects)
    }
}
