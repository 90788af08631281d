//! Limits as variables say them, where no command line does.

use std::str::FromStr;

use super::{Allowance, Limits};

/// A variable that says no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable {name} has to be {wanted}, or off; it is `{text}`")]
pub struct WrongLimit {
    name: &'static str,
    wanted: &'static str,
    text: String,
}

const A_RATE: &str = "a number a minute, such as 600, or 600:200 for at most 200 at once";
const A_NUMBER: &str = "a number, such as 64";

impl Limits {
    /// The limits that the variables `COTA_LIMIT_REQUESTS`, `COTA_LIMIT_TOKENS`, `COTA_LIMIT_CONNECTIONS`,
    /// `COTA_LIMIT_ADDRESS_REQUESTS` and `COTA_LIMIT_ADDRESS_TOKENS` say; none where they say nothing. An address' connections are not
    /// limited here: functions and objects do not know of them.
    ///
    /// # Errors
    /// When one of them says no limit.
    pub fn of_variables(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, WrongLimit> {
        let identity = Allowance {
            requests: limit(&variable, "COTA_LIMIT_REQUESTS", A_RATE)?,
            tokens: limit(&variable, "COTA_LIMIT_TOKENS", A_RATE)?,
            connections: limit(&variable, "COTA_LIMIT_CONNECTIONS", A_NUMBER)?,
        };
        let address = Allowance {
            requests: limit(&variable, "COTA_LIMIT_ADDRESS_REQUESTS", A_RATE)?,
            tokens: limit(&variable, "COTA_LIMIT_ADDRESS_TOKENS", A_RATE)?,
            connections: None,
        };
        Ok(Self { identity, address, idle_ms: None })
    }
}

/// What a variable says, if it says a limit.
fn limit<T: FromStr>(
    variable: impl Fn(&'static str) -> Option<String>,
    name: &'static str,
    wanted: &'static str,
) -> Result<Option<T>, WrongLimit> {
    let text = variable(name).filter(|text| text != "off");
    text.map(|text| text.parse().map_err(|_| WrongLimit { name, wanted, text })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_said_nothing_is_limited() {
        assert_eq!(Limits::of_variables(|_| None), Ok(Limits::default()));
        assert_eq!(Limits::of_variables(|_| Some("off".to_owned())), Ok(Limits::default()));
        let limits = Limits::of_variables(|name| (name == "COTA_LIMIT_TOKENS").then(|| "600:200".to_owned())).unwrap();
        assert_eq!((limits.identity.tokens, limits.identity.requests), (Some("600:200".parse().unwrap()), None));
    }

    #[test]
    fn a_wrong_limit_is_named_with_what_it_has_to_be() {
        let told = Limits::of_variables(|name| (name == "COTA_LIMIT_ADDRESS_REQUESTS").then(|| "many".to_owned())).unwrap_err();
        assert!(told.to_string().starts_with("the variable COTA_LIMIT_ADDRESS_REQUESTS has to be a number a minute"), "{told}");
        let told = Limits::of_variables(|name| (name == "COTA_LIMIT_CONNECTIONS").then(|| "many".to_owned())).unwrap_err().to_string();
        assert_eq!(told, "the variable COTA_LIMIT_CONNECTIONS has to be a number, such as 64, or off; it is `many`");
    }
}
