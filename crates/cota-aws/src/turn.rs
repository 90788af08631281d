//! The `turn` function: hears doorbells, drives conversations, greets connections.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use cota_protocol::websocket::ServerFrame;

use crate::connections::ConnectionId;
use crate::doorbell::{Ring, Whom};
use crate::failure::Failure;
use crate::function::Function;
use crate::host::Role;
use crate::runtime::{self, Answer, Event};

/// Messages of a queue.
#[derive(Debug, Deserialize)]
struct Messages {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    #[serde(default)]
    body: String,
}

/// Which messages are to come again; all others are done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Heard {
    batch_item_failures: Vec<Unheard>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unheard {
    item_identifier: String,
}

/// Serves invocations until the environment ends; it fails when the Runtime API cannot be reached.
pub async fn run() -> ExitCode {
    runtime::serve(Role::Drives, hear_all).await
}

async fn hear_all(function: &Function, event: &Event) -> Result<Answer, Failure> {
    function.begin(event).await;
    let messages = read(&event.payload)?;
    let mut heard = Heard::default();
    for message in messages.records {
        if let Err(failure) = hear(function, &message.body).await {
            tracing::error!(kind = failure.kind(), error = %failure, message = message.message_id, "a doorbell was not heard");
            heard.batch_item_failures.push(Unheard { item_identifier: message.message_id });
        }
        function.present.finish().await;
        function.meter.tell();
    }
    if function.bells.take_lost() && heard.batch_item_failures.is_empty() {
        // What was to be woken later can only be woken by this message's coming again.
        return Err(Failure::LostBell);
    }
    Answer::json(&heard)
}

fn read(event: &[u8]) -> Result<Messages, Failure> {
    serde_json::from_slice(event).map_err(|error| Failure::Event { source_name: "an SQS queue", fault: error.to_string() })
}

async fn hear(function: &Function, body: &str) -> Result<(), Failure> {
    let ring = Ring::decode(body)?;
    if ring.at.since(function.clock.now()) > 1_000 {
        // It is too early, as no queue keeps a message back for so long: another hop.
        return function.bells.send(&ring).await.map_err(Failure::Doorbell);
    }
    match ring.whom {
        Whom::Conversation(key) => Ok(function.host.hear(&key).await?),
        Whom::Connection(id) => greet(function, &id).await,
    }
}

/// Tells a connection that it is open.
async fn greet(function: &Function, id: &ConnectionId) -> Result<(), Failure> {
    let Some(fan_out) = &function.fan_out else { return Ok(()) };
    let Some(connection) = fan_out.register.find(id).await? else { return Ok(()) };
    let login = ServerFrame::Login { sender_id: connection.sender, timestamp: connection.since };
    fan_out.send(id, connection.since, vec![login]).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_heard_is_named_so_that_it_alone_comes_again() {
        let heard = Heard { batch_item_failures: vec![Unheard { item_identifier: "m1".to_owned() }] };
        assert_eq!(serde_json::to_string(&heard).unwrap(), r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#);
    }

    #[test]
    fn an_event_of_another_source_is_refused() {
        assert!(matches!(read(br#"{"detail":{}}"#), Err(Failure::Event { .. })));
    }
}
