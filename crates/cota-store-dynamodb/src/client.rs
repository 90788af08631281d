//! A client for an interactive turn, made from the environment alone.
//!
//! Lambda gives a function its region and its credentials in variables, and so does who runs `cota` on a laptop. Profiles, single
//! sign-on and instance metadata are not read: the AWS command line turns them into variables
//! (`eval "$(aws configure export-credentials --format env)"`).

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::{Client, Config};
use cota_driver::http::HttpSend;

use crate::transport::Transport;

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

/// A client of the account, region and endpoint that the environment names, which calls by way of `http`.
///
/// # Errors
/// If the region or the credentials are missing, with the variables to set.
pub fn client_from_environment(http: Arc<dyn HttpSend>) -> Result<Client, AccessError> {
    Ok(Client::from_conf(config(|name| std::env::var(name).ok(), http)?.build()))
}

/// What [`client_from_environment`] is made with, to be added to.
///
/// # Errors
/// If the region or the credentials are missing, with the variables to set.
pub fn config(variable: impl Fn(&str) -> Option<String>, http: Arc<dyn HttpSend>) -> Result<Builder, AccessError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let missing = |what, variables| AccessError { what, variables };
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).ok_or_else(|| missing("a region", "AWS_REGION"))?;
    let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
    let (id, secret) = keys.ok_or_else(|| missing("credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))?;
    let credentials = Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment");
    let endpoint = set("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| set("AWS_ENDPOINT_URL"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(credentials)
        .http_client(Transport::over(http))
        // An attempt has its own end.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF).with_max_backoff(LONGEST_BACKOFF),
        )
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build());
    Ok(match endpoint {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use cota_driver::http::{HttpError, HttpRequest, HttpResponse};

    use super::*;

    /// No network.
    struct Nowhere;

    #[async_trait]
    impl HttpSend for Nowhere {
        async fn send(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            Err(HttpError::Connect)
        }
    }

    fn of(variables: &[(&str, &str)]) -> Result<Config, AccessError> {
        let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        config(found, Arc::new(Nowhere)).map(Builder::build)
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
