//! A client for an interactive turn, made from the environment alone.
//!
//! Lambda gives a function its region and its credentials in variables, and so does who runs `cota` on a laptop. Profiles, single
//! sign-on and instance metadata are not read: the AWS command line turns them into variables
//! (`eval "$(aws configure export-credentials --format env)"`).

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region, SharedHttpClient};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(6);
const ATTEMPTS: u32 = 4;
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// A variable that is needed, and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DynamoDB needs {what}: set {variables}")]
pub struct AccessError {
    what: &'static str,
    variables: &'static str,
}

/// A client of the account, region and endpoint that the environment names. It connects when it is first used.
///
/// # Errors
/// If the region or the credentials are missing, with the variables to set.
pub fn client_from_environment() -> Result<Client, AccessError> {
    Ok(Client::from_conf(config(|name| std::env::var(name).ok())?.build()))
}

/// What [`client_from_environment`] is made with, to be added to.
///
/// # Errors
/// If the region or the credentials are missing, with the variables to set.
pub fn config(variable: impl Fn(&str) -> Option<String>) -> Result<Builder, AccessError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let missing = |what, variables| AccessError { what, variables };
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).ok_or_else(|| missing("a region", "AWS_REGION"))?;
    let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
    let (id, secret) = keys.ok_or_else(|| missing("credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))?;
    let credentials = Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment");
    let endpoint = set("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| set("AWS_ENDPOINT_URL"));
    let is_plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(credentials)
        .http_client(http(is_plain))
        .retry_config(
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF).with_max_backoff(LONGEST_BACKOFF),
        )
        .timeout_config(
            TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build(),
        );
    Ok(match endpoint {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    })
}

/// The TLS of the rest of the tree. An endpoint without TLS does not have the system's certificates read.
fn http(is_plain: bool) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if is_plain { builder.build_http() } else { builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Config, AccessError> {
        let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        config(found).map(Builder::build)
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        assert_eq!(of(&[]).unwrap_err().to_string(), "DynamoDB needs a region: set AWS_REGION");
        let half = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "")];
        assert_eq!(of(&half).unwrap_err().to_string(), "DynamoDB needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }

    #[test]
    fn the_usual_variables_are_all_it_takes() {
        let config = of(&[("AWS_DEFAULT_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        assert_eq!(config.unwrap().region().map(AsRef::as_ref), Some("eu-central-1"));
    }
}
