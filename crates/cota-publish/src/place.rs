use std::fmt;
use std::str::FromStr;

/// A place by its name: `kv:NAMESPACE`, `s3:BUCKET` or `dynamodb:TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A namespace of Workers KV, by its id.
    Kv(String),
    /// An S3 bucket.
    S3(String),
    /// A DynamoDB table with the keys `pk` and `sk`, such as the one of conversations.
    Dynamodb(String),
}

/// Why a text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place for bots; use kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE")]
pub struct PlaceError(String);

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        // What services allow in these names, none of which has a meaning in an address.
        let is_name =
            |name: &str| (1..=255).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
        match text.split_once(':') {
            Some(("kv", name)) if is_name(name) => Ok(Self::Kv(name.to_owned())),
            Some(("s3", name)) if is_name(name) => Ok(Self::S3(name.to_owned())),
            Some(("dynamodb", name)) if is_name(name) => Ok(Self::Dynamodb(name.to_owned())),
            Some(_) | None => Err(PlaceError(text.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv(name) => write!(f, "kv:{name}"),
            Self::S3(name) => write!(f, "s3:{name}"),
            Self::Dynamodb(name) => write!(f, "dynamodb:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_kind_and_name() {
        for text in ["kv:0f2ac74b498b48028cb68387c421e279", "s3:my-bots", "dynamodb:cota.prod"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in ["", "kv", "kv:", "s3:a/b", "s3:a?b", "gcs:x", "dynamodb:a b"] {
            assert!(text.parse::<Place>().unwrap_err().to_string().contains("kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE"));
        }
    }
}
