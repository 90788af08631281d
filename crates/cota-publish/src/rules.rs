//! What a reader makes of what it finds: nothing of it is trusted.

use cota_config::{Bundle, BundleError};
use cota_core::ids::{BotDigest, BotName};
use cota_core::limits;

use crate::pointer::{Pointer, VERSION};

/// Most bytes of a pointer.
pub const POINTER_BYTES: usize = 4096;
/// Most bytes of a bundle: no reader takes more from a place.
pub const BUNDLE_BYTES: usize = limits::BUNDLE_BYTES;

/// Why what is published is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The pointer is no JSON of the known form.
    #[error("the pointer cannot be read: {0}")]
    Pointer(serde_json::Error),
    /// The pointer is of a form that is not known.
    #[error("the pointer is of version {0}, and only version {VERSION} is read; publish with a `cota` of this release")]
    Version(u32),
    /// It is too large.
    #[error("the {what} has {bytes} bytes; the limit is {most}")]
    TooLarge {
        /// The pointer or the bundle.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: usize,
    },
    /// It is another bot's.
    #[error("it is the bot `{found}`'s, and not `{expected}`'s")]
    OtherBot {
        /// Whose it should be.
        expected: BotName,
        /// Whose it is.
        found: String,
    },
    /// A newer version is served.
    #[error("its sequence {found} is not after {serving}, which is served")]
    Older {
        /// The sequence that is served.
        serving: u64,
        /// The one that was found.
        found: u64,
    },
    /// The digest is none.
    #[error("its digest is not 64 hexadecimal digits")]
    NoDigest,
    /// The bundle is not there.
    #[error("its bundle is not there")]
    Missing,
    /// The bundle is no text.
    #[error("its bundle is not UTF-8 text")]
    NotText,
    /// The bundle is none.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle is another one.
    #[error("its bundle has the digest {0}")]
    OtherDigest(String),
    /// The bot does not load.
    #[error("the bot does not load: {0}")]
    Broken(String),
}

/// Reads a pointer of `bot`. `None` is the version that is served already.
///
/// # Errors
/// When it is not to be followed.
pub fn read_pointer(text: &[u8], bot: &BotName, serving: Option<&Pointer>) -> Result<Option<Pointer>, Refusal> {
    #[derive(serde::Deserialize)]
    struct Version {
        cota_pointer: u32,
    }
    if text.len() > POINTER_BYTES {
        return Err(Refusal::TooLarge { what: "pointer", bytes: text.len() as u64, most: POINTER_BYTES });
    }
    let version: Version = serde_json::from_slice(text).map_err(Refusal::Pointer)?;
    if version.cota_pointer != VERSION {
        return Err(Refusal::Version(version.cota_pointer));
    }
    let pointer: Pointer = serde_json::from_slice(text).map_err(Refusal::Pointer)?;
    if pointer.bot != *bot {
        return Err(Refusal::OtherBot { expected: bot.clone(), found: pointer.bot.to_string() });
    }
    if !is_digest(&pointer.digest) {
        return Err(Refusal::NoDigest);
    }
    if pointer.size > BUNDLE_BYTES as u64 {
        return Err(Refusal::TooLarge { what: "bundle", bytes: pointer.size, most: BUNDLE_BYTES });
    }
    match serving {
        Some(serving) if *serving == pointer => Ok(None),
        Some(serving) if serving.sequence >= pointer.sequence => Err(Refusal::Older { serving: serving.sequence, found: pointer.sequence }),
        Some(_) | None => Ok(Some(pointer)),
    }
}

/// Reads the bundle of a digest.
///
/// # Errors
/// When it is not that bundle.
pub fn read_bundle(bytes: &[u8], digest: &BotDigest) -> Result<Bundle, Refusal> {
    if bytes.len() > BUNDLE_BYTES {
        return Err(Refusal::TooLarge { what: "bundle", bytes: bytes.len() as u64, most: BUNDLE_BYTES });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotText)?;
    let bundle = Bundle::parse(text)?;
    if bundle.digest() != digest {
        return Err(Refusal::OtherDigest(bundle.digest().0.chars().take(64).collect()));
    }
    Ok(bundle)
}

/// A digest is a part of names and addresses, so it has to be one.
fn is_digest(digest: &BotDigest) -> bool {
    digest.0.len() == 64 && digest.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
