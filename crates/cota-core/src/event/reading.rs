//! How an event is read: its kind comes before its data and says how they are read, so none of them is kept meanwhile.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Event, EventBody};

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    V,
    Seq,
    Run,
    At,
    BotDigest,
    MessageId,
    Kind,
    Data,
    #[serde(other)]
    Another,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Action,
    TurnEnd,
    Control,
    Task,
}

impl Kind {
    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<EventBody, A::Error> {
        Ok(match self {
            Self::Action => EventBody::Action(map.next_value()?),
            Self::TurnEnd => EventBody::TurnEnd(map.next_value()?),
            Self::Control => EventBody::Control(map.next_value()?),
            Self::Task => EventBody::Task(map.next_value()?),
        })
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Event;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut v, mut seq, mut run, mut at, mut bot_digest, mut message_id) = (None, None, None, None, None, None);
        let (mut kind, mut body) = (None::<Kind>, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::V => v = Some(map.next_value()?),
                Field::Seq => seq = Some(map.next_value()?),
                Field::Run => run = Some(map.next_value()?),
                Field::At => at = Some(map.next_value()?),
                Field::BotDigest => bot_digest = Some(map.next_value()?),
                Field::MessageId => message_id = map.next_value()?,
                Field::Kind => kind = Some(map.next_value()?),
                Field::Data => body = Some(needed(kind, "kind")?.read(&mut map)?),
                Field::Another => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Event {
            v: needed(v, "v")?,
            seq: needed(seq, "seq")?,
            run: needed(run, "run")?,
            at: needed(at, "at")?,
            bot_digest: needed(bot_digest, "bot_digest")?,
            message_id,
            body: needed(body, "data")?,
        })
    }
}

fn needed<T, E: Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &serde_json::Value) -> Result<Event, serde_json::Error> {
        serde_json::from_slice(json.to_string().as_bytes())
    }

    #[test]
    fn an_event_is_read_as_it_was_written_whatever_a_later_version_adds() {
        let written = json!({
            "v": 1, "seq": 7, "run": "r", "at": 5, "later": {"kind": "task"}, "bot_digest": "d", "message_id": "m",
            "kind": "control", "data": {"control": "gave_up", "takeovers": 4}
        });
        let event = read(&written).unwrap();
        let mut again = serde_json::to_value(&event).unwrap();
        again["later"] = written["later"].clone();
        assert_eq!(again, written);
        assert_eq!(read(&serde_json::to_value(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = json!({"v": 1, "seq": 7, "run": "r", "at": 5, "bot_digest": "d", "kind": "control", "data": {"control": "superseded"}});
        assert!(read(&whole).is_ok());
        for name in ["v", "seq", "run", "at", "bot_digest", "kind", "data"] {
            let mut partial = whole.clone();
            partial.as_object_mut().unwrap().shift_remove(name);
            assert!(read(&partial).unwrap_err().to_string().starts_with(&format!("missing field `{name}`")), "{name}");
        }
    }
}
