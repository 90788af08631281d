//! Reading requests: which conversation, which bot, who asks, in which form the answer is wanted.

use axum::RequestPartsExt as _;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use cota_core::bot::Bot;
use cota_core::ids::{BotName, ConversationId, ConversationKey, InvalidName, MessageId, SenderId, Seq};
use cota_protocol::problem::{Code, Problem};

use crate::access::{Caller, Identity};
use crate::gateway::Gateway;
use crate::respond::Refusal;

/// The header that names a bot.
const BOT_HEADER: &str = "x-cota-bot";
/// The header that names a message, as an alternative to `message_id` in the body.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that numbers the last event a client has.
const LAST_EVENT_ID: &str = "last-event-id";
/// The weight of what is accepted without reserve, in thousandths.
const MOST_WEIGHT: u16 = 1000;

/// What every address may say after its `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    pub(crate) bot: Option<String>,
    pub(crate) sender_id: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) stream: Option<String>,
    pub(crate) conversation_ids: Option<String>,
    pub(crate) ticket: Option<String>,
}

/// A request to a bot: which one, and who asks.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The bot.
    pub(crate) bot: BotName,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The rest of the query.
    pub(crate) asked: Asked,
}

/// A request about one conversation.
#[derive(Debug)]
pub(crate) struct Addressed {
    /// The bot.
    pub(crate) bot: BotName,
    /// The conversation.
    pub(crate) id: ConversationId,
    /// The message, where the route is about one.
    pub(crate) message_id: Option<MessageId>,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The rest of the query.
    pub(crate) asked: Asked,
    /// The form of the answer.
    pub(crate) format: Format,
    /// The last event a client of a stream has.
    pub(crate) last_event_id: Option<Seq>,
}

/// The form in which an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON document.
    Json,
    /// Server-Sent Events.
    EventStream,
}

impl Addressed {
    /// The conversation, and who speaks in it: as `sender` where the body names one.
    pub(crate) async fn resolve(self, gateway: &Gateway, sender: Option<SenderId>) -> Result<(ConversationKey, Identity), Problem> {
        Visit { bot: self.bot, caller: self.caller, asked: self.asked }.resolve(gateway, self.id, sender).await
    }
}

impl Visit {
    /// Reads the query and the headers of a request.
    pub(crate) fn read(parts: &Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let asked = asked(parts)?;
        let bot = bot(gateway, &parts.headers, asked.bot.as_deref())?;
        let caller = gateway.caller(parts, asked.sender_id.as_deref())?;
        Ok(Self { bot, caller, asked })
    }

    /// The conversation of this name, and who speaks in it: as `sender` where the body names one.
    pub(crate) async fn resolve(
        self,
        gateway: &Gateway,
        id: ConversationId,
        sender: Option<SenderId>,
    ) -> Result<(ConversationKey, Identity), Problem> {
        let identity = gateway.speaker(self.caller, sender).await?;
        Ok((ConversationKey { bot: self.bot, owner: identity.owner.clone(), id }, identity))
    }
}

impl FromRequestParts<Gateway> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Refusal> {
        Ok(Self::read(parts, gateway)?)
    }
}

impl FromRequestParts<Gateway> for Addressed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Refusal> {
        let (mut id, mut message_id) = (None, None);
        let params = parts.extract::<RawPathParams>().await.map_err(|error| {
            let detail = format!("the address cannot be read: {}", error.body_text());
            Problem::new(Code::BadRequest, detail)
        })?;
        for (name, value) in &params {
            match name {
                "id" => id = Some(ConversationId::new(value).map_err(|error| bad_name("the conversation's id", &error))?),
                "message_id" => message_id = Some(MessageId::new(value).map_err(|error| bad_name("the message's id", &error))?),
                _ => {}
            }
        }
        let id = id.ok_or_else(|| Problem::new(Code::NotFound, "the address names no conversation"))?;
        let Visit { bot, caller, asked } = Visit::read(parts, gateway)?;
        let format = Format::wanted(&parts.headers)?;
        let last_event_id = last_event_id(&parts.headers)?;
        Ok(Self { bot, id, message_id, caller, asked, format, last_event_id })
    }
}

/// The JSON body of a request, as bytes. A page can send other types anywhere without being asked; JSON it cannot.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Bytes);

impl FromRequest<Gateway> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, Refusal> {
        let content_type = header_text(request.headers(), header::CONTENT_TYPE.as_str())?.unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let detail = "send the message as JSON, with the header `Content-Type: application/json`";
            return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
        }
        Ok(Self(Bytes::from_request(request, gateway).await.map_err(unread)?))
    }
}

fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(Code::PayloadTooLarge, "the body has more bytes than this route takes");
    }
    Problem::new(Code::BadRequest, "the body broke off before its end")
}

/// The id that a client gives its message in a header, so that sending it twice says it once.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<MessageId>, Problem> {
    let Some(key) = header_text(headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    MessageId::new(key).map(Some).map_err(|error| Problem::new(Code::BadRequest, format!("the header Idempotency-Key {}", error.fault)))
}

/// The query of a request.
pub(crate) fn asked(parts: &Parts) -> Result<Asked, Problem> {
    if parts.uri.query().is_none() {
        return Ok(Asked::default());
    }
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(asked)) => Ok(asked),
        Err(error) => Err(Problem::new(Code::BadRequest, format!("the query cannot be read: {}", error.body_text()))),
    }
}

