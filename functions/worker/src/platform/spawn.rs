use futures_util::future::BoxFuture;
use worker::wasm_bindgen_futures::spawn_local;

use cota_driver::ports::Spawn;

/// Runs futures beside the event that asked for them. An object lives on while one of them waits for something; where it ends
/// all the same, its alarm takes up what was left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformSpawn;

impl Spawn for PlatformSpawn {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        spawn_local(future);
    }
}
