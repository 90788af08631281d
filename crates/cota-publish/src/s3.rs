//! A bucket of S3, or of what speaks like it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::http::HttpSend;
use cota_driver::ports::Clock;
use http::{Method, StatusCode};
use url::Url;

use crate::aws::{Aws, AwsError};
use crate::exchange::{Answer, Exchange};
use crate::pointer::Pointer;
use crate::source::{BundleSink, BundleSource, SourceError};

/// A bucket.
pub struct S3 {
    exchange: Exchange,
    aws: Aws,
    bucket: Url,
}

impl S3 {
    /// The bucket of this name.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(bucket: &str, aws: Aws, http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Result<Self, AwsError> {
        let mut url = aws.endpoint("s3")?;
        url.path_segments_mut().map_err(|()| AwsError::Endpoint(bucket.to_owned()))?.pop_if_empty().push(bucket);
        Ok(Self { exchange: Exchange::new("S3", http, clock), aws, bucket: url })
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let Answer { status, body } = self.send(Method::GET, name, Bytes::new()).await?;
        match (status, code(&body)) {
            (StatusCode::OK, _) => Ok(Some(body)),
            (StatusCode::NOT_FOUND, Some("NoSuchKey")) => Ok(None),
            (StatusCode::FORBIDDEN, _) => {
                let says = "the policy has to allow s3:GetObject on the bucket's objects and s3:ListBucket on the bucket";
                Err(self.exchange.fault(status, Some(says)))
            }
            (status, says) => Err(self.exchange.fault(status, says)),
        }
    }

    async fn put(&self, name: &str, text: &str) -> Result<(), SourceError> {
        let Answer { status, body } = self.send(Method::PUT, name, Bytes::copy_from_slice(text.as_bytes())).await?;
        if status.is_success() { Ok(()) } else { Err(self.exchange.fault(status, code(&body))) }
    }

    async fn send(&self, method: Method, name: &str, body: Bytes) -> Result<Answer, SourceError> {
        let mut url = self.bucket.clone();
        url.path_segments_mut().map_err(|()| self.exchange.refused("its address takes no names"))?.extend(name.split('/'));
        let headers: &[_] = if method == Method::PUT { &[("content-type", "application/json")] } else { &[] };
        let request = self.aws.request("s3", (method, url), headers, body, self.exchange.now());
        self.exchange.send(request.map_err(|error| self.exchange.refused(error))?).await
    }
}

/// What S3 calls an error.
fn code(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code).filter(|code| code.len() < 64)
}

#[async_trait]
impl BundleSource for S3 {
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        self.get(&Pointer::name_of(bot)).await
    }

    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        self.get(&Pointer::bundle_name(bot, digest)).await
    }
}

#[async_trait]
impl BundleSink for S3 {
    async fn put_bundle(&self, pointer: &Pointer, text: &str) -> Result<(), SourceError> {
        self.put(&Pointer::bundle_name(&pointer.bot, &pointer.digest), text).await
    }

    async fn put_pointer(&self, pointer: &Pointer) -> Result<(), SourceError> {
        self.put(&Pointer::name_of(&pointer.bot), &pointer.to_json()).await
    }
}
