//! Where a database is, as one text: `https://HOST?prefix=NAME&days=N`.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// What keys begin with where the address does not say.
const PREFIX: &str = "cota";
/// Most characters of a prefix.
const PREFIX_CHARACTERS: usize = 64;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The REST address of a database, what this deployment's keys begin with, and how long it keeps conversations. It holds no
/// token, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: Url,
    prefix: String,
    days: Option<u64>,
}

/// Why a text is no address of a database, or a token no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL of a web server.
    #[error("`{0}` is no address of an Upstash database: it looks like https://NAME.upstash.io")]
    Url(String),
    /// It holds a token or a password.
    #[error("the address of an Upstash database holds no password: set the variable UPSTASH_REDIS_REST_TOKEN to its token")]
    Secret,
    /// It has a word behind `?` that is not known.
    #[error("`{0}` is not known behind the address of an Upstash database: it takes prefix=NAME and days=N")]
    Word(String),
    /// The prefix cannot be one.
    #[error("the prefix has 1 to {PREFIX_CHARACTERS} letters, digits, `-` and `_`")]
    Prefix,
    /// The days are no number.
    #[error("days is a whole number of days from 1 on: how long a conversation is kept after its last turn")]
    Days,
    /// The token cannot be one.
    #[error("UPSTASH_REDIS_REST_TOKEN is no token: it is one line of visible characters")]
    Token,
}

impl Address {
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn retention_ms(&self) -> Option<u64> {
        self.days.map(|days| days.saturating_mul(DAY_MS))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text).map_err(|_| AddressError::Url(text.to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Secret);
        }
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(AddressError::Url(text.to_owned()));
        }
        let (mut prefix, mut days) = (PREFIX.to_owned(), None);
        for (word, value) in url.query_pairs() {
            match word.as_ref() {
                "prefix" if is_prefix(&value) => prefix = value.into_owned(),
                "prefix" => return Err(AddressError::Prefix),
                "days" => days = Some(value.parse().ok().filter(|days| *days > 0).ok_or(AddressError::Days)?),
                "token" | "_token" => return Err(AddressError::Secret),
                other => return Err(AddressError::Word(other.to_owned())),
            }
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url, prefix, days })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_str().trim_end_matches('/');
        write!(f, "{url}?prefix={}", self.prefix)?;
        self.days.map_or(Ok(()), |days| write!(f, "&days={days}"))
    }
}

fn is_prefix(text: &str) -> bool {
    let may_be = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=PREFIX_CHARACTERS).contains(&text.len()) && text.chars().all(may_be)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_how_long() {
        let plain: Address = "https://eu1-fine-bat-1.upstash.io".parse().unwrap();
        assert_eq!((plain.prefix(), plain.retention_ms()), ("cota", None));
        assert_eq!(plain.to_string(), "https://eu1-fine-bat-1.upstash.io?prefix=cota");
        let full: Address = "https://h.upstash.io/?prefix=shop-2&days=30".parse().unwrap();
        assert_eq!((full.prefix(), full.retention_ms()), ("shop-2", Some(30 * DAY_MS)));
        assert_eq!(full.url().as_str(), "https://h.upstash.io/");
        assert_eq!(full.to_string().parse(), Ok(full));
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, error) in [
            ("h.upstash.io", AddressError::Url("h.upstash.io".to_owned())),
            ("redis://h.upstash.io", AddressError::Url("redis://h.upstash.io".to_owned())),
            ("https://default:secret@h.upstash.io", AddressError::Secret),
            ("https://h.upstash.io?_token=secret", AddressError::Secret),
            ("https://h.upstash.io?database=1", AddressError::Word("database".to_owned())),
            ("https://h.upstash.io?prefix=", AddressError::Prefix),
            ("https://h.upstash.io?prefix={x}", AddressError::Prefix),
            ("https://h.upstash.io?days=0", AddressError::Days),
            ("https://h.upstash.io?days=ever", AddressError::Days),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }
}
