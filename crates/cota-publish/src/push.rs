use cota_config::Bundle;
use cota_core::ids::{BotName, Timestamp};

use crate::pointer::{Pointer, VERSION};
use crate::rules;
use crate::source::{BundleSink, SourceError};

/// What came of publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is published.
    Published(Pointer),
    /// It was published before, and is still what is served.
    Already(Pointer),
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is larger than any reader takes.
    #[error("the bundle has {0} bytes; the limit is {most}", most = rules::BUNDLE_BYTES)]
    TooLarge(usize),
    /// The place does not do it.
    #[error(transparent)]
    Place(#[from] SourceError),
}

/// Publishes a bundle as the present version of `bot`: the bundle first, then the pointer to it.
///
/// The sequence is the time in milliseconds, or one more than the last where that is later. So it rises even where a place,
/// such as KV, tells of a pointer some seconds late.
///
/// # Errors
/// When it is not published; what is served stays what it was.
pub async fn push(sink: &dyn BundleSink, bot: &BotName, bundle: &Bundle, now: Timestamp) -> Result<Pushed, PushError> {
    let text = bundle.to_json();
    if text.len() > rules::BUNDLE_BYTES {
        return Err(PushError::TooLarge(text.len()));
    }
    // One that cannot be read is what a new one mends.
    let last = sink.pointer(bot).await?.and_then(|text| rules::read_pointer(&text, bot, None).ok().flatten());
    let sequence = last.as_ref().map_or(0, |last| last.sequence.saturating_add(1)).max(now.0);
    if let Some(last) = last.filter(|last| last.digest == *bundle.digest()) {
        return Ok(Pushed::Already(last));
    }
    let pointer = Pointer {
        cota_pointer: VERSION,
        bot: bot.clone(),
        digest: bundle.digest().clone(),
        sequence,
        size: text.len() as u64,
        pushed_at: now,
    };
    sink.put_bundle(&pointer, &text).await?;
    sink.put_pointer(&pointer).await?;
    Ok(Pushed::Published(pointer))
}
