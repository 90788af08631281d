use std::sync::Weak;

use worker::wasm_bindgen_futures::spawn_local;

use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::host::Host;
use cota_driver::ports::{Clock as _, Doorbell};

use crate::platform::PlatformClock;

/// Rings at once for what can be done at once. For everything later the store has set the object's alarm, in the same write
/// that made it necessary.
pub(super) struct AlarmDoorbell {
    host: Weak<Host>,
}

impl AlarmDoorbell {
    pub(super) fn new(host: Weak<Host>) -> Self {
        Self { host }
    }
}

impl Doorbell for AlarmDoorbell {
    fn ring(&self, key: &ConversationKey, at: Timestamp) {
        if at > PlatformClock.now() {
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
}
