//! The SDK's calls over the HTTP port, whose connections and certificates are those of everything else that the process calls.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use cota_driver::address::Reach;
use cota_driver::http::{self as port, HttpError, HttpSend};
use url::Url;

/// More than any answer of DynamoDB: those of a batch are at most 16 MB.
const LARGEST: usize = 32 * 1024 * 1024;

/// Sends what the SDK has signed. The SDK's own deadlines end a call.
#[derive(Clone)]
pub(crate) struct Transport(Arc<dyn HttpSend>);

impl Transport {
    pub(crate) fn over(http: Arc<dyn HttpSend>) -> Self {
        Self(http)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Transport")
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { exchange(http.as_ref(), request).await })
    }
}

/// Sends a request and reads its answer to the end.
async fn exchange(http: &dyn HttpSend, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let answer = http.send(outgoing(request)?).await.map_err(failed)?;
    let mut response = http::Response::new(SdkBody::from(answer.body.read(LARGEST).await.map_err(failed)?));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

fn outgoing(request: HttpRequest) -> Result<port::HttpRequest, ConnectorError> {
    let (head, body) = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|error| ConnectorError::user(error.into()))?;
    let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| ConnectorError::user("the request is no text".into()))?;
    let mut outgoing = port::HttpRequest::new(head.method, url, Reach::Named).map_err(|error| ConnectorError::user(error.into()))?;
    outgoing.headers = head.headers;
    outgoing.body = body;
    Ok(outgoing)
}

/// What the SDK is told, which tries again after what may pass.
fn failed(error: HttpError) -> ConnectorError {
    match error {
        HttpError::Connect => ConnectorError::io(error.into()).never_connected(),
        HttpError::Cut => ConnectorError::io(error.into()),
        HttpError::Timeout => ConnectorError::timeout(error.into()),
        HttpError::Forbidden(_) => ConnectorError::user(error.into()),
        HttpError::Tls | HttpError::TooLarge { .. } => ConnectorError::other(error.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use aws_sdk_dynamodb::Client;
    use cota_driver::http::{BodyStream, HttpRequest, HttpResponse};
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::config;

    /// Fails with this the first time, and answers from then on; keeps what it was asked.
    struct Once {
        error: HttpError,
        asked: Mutex<Vec<HttpRequest>>,
    }

    #[async_trait]
    impl HttpSend for Once {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request);
            if asked.len() == 1 {
                return Err(self.error.clone());
            }
            Ok(HttpResponse { status: StatusCode::OK, headers: HeaderMap::new(), body: BodyStream::whole("{\"TableNames\":[\"t\"]}") })
        }
    }

    /// How often it was asked, and whether the answer was read in the end.
    async fn tried(error: HttpError) -> (usize, bool) {
        let http = Arc::new(Once { error, asked: Mutex::default() });
        let variable = |name: &str| (name != "AWS_SESSION_TOKEN" && !name.contains("URL")).then(|| "x".to_owned());
        let client = Client::from_conf(config(variable, Arc::clone(&http) as _).unwrap().build());
        let answer = client.list_tables().send().await;
        let asked = http.asked.lock().unwrap();
        assert!(asked.iter().all(|request| request.headers.contains_key("authorization") && &request.body[..] == b"{}"));
        (asked.len(), answer.is_ok_and(|tables| tables.table_names() == ["t"]))
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        for passes in [HttpError::Connect, HttpError::Cut, HttpError::Timeout] {
            assert_eq!(tried(passes.clone()).await, (2, true), "{passes}");
        }
        for stays in [HttpError::Tls, HttpError::TooLarge { max_bytes: 1 }] {
            assert_eq!(tried(stays.clone()).await, (1, false), "{stays}");
        }
    }
}
