//! A queue, and what takes its messages to a function in place of an event source mapping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use tokio::task::AbortHandle;

use super::function::Function;
use super::http_call;

/// A queue of SQS.
#[derive(Clone, Debug)]
pub struct Queue {
    address: String,
    url: String,
}

/// What goes wrong on the way from a queue to a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mischief {
    /// Each message is delivered twice, at once.
    pub twice: bool,
    /// Each message is kept back, by a time between nothing and this that differs from one to the next: so they come in any order.
    pub late: Duration,
    /// Messages that are to be heard at once are never delivered; a watchdog is.
    pub lost: bool,
}

/// Takes messages to a function until it is dropped.
pub struct Poller {
    polling: AbortHandle,
    delivered: Arc<AtomicU64>,
}

impl Queue {
    /// Makes a queue at an SQS of this address, `host:port`. A message that was received `attempts` times in vain goes to `dead`.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn create(address: &str, name: &str, visibility: Duration, dead: Option<(&Self, u32)>) -> Self {
        let mut attributes = json!({"VisibilityTimeout": visibility.as_secs().to_string()});
        if let Some((dead, attempts)) = dead {
            let arn = dead.arn().await;
            attributes["RedrivePolicy"] = json!(json!({"deadLetterTargetArn": arn, "maxReceiveCount": attempts}).to_string());
        }
        let made = call(address, "CreateQueue", &json!({"QueueName": name, "Attributes": attributes})).await;
        let url = made.get("QueueUrl").and_then(Json::as_str).unwrap_or_else(|| panic!("no queue was made: {made}")).to_owned();
        Self { address: address.to_owned(), url }
    }

    /// What goes into `COTA_QUEUE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts a message in.
    pub async fn send(&self, body: &str) {
        self.call("SendMessage", json!({"MessageBody": body})).await;
    }

    /// The bodies of the messages that can be received now; they come again when their time is up.
    pub async fn bodies(&self) -> Vec<String> {
        self.receive(0).await.iter().map(|message| text(message, "Body")).collect()
    }

    async fn receive(&self, wait: u32) -> Vec<Json> {
        let parameters = json!({"MaxNumberOfMessages": 10, "WaitTimeSeconds": wait, "MessageSystemAttributeNames": ["All"]});
        let said = self.call("ReceiveMessage", parameters).await;
        said.get("Messages").and_then(Json::as_array).cloned().unwrap_or_default()
    }

    async fn delete(&self, message: &Json) {
        self.call("DeleteMessage", json!({"ReceiptHandle": text(message, "ReceiptHandle")})).await;
    }

    async fn arn(&self) -> String {
        let said = self.call("GetQueueAttributes", json!({"AttributeNames": ["QueueArn"]})).await;
        said.pointer("/Attributes/QueueArn").and_then(Json::as_str).unwrap_or_default().to_owned()
    }

    async fn call(&self, operation: &str, mut parameters: Json) -> Json {
        parameters["QueueUrl"] = json!(self.url);
        call(&self.address, operation, &parameters).await
    }
}

impl Poller {
    /// Begins to take messages to `function`, one a call.
    #[must_use]
    pub fn start(queue: Queue, function: Function, mischief: Mischief) -> Self {
        let delivered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&delivered);
        let polling = tokio::spawn(async move {
            loop {
                for message in queue.receive(1).await {
                    let n = count.fetch_add(1, Ordering::Relaxed);
                    let (queue, function) = (queue.clone(), function.clone());
                    tokio::spawn(async move { deliver(&queue, &function, mischief, &message, n).await });
                }
            }
        });
        Self { polling: polling.abort_handle(), delivered }
    }

    /// How many messages it has taken.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

async fn deliver(queue: &Queue, function: &Function, mischief: Mischief, message: &Json, n: u64) {
    if mischief.lost && is_immediate(message) {
        queue.delete(message).await;
        return;
    }
    if !mischief.late.is_zero() {
        let most = u64::try_from(mischief.late.as_millis()).unwrap_or(u64::MAX);
        let late = Duration::from_millis(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % most);
        tokio::time::sleep(late).await;
    }
    let event = json!({"Records": [{
        "messageId": text(message, "MessageId"), "receiptHandle": text(message, "ReceiptHandle"), "body": text(message, "Body"),
        "attributes": message.get("Attributes"), "messageAttributes": {}, "md5OfBody": text(message, "MD5OfBody"),
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:local:000000000000:doorbell", "awsRegion": "local",
    }]});
    let heard = if mischief.twice {
        let (first, second) = tokio::join!(function.invoke(&event), function.invoke(&event));
        first.and(second)
    } else {
        function.invoke(&event).await
    };
    let failures = heard.ok().and_then(|answer| {
        let answer: Json = serde_json::from_slice(&answer).ok()?;
        answer.get("batchItemFailures")?.as_array().cloned()
    });
    if failures.is_some_and(|failures| failures.is_empty()) {
        queue.delete(message).await;
    }
}

/// Whether a doorbell was to be heard as soon as it was rung.
fn is_immediate(message: &Json) -> bool {
    let body: Json = serde_json::from_str(&text(message, "Body")).unwrap_or_default();
    let sent = message.pointer("/Attributes/SentTimestamp").and_then(Json::as_str).and_then(|at| at.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let sent = sent.unwrap_or(u64::try_from(now).unwrap_or_default());
    body.get("connection").is_none() && body.get("at").and_then(Json::as_u64).unwrap_or_default() < sent + 2_000
}

async fn call(address: &str, operation: &str, parameters: &Json) -> Json {
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", &format!("AmazonSQS.{operation}")),
        ("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"),
    ];
    let answer = http_call::post(address, "/", &headers, parameters.to_string().as_bytes()).await;
    serde_json::from_slice(&answer.unwrap_or_default()).unwrap_or_default()
}

fn text(json: &Json, name: &str) -> String {
    json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}
