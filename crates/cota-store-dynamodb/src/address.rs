//! Which table it is, as one text: `TABLE?days=N`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A table, and how long conversations are kept in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    table: String,
    days: Option<u32>,
}

/// Why a text is no address of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// DynamoDB has no tables of this name.
    #[error("`{0}` is no name of a DynamoDB table: it has 3 to 255 letters, digits, `-`, `_` and `.`")]
    Table(String),
    /// It has a word behind `?` that is not known.
    #[error("`{0}` is not known behind the name of a DynamoDB table: it takes days=N")]
    Word(String),
    /// The days are no number.
    #[error("days is a whole number of days from 1 on: how long a conversation is kept after its last turn")]
    Days,
}

impl Address {
    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// How long a conversation is kept that nobody touches; for ever where it is not said.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        self.days.map(|days| DAY * days)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (table, rest) = text.split_once('?').map_or((text, None), |(table, rest)| (table, Some(rest)));
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(3..=255).contains(&table.len()) || !table.chars().all(is_known) {
            return Err(AddressError::Table(table.to_owned()));
        }
        let days = match rest.map(|rest| rest.split_once('=').unwrap_or((rest, ""))) {
            None => None,
            Some(("days", days)) => Some(days.parse().ok().filter(|days| *days > 0).ok_or(AddressError::Days)?),
            Some((word, _)) => return Err(AddressError::Word(word.to_owned())),
        };
        Ok(Self { table: table.to_owned(), days })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        self.days.map_or(Ok(()), |days| write!(f, "?days={days}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_days_are_read_and_written() {
        for text in ["cota", "cota-prod.eu?days=30"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("cota?days=2".parse::<Address>().unwrap().retention(), Some(DAY * 2));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, fault) in [
            ("ab", "`ab` is no name of a DynamoDB table: it has 3 to 255 letters, digits, `-`, `_` and `.`"),
            ("arn:aws:x", "`arn:aws:x` is no name of a DynamoDB table: it has 3 to 255 letters, digits, `-`, `_` and `.`"),
            ("cota?ttl=3", "`ttl` is not known behind the name of a DynamoDB table: it takes days=N"),
            ("cota?days=0", "days is a whole number of days from 1 on: how long a conversation is kept after its last turn"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), fault);
        }
    }
}
