//! The record as a client may see it.

use std::borrow::Cow;

use serde_json::Value as Json;

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody};
use cota_protocol::problem::{Code, Problem};

use crate::access::Scopes;

/// An action, without what the scopes do not cover.
///
/// # Errors
/// Never in practice: the record is plain data.
pub(crate) fn action(action: &ActionRecord, scopes: Scopes) -> Result<Json, Problem> {
    written(serde_json::to_value(visible(action, scopes)))
}

/// An action, without what the scopes do not cover, yet to be written.
pub(crate) fn visible(action: &ActionRecord, scopes: Scopes) -> Cow<'_, ActionRecord> {
    if scopes.inspect { Cow::Borrowed(action) } else { Cow::Owned(discreet(action)) }
}

/// An event with its envelope, without what the scopes do not cover.
///
/// # Errors
/// Never in practice: the record is plain data.
pub(crate) fn event(event: &Event, scopes: Scopes) -> Result<Json, Problem> {
    if scopes.inspect {
        return written(serde_json::to_value(event));
    }
    let body = match &event.body {
        EventBody::Action(action) => discreet(action).into(),
        EventBody::TurnEnd(end) => {
            let mut end = end.clone();
            end.steps.clear();
            EventBody::TurnEnd(end)
        }
        EventBody::Control(control) => EventBody::Control(control.clone()),
        EventBody::Task(event) => EventBody::Task(event.clone()),
    };
    written(serde_json::to_value(Event { body, ..event.clone() }))
}

/// The name of an event's kind, as the record writes it.
pub(crate) fn kind(event: &Event) -> &'static str {
    match event.body {
        EventBody::Action(_) => "action",
        EventBody::TurnEnd(_) => "turn_end",
        EventBody::Control(_) => "control",
        EventBody::Task(_) => "task",
    }
}

/// The action without thoughts and without what came along with an executor's result.
fn discreet(action: &ActionRecord) -> ActionRecord {
    let mut action = action.clone();
    for item in &mut action.result {
        item.thought = None;
        if action.name != USER_UTTER && item.message_id.is_none() {
            item.metadata.clear();
        }
    }
    action
}

fn written(json: serde_json::Result<Json>) -> Result<Json, Problem> {
    json.map_err(|error| {
        tracing::error!(%error, "an event could not be written");
        Problem::new(Code::Internal, "the record of this conversation could not be written")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn without_the_scope_thoughts_and_executor_metadata_are_left_out() {
        let form: ActionRecord = serde_json::from_value(json!({
            "name": "Weather", "timestamp": 1.0, "sender_id": "weather", "receiver_id": "user",
            "result": [{"text": "sunny", "thought": "easy", "metadata": {"cost": 7}}]
        }))
        .unwrap();
        let said: ActionRecord = serde_json::from_value(json!({
            "name": "UserUtter", "timestamp": 1.0, "sender_id": "user", "receiver_id": "bot",
            "result": [{"text": "hi", "metadata": {"page": "/home"}, "message_id": "m1"}]
        }))
        .unwrap();
        let discreet = Scopes { inspect: false, ..Scopes::ALL };
        assert_eq!(action(&form, discreet).unwrap()["result"], json!([{"text": "sunny"}]));
        assert_eq!(action(&said, discreet).unwrap()["result"][0]["metadata"], json!({"page": "/home"}));
        assert_eq!(action(&form, Scopes::ALL).unwrap()["result"][0]["thought"], json!("easy"));
    }
}
