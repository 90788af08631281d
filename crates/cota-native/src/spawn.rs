use cota_driver::ports::Spawn;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// Runs futures as tasks of a tokio runtime.
#[derive(Clone, Debug)]
pub struct TokioSpawn(Handle);

impl TokioSpawn {
    /// On the runtime of `handle`.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Spawn for TokioSpawn {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.0.spawn(future);
    }
}
