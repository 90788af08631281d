use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use url::Url;

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;
use cota_protocol::websocket::ServerFrame;

use super::record::ConnectionId;
use crate::aws::{Call, CallError, Signed};

/// So long after its beginning, in milliseconds, a connection may be said to be gone and yet come to be.
const YOUNG_MS: u64 = 5_000;
/// Between two tries of a young connection, in milliseconds.
const AGAIN_MS: u64 = 250;

/// Posts frames to connections, by way of the API's management address.
#[derive(Clone)]
pub(crate) struct Post {
    signed: Arc<Signed>,
    endpoint: Url,
    clock: Arc<dyn Clock>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It is on its way.
    Sent,
    /// The connection is no more.
    Gone,
    /// It was not taken. What is durable can be read again.
    Refused,
}

impl Post {
    pub(crate) fn new(signed: Arc<Signed>, endpoint: Url, clock: Arc<dyn Clock>) -> Self {
        Self { signed, endpoint, clock }
    }

    /// Sends a frame to a connection that has been open since `connected`.
    pub(crate) async fn send(&self, id: &ConnectionId, connected: Timestamp, frame: &ServerFrame) -> Posted {
        loop {
            match self.call(Method::POST, id, frame.encode().into()).await {
                Ok(status) if status.is_success() => return Posted::Sent,
                Ok(StatusCode::GONE) if self.clock.now().since(connected) < YOUNG_MS => {
                    self.clock.sleep_until(self.clock.now().plus_ms(AGAIN_MS)).await;
                }
                Ok(StatusCode::GONE) => return Posted::Gone,
                Ok(status) => {
                    tracing::warn!(%status, "a frame was refused");
                    return Posted::Refused;
                }
                Err(error) => {
                    tracing::warn!(%error, "a frame could not be posted");
                    return Posted::Refused;
                }
            }
        }
    }

    /// Whether a connection is certainly no more.
    pub(crate) async fn is_gone(&self, id: &ConnectionId) -> bool {
        let asked = self.call(Method::GET, id, Bytes::new()).await;
        let status = asked.inspect_err(|error| tracing::warn!(%error, "whether a connection is open could not be asked"));
        status.is_ok_and(|status| status == StatusCode::GONE)
    }

    /// Ends a connection.
    pub(crate) async fn close(&self, id: &ConnectionId) {
        if let Err(error) = self.call(Method::DELETE, id, Bytes::new()).await {
            tracing::warn!(%error, "a connection could not be ended");
        }
    }

    async fn call(&self, method: Method, id: &ConnectionId, body: Bytes) -> Result<StatusCode, CallError> {
        let mut url = self.endpoint.clone();
        // The id has characters that the signature sees encoded.
        url.set_path(&format!("{}/%40connections/{}", self.endpoint.path().trim_end_matches('/'), encoded(id.as_str())));
        let headers = vec![("content-type", "application/json".to_owned())];
        let call = Call { service: "execute-api", method, url, headers, body };
        self.signed.send(&call).await.map(|answer| answer.status)
    }
}

/// Percent-encoded but for what is never special.
fn encoded(id: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    id.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_part_of_a_path() {
        assert_eq!(encoded("JKJaXmPLvHcESHA="), "JKJaXmPLvHcESHA%3D");
        assert_eq!(encoded("a/b+c"), "a%2Fb%2Bc");
    }
}
