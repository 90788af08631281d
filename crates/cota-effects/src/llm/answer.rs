//! Reading an LLM's answer, whole or in pieces.

use cota_core::bot::LlmKind;
use cota_core::limits::LLM_ANSWER_BYTES;
use cota_core::turn::{Completion, ToolCall};
use cota_driver::ports::Pieces;
use cota_protocol::openai::{self, Accumulator, ResponseError, StreamError, custom};
use cota_protocol::sse;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::http::{BodyStream, HttpError, HttpResponse};

/// Why an answer that began well could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("the LLM server's answer is compressed, though that was not asked for; is there a proxy that does it?")]
    Compressed,
    #[error("{0}")]
    Whole(#[from] ResponseError),
    #[error("{0}")]
    Streamed(#[from] StreamError),
}

/// Reads an answer to its end. What it says is passed on as it comes where somebody listens.
pub(super) async fn read(kind: &LlmKind, response: HttpResponse, pieces: Option<&Pieces>) -> Result<Completion, Unusable> {
    let HttpResponse { headers, mut body, .. } = response;
    if is_compressed(&headers) {
        return Err(Unusable::Compressed);
    }
    let start = body.next().await?.unwrap_or_default();
    if is_stream(kind, &headers, &start, pieces.is_some()) {
        return read_stream(&start, body, pieces).await;
    }
    let whole = body.read_after(start.into(), LLM_ANSWER_BYTES).await?;
    let completion = match kind {
        LlmKind::Custom => custom::decode(&whole)?,
        LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Examples => openai::decode_completion(&whole)?,
    };
    let completion = of_wire(completion);
    if let Some(pieces) = pieces.filter(|_| !completion.content.is_empty()) {
        pieces.push(completion.content.clone());
    }
    Ok(completion)
}

async fn read_stream(start: &[u8], mut body: BodyStream, pieces: Option<&Pieces>) -> Result<Completion, Unusable> {
    let mut events = sse::Decoder::new(LLM_ANSWER_BYTES);
    let mut answer = Accumulator::new(LLM_ANSWER_BYTES);
    events.feed(start);
    loop {
        while let Some(event) = events.next_event().map_err(|_| HttpError::TooLarge { max_bytes: LLM_ANSWER_BYTES })? {
            if let (Some(piece), Some(pieces)) = (answer.feed(&event.data)?, pieces) {
                pieces.push(piece);
            }
        }
        // Some servers keep the connection open after the end marker.
        if answer.is_done() {
            break;
        }
        match body.next().await? {
            Some(chunk) => events.feed(&chunk),
            None => {
                events.end();
                while let Ok(Some(event)) = events.next_event() {
                    // The last event may be cut in the middle, and then is no JSON: the stream was cut, not wrong.
                    let piece =
                        answer.feed(&event.data).map_err(|error| if error == StreamError::NotJson { StreamError::Cut } else { error })?;
                    if let (Some(piece), Some(pieces)) = (piece, pieces) {
                        pieces.push(piece);
                    }
                }
                break;
            }
        }
    }
    Ok(of_wire(answer.finish()?))
}

/// Servers ignore `stream`, or stream under another media type. A JSON text and a page give themselves away by how they begin.
fn is_stream(kind: &LlmKind, headers: &HeaderMap, start: &[u8], asked: bool) -> bool {
    if *kind == LlmKind::Custom || matches!(start.trim_ascii_start().first(), Some(b'{' | b'[' | b'"' | b'<')) {
        return false;
    }
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => true,
        "application/json" | "text/html" => false,
        _ => asked,
    }
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.is_empty() && encoding != "identity")
}

fn of_wire(completion: openai::Completion) -> Completion {
    let openai::Completion { content, tool_calls, finish_reason: _, usage } = completion;
    Completion {
        content: content.unwrap_or_default(),
        tool_calls: tool_calls.into_iter().map(|call| ToolCall { name: call.name, arguments: call.arguments }).collect(),
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
    }
}
