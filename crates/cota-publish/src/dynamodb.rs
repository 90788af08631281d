//! A table of DynamoDB with the keys `pk` and `sk`: the one of conversations will do. A bundle is cut into items of a size that
//! DynamoDB takes.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cota_core::ids::{BotDigest, BotName};
use cota_driver::http::HttpSend;
use cota_driver::ports::Clock;
use http::Method;
use serde_json::{Value as Json, json};

use crate::aws::{Aws, AwsError};
use crate::exchange::{Answer, Exchange};
use crate::pointer::Pointer;
use crate::rules;
use crate::source::{BundleSink, BundleSource, SourceError};

/// Bytes of a bundle in one item; DynamoDB takes 400 KB.
const PART_BYTES: usize = 350_000;
/// The most parts that a bundle can have.
const MOST_PARTS: usize = rules::BUNDLE_BYTES / PART_BYTES + 1;

/// A table.
pub struct Dynamodb {
    exchange: Exchange,
    aws: Aws,
    table: String,
}

impl Dynamodb {
    /// The table of this name.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(table: &str, aws: Aws, http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Result<Self, AwsError> {
        aws.endpoint("dynamodb")?;
        Ok(Self { exchange: Exchange::new("DynamoDB", http, clock), aws, table: table.to_owned() })
    }

    /// An attribute of an item, in DynamoDB's notation.
    async fn get(&self, pk: &str, sk: &str) -> Result<Option<Json>, SourceError> {
        let key = json!({"pk": {"S": pk}, "sk": {"S": sk}});
        let mut answer = self.call("GetItem", &json!({"TableName": self.table, "Key": key, "ConsistentRead": true})).await?;
        Ok(answer.get_mut("Item").map(Json::take))
    }

    async fn put(&self, item: Json) -> Result<(), SourceError> {
        self.call("PutItem", &json!({"TableName": self.table, "Item": item})).await.map(|_| ())
    }

    async fn call(&self, operation: &str, parameters: &Json) -> Result<Json, SourceError> {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let url = self.aws.endpoint("dynamodb").map_err(|error| self.exchange.refused(error))?;
        let body = parameters.to_string().into();
        let request = self.aws.request("dynamodb", (Method::POST, url), &headers, body, self.exchange.now());
        let Answer { status, body } = self.exchange.send(request.map_err(|error| self.exchange.refused(error))?).await?;
        let answer: Option<Json> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer => {
                let code = answer.as_ref().and_then(|answer| answer.get("__type")?.as_str()?.rsplit('#').next());
                Err(self.exchange.fault(status, code))
            }
        }
    }

    async fn part(&self, pk: &str, part: usize) -> Result<Option<Part>, SourceError> {
        let Some(item) = self.get(pk, &sort_key(part)).await? else { return Ok(None) };
        let read = || Part::read(&item);
        read().map(Some).ok_or_else(|| self.exchange.refused("a part of a bundle cannot be read; publish it again"))
    }
}

/// One item of a bundle.
struct Part {
    bytes: Vec<u8>,
    of: usize,
}

impl Part {
    fn read(item: &Json) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(item.get("part")?.get("B")?.as_str()?).ok()?;
        let of: usize = item.get("parts")?.get("N")?.as_str()?.parse().ok()?;
        (1..=MOST_PARTS).contains(&of).then_some(Self { bytes, of })
    }
}

fn sort_key(part: usize) -> String {
    format!("part/{part:03}")
}

#[async_trait]
impl BundleSource for Dynamodb {
    async fn pointer(&self, bot: &BotName) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(item) = self.get(&Pointer::name_of(bot), "pointer").await? else { return Ok(None) };
        let text = item.get("pointer").and_then(|pointer| pointer.get("S")?.as_str());
        Ok(Some(text.unwrap_or_default().as_bytes().to_vec()))
    }

    /// One call for a bundle of one part, as most are.
    async fn bundle(&self, bot: &BotName, digest: &BotDigest) -> Result<Option<Vec<u8>>, SourceError> {
        let pk = Pointer::bundle_name(bot, digest);
        let Some(Part { mut bytes, of }) = self.part(&pk, 0).await? else { return Ok(None) };
        for part in 1..of {
            match self.part(&pk, part).await? {
                Some(part) => bytes.extend(part.bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(bytes))
    }
}

#[async_trait]
impl BundleSink for Dynamodb {
    /// The first part is written last: a reader that finds it finds the others.
    async fn put_bundle(&self, pointer: &Pointer, text: &str) -> Result<(), SourceError> {
        let pk = Pointer::bundle_name(&pointer.bot, &pointer.digest);
        let parts: Vec<&[u8]> = text.as_bytes().chunks(PART_BYTES).collect();
        for (n, part) in parts.iter().enumerate().rev() {
            let (part, of) = (BASE64_STANDARD.encode(part), parts.len().to_string());
            self.put(json!({"pk": {"S": pk}, "sk": {"S": sort_key(n)}, "part": {"B": part}, "parts": {"N": of}})).await?;
        }
        Ok(())
    }

    async fn put_pointer(&self, pointer: &Pointer) -> Result<(), SourceError> {
        let pk = Pointer::name_of(&pointer.bot);
        self.put(json!({"pk": {"S": pk}, "sk": {"S": "pointer"}, "pointer": {"S": pointer.to_json()}})).await
    }
}
