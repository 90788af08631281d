use std::fmt;

use super::packet::PacketError;

/// Most bytes of a name.
const MOST_BYTES: usize = 128;
const MAIN: &str = "/";

/// One of the conversations that share a connection: `/` or `/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The one that clients use that name none.
    #[must_use]
    pub fn main() -> Self {
        Self(MAIN.to_owned())
    }

    /// The namespace of this name.
    ///
    /// # Errors
    /// When it does not begin with a slash, is too long, or has a comma or a control character.
    pub fn new(name: &str) -> Result<Self, PacketError> {
        let is_sound = name.starts_with('/') && name.len() <= MOST_BYTES && !name.contains(|c: char| c == ',' || c.is_control());
        if is_sound { Ok(Self(name.to_owned())) } else { Err(PacketError::Namespace) }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that clients use that name none.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.0 == MAIN
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
