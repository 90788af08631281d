//! Telling everybody that the server ends, and waiting until everybody is gone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use tokio::sync::watch;
use tokio::time::sleep;

/// How long an event stream may still say what it has to when the server ends: all turns have ended by then.
const LAST_WORDS: Duration = Duration::from_millis(250);

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

/// The answer; one that is an event stream ends with the server, whatever it would still wait for.
pub(super) fn ending_with(closer: &Closer, answer: Response) -> Response {
    if !answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return answer;
    }
    let mut closing = closer.subscribe();
    let end = async move {
        closing.begins().await;
        sleep(LAST_WORDS).await;
    };
    answer.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(end))))
}

impl Closing {
    /// Ends when it is time to close.
    pub(super) async fn begins(&mut self) {
        // Without a server it is time as well.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}
