//! Telling everybody that the server ends, and waiting until everybody is gone.

use std::sync::Arc;

use tokio::sync::watch;

/// The server's end of it.
#[derive(Clone)]
pub(super) struct Closer(Arc<watch::Sender<bool>>);

/// What each connection and each socket holds while it lives.
pub(super) struct Closing(watch::Receiver<bool>);

impl Closer {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(super) fn subscribe(&self) -> Closing {
        Closing(self.0.subscribe())
    }

    /// Tells everybody, and waits until nobody is left.
    pub(super) async fn close(&self) {
        self.0.send_replace(true);
        self.0.closed().await;
    }
}

impl Closing {
    /// Ends when it is time to close.
    pub(super) async fn begins(&mut self) {
        // Without a server it is time as well.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}
