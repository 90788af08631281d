use std::sync::Arc;

use http::Method;
use serde_json::Value as Json;
use url::Url;

use super::signed::{Call, CallError, Signed};

/// A service of AWS's JSON protocol: one address, the operation in a header.
#[derive(Clone)]
pub(crate) struct JsonService {
    signed: Arc<Signed>,
    url: Url,
    name: &'static str,
    target: &'static str,
    content_type: &'static str,
}

impl JsonService {
    pub(crate) fn sqs(signed: Arc<Signed>, url: Url) -> Self {
        Self { signed, url, name: "sqs", target: "AmazonSQS", content_type: "application/x-amz-json-1.0" }
    }

    pub(crate) fn ssm(signed: Arc<Signed>, url: Url) -> Self {
        Self { signed, url, name: "ssm", target: "AmazonSSM", content_type: "application/x-amz-json-1.1" }
    }

    pub(crate) fn secrets_manager(signed: Arc<Signed>, url: Url) -> Self {
        Self { signed, url, name: "secretsmanager", target: "secretsmanager", content_type: "application/x-amz-json-1.1" }
    }

    pub(crate) fn states(signed: Arc<Signed>, url: Url) -> Self {
        Self { signed, url, name: "states", target: "AWSStepFunctions", content_type: "application/x-amz-json-1.0" }
    }

    /// Calls an operation.
    pub(crate) async fn call(&self, operation: &str, parameters: &Json) -> Result<Json, CallError> {
        let headers = vec![("content-type", self.content_type.to_owned()), ("x-amz-target", format!("{}.{operation}", self.target))];
        let body = parameters.to_string().into();
        let call = Call { service: self.name, method: Method::POST, url: self.url.clone(), headers, body };
        let answer = self.signed.send(&call).await?;
        let said: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.is_success() {
            return Ok(said);
        }
        let code = said.get("__type").and_then(Json::as_str).map(|code| code.rsplit('#').next().unwrap_or(code).to_owned());
        Err(CallError::Refused { status: answer.status.as_u16(), code })
    }
}