/// The bot that a request names by header or query; the default one if it names none.
pub(crate) fn bot(gateway: &Gateway, headers: &HeaderMap, in_query: Option<&str>) -> Result<BotName, Problem> {
    let in_header = header_text(headers, BOT_HEADER)?;
    if let (Some(header), Some(query)) = (in_header, in_query)
        && header != query
    {
        return Err(Problem::new(Code::BadRequest, "the header X-Cota-Bot and `?bot=` name two bots; send one of them"));
    }
    bot_named(gateway, in_header.or(in_query))
}

/// The bot of this name; the default one without a name.
pub(crate) fn bot_named(gateway: &Gateway, named: Option<&str>) -> Result<BotName, Problem> {
    let name = named.map(BotName::new).transpose().map_err(|error| bad_name("the bot's name", &error))?;
    let found = gateway.conversations().bot(name.as_ref());
    found.map(|bot: std::sync::Arc<Bot>| bot.source().name.clone()).ok_or_else(|| unknown_bot(gateway, named))
}

/// A header's text, if it is there.
pub(crate) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    headers.get(name).map(|value| value.to_str()).transpose().map_err(|_| {
        let detail = format!("the header {name} has a character other than visible ASCII");
        Problem::new(Code::BadRequest, detail)
    })
}

impl Format {
    /// What `Accept` asks for most; of two that are asked for alike, the first.
    pub(crate) fn wanted(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(accept) = header_text(headers, header::ACCEPT.as_str())? else { return Ok(Self::Json) };
        let mut best: Option<(u16, Self)> = None;
        for range in accept.split(',') {
            let Some((weight, format)) = Self::read(range) else { continue };
            if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, format));
            }
        }
        best.map(|(_, format)| format).ok_or_else(|| {
            Problem::new(Code::NotAcceptable, "this route answers with application/json or text/event-stream; accept one of them")
        })
    }

    fn read(range: &str) -> Option<(u16, Self)> {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next()?.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::EventStream,
            "application/json" | "application/problem+json" | "application/*" | "*/*" => Self::Json,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(thousandths);
        Some((weight.unwrap_or(MOST_WEIGHT), format))
    }
}

/// The weight of what is accepted (RFC 9110) in thousandths, which is as fine as one can be; nothing if it is none.
fn thousandths(weight: &str) -> Option<u16> {
    if !weight.contains(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let weight: u16 = format!("{whole}{decimals:0<3.3}").parse().ok()?;
    (weight <= MOST_WEIGHT).then_some(weight)
}

/// A number from 0 on in a query.
pub(crate) fn number(name: &'static str, text: Option<&str>) -> Result<Option<u64>, Problem> {
    text.map(str::parse).transpose().map_err(|_| {
        let detail = format!("`{name}` in the query has to be a whole number from 0 on");
        Problem::new(Code::BadRequest, detail).with("field", name)
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>, Problem> {
    match header_text(headers, LAST_EVENT_ID)? {
        None | Some("") => Ok(None),
        Some(id) => id
            .parse()
            .map(|seq| Some(Seq(seq)))
            .map_err(|_| Problem::new(Code::BadRequest, "the header Last-Event-ID has to be the `id` of an event that this route sent")),
    }
}

fn bad_name(what: &str, error: &InvalidName) -> Problem {
    Problem::new(Code::BadRequest, format!("{what} {}", error.fault))
}

fn unknown_bot(gateway: &Gateway, named: Option<&str>) -> Problem {
    let names = gateway.conversations().bot_names();
    let known: Vec<&str> = names.iter().map(BotName::as_str).take(20).collect();
    let detail = match (named, known.is_empty()) {
        (_, true) => "this server has no bot".to_owned(),
        (Some(_), false) => format!("there is no bot of this name; this server has: {}", known.join(", ")),
        (None, false) => "the default bot cannot be loaded".to_owned(),
    };
    Problem::new(Code::UnknownBot, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_of_the_answer_is_what_is_accepted_most() {
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("application/json"), Some(Format::Json)),
            (Some("text/html, */*;q=0.1"), Some(Format::Json)),
            (Some("text/event-stream"), Some(Format::EventStream)),
            (Some("Text/Event-Stream; charset=utf-8"), Some(Format::EventStream)),
            (Some("application/json, text/event-stream"), Some(Format::Json)),
            (Some("application/json;q=0.5, text/event-stream"), Some(Format::EventStream)),
            (Some("application/json;q=0.899, text/event-stream; q=0.9"), Some(Format::EventStream)),
            (Some("application/json;q=0.9, text/event-stream;q="), Some(Format::EventStream)),
            (Some("text/event-stream;q=0, application/json"), Some(Format::Json)),
            (Some("text/event-stream;q=0.000"), None),
            (Some("text/html"), None),
            (Some(""), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Format::wanted(&headers).ok(), format, "{accept:?}");
        }
    }

    #[test]
    fn weights_are_read_to_the_thousandth() {
        for (weight, read) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0.8", Some(800)),
            ("0.85", Some(850)),
            ("0.001", Some(1)),
            ("0.12345", Some(123)),
            (".5", Some(500)),
            ("1.", Some(1000)),
            ("0", Some(0)),
            ("0.000", Some(0)),
            ("1.001", None),
            ("100", None),
            ("-1", None),
            ("0.-5", None),
            ("much", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(thousandths(weight), read, "{weight:?}");
        }
    }
}
