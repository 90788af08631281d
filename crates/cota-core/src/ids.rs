//! Names of things, parsed once at the edge and trusted afterwards.
//!
//! A turn writes the same few names into every event and every job, so their text is shared: a copy of a name allocates nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Milliseconds since the Unix epoch. The core never reads a clock: time arrives with every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This time, `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; zero if `earlier` is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Seconds with a fraction, as the event record writes them.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double's 53 bits")]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// Place of an event in a conversation's log: 1, 2, 3, ...; 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Place of an accepted message in a conversation's inbox: rising, gaps allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {fault}")]
pub struct InvalidName {
    /// Which name: `conversation id`, `message id`, ...
    pub what: &'static str,
    /// What is wrong with it, as the end of a sentence.
    pub fault: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Parses the name.
            ///
            /// # Errors
            /// When it breaks the rule in the type's documentation.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                let name = name.into();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&name) {
                    Ok(()) => Ok(Self(name.into())),
                    Err(fault) => Err(InvalidName { what: $what, fault }),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.as_str().to_owned()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

fn visible_ascii(name: &str) -> Result<(), &'static str> {
    match name.len() {
        0 => Err("is empty"),
        1..=128 if name.bytes().all(|b| b.is_ascii_graphic()) => Ok(()),
        1..=128 => Err("has a character other than visible ASCII"),
        _ => Err("is longer than 128 characters"),
    }
}

fn printable(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty")
    } else if name.chars().count() > 128 {
        Err("is longer than 128 characters")
    } else if name.chars().any(char::is_control) {
        Err("has a control character")
    } else {
        Ok(())
    }
}

name!(
    /// A conversation's id as its client chose it: 1 to 128 visible ASCII characters.
    ConversationId,
    "conversation id",
    visible_ascii
);
name!(
    /// A message's id, the client's or one made at the edge: 1 to 128 visible ASCII characters.
    MessageId,
    "message id",
    visible_ascii
);
name!(
    /// Who said something: 1 to 128 characters, none of them a control character.
    SenderId,
    "sender id",
    printable
);
name!(
    /// The namespace of an identity: 1 to 128 characters, none of them a control character.
    Owner,
    "owner",
    printable
);
name!(
    /// A bot's name, or `task/agent` for an agent of a task.
    BotName,
    "bot name",
    printable
);

impl Owner {
    /// The owner of every conversation where identity is off.
    #[must_use]
    pub fn public() -> Self {
        Self("public".into())
    }
}

/// Addresses one conversation. Nobody reaches another owner's namespace except by invitation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConversationKey {
    /// The bot it is with.
    pub bot: BotName,
    /// Whose namespace it is in.
    pub owner: Owner,
    /// Its id within that namespace.
    pub id: ConversationId,
}

impl ConversationKey {
    /// A fixed-length name for stores that restrict characters or length: 64 hexadecimal digits.
    #[must_use]
    pub fn hashed(&self) -> String {
        hex(&hash_parts(&[self.bot.as_str(), self.owner.as_str(), self.id.as_str()]))
    }
}

/// Names one run of a turn: a hash of conversation, sender and message id, so it is the same after every restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(Arc<str>);

impl RunId {
    /// The run that answers `message` of `sender` in `key`.
    #[must_use]
    pub fn of(key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Self {
        let parts = [key.bot.as_str(), key.owner.as_str(), key.id.as_str(), sender.as_str(), message.as_str()];
        Self(short_hex(&hash_parts(&parts)).into())
    }

    /// The id as text: 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number drawn from the run and `salt`, the same in every process: jitter without randomness.
    #[must_use]
    pub fn draw(&self, salt: u64) -> u64 {
        let digest = hash_parts(&[&self.0, &salt.to_string()]);
        digest.iter().take(8).fold(0, |n, byte| (n << 8) | u64::from(*byte))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one durable write of a run, `{run}/{n}`: a store that already holds it answers with its position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitId(pub Arc<str>);

/// A bot's content, hashed: what a run is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BotDigest(pub Arc<str>);

impl BotDigest {
    /// The digest of a bot's canonical bytes: 64 hexadecimal digits of SHA-256.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(hex(&Sha256::digest(content)).into())
    }
}

/// A digest of the text a message id stands for, so that the same id with another text is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentDigest(pub String);

impl ContentDigest {
    /// The digest of the parts of a message that make it the same message.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(short_hex(&hash_parts(parts)))
    }
}

/// Length-prefixed, so that no two lists of parts run together into the same bytes.
fn hash_parts(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// The first half of a digest: 32 hexadecimal digits.
fn short_hex(digest: &[u8; 32]) -> String {
    let (half, _) = digest.split_at(16);
    hex(half)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' - 10 + half });
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_reason() {
        for (text, fault) in [
            ("", "conversation id is empty"),
            ("with space", "conversation id has a character other than visible ASCII"),
            ("grüß", "conversation id has a character other than visible ASCII"),
            (&"x".repeat(129), "conversation id is longer than 128 characters"),
        ] {
            assert_eq!(ConversationId::new(text).unwrap_err().to_string(), fault);
        }
        assert!(SenderId::new("Zoë 王").is_ok());
        assert!(SenderId::new("a\nb").is_err());
    }

    #[test]
    fn a_run_id_depends_on_every_part_and_on_where_the_parts_end() {
        let key = |owner: &str, id: &str| ConversationKey {
            bot: BotName::new("b").unwrap(),
            owner: Owner::new(owner).unwrap(),
            id: ConversationId::new(id).unwrap(),
        };
        let run = |key: &ConversationKey, sender: &str, message: &str| {
            RunId::of(key, &SenderId::new(sender).unwrap(), &MessageId::new(message).unwrap())
        };
        let one = run(&key("o", "c"), "s", "m");
        assert_eq!(one, run(&key("o", "c"), "s", "m"));
        assert_ne!(one, run(&key("oc", "c"), "s", "m"));
        assert_ne!(run(&key("o", "ab"), "c", "m"), run(&key("o", "a"), "bc", "m"));
        assert_eq!(one.as_str().len(), 32);
    }
}
