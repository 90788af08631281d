use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use cota_gateway::limits::Limits;
use cota_publish::Place;
use http::HeaderName;
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::failure::Failure;

/// How long an invocation of `turn` may last where nobody says, in seconds.
const TURN_SECONDS: f64 = 120.0;

/// The environment variables, in which references to secrets have been replaced by the secrets.
#[derive(Default)]
pub(crate) struct Environment(HashMap<String, String>);

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect())
    }

    /// A variable that says something.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn parsed<T>(&self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| Failure::Settings(format!("the variable {name} has to be {what}; it is `{text}`")))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// What the deployment says in `COTA_*` variables; template.yaml sets them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where conversations are kept.
    pub(crate) store: StorePlace,
    /// How long a conversation is kept that nobody touches; for ever where it is not said.
    pub(crate) retention: Option<Duration>,
    /// Where doorbells wait; none where nothing is to outlive an invocation.
    pub(crate) queue: Option<Url>,
    /// Where frames for connections are posted to, if there is a WebSocket API.
    pub(crate) connections: Option<Url>,
    /// The ARN of the state machine that drives tasks, if there is one.
    pub(crate) state_machine: Option<String>,
    /// A folder of bundles, instead of the bots that the build put in.
    pub(crate) bundles: Option<PathBuf>,
    /// Where newer versions of the bots are published.
    pub(crate) published: Option<BotPlace>,
    /// How much anybody may have.
    pub(crate) limits: Limits,
    /// The header in which a proxy says from where a request comes.
    pub(crate) address_header: Option<HeaderName>,
    /// Names under which pages may use this deployment, beside its own.
    pub(crate) hosts: Vec<String>,
    /// How long an invocation of `turn` may last.
    pub(crate) turn: Duration,
    pub(crate) log_level: LevelFilter,
}

/// Where conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorePlace {
    /// In this process, for trying a function out.
    Memory,
    /// In a table of DynamoDB.
    DynamoDb(String),
}

/// Where bots are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BotPlace {
    /// In a bucket of S3.
    S3(String),
    /// In a table of DynamoDB.
    DynamoDb(String),
}

impl Settings {
    pub(crate) fn of(environment: &Environment) -> Result<Self, Failure> {
        let url = |name| environment.parsed(name, "a URL", |text| Url::parse(text).ok());
        let store = environment.parsed("COTA_STORE", "dynamodb:TABLE or memory", StorePlace::read)?;
        let seconds = environment.parsed("COTA_TURN_SECONDS", "a number of seconds from 1 to 900", |text| {
            text.parse().ok().filter(|seconds| (1.0..=900.0).contains(seconds))
        })?;
        let days = environment.parsed("COTA_RETENTION_DAYS", "a number of days", |text| text.parse::<u32>().ok())?;
        let hosts = environment.get("COTA_ALLOW_HOSTS").unwrap_or_default();
        let bundles = environment.get("COTA_BUNDLES").map(PathBuf::from);
        let published = environment.parsed("COTA_PUBLISHED", "s3:BUCKET or dynamodb:TABLE", BotPlace::read)?;
        let header = environment.parsed("COTA_ADDRESS_HEADER", "a header's name", |text| text.parse().ok())?;
        let level = environment.parsed("COTA_LOG_LEVEL", "off, error, warn, info, debug or trace", |text| text.parse().ok())?;
        Ok(Self {
            store: store.ok_or_else(|| {
                Failure::Settings("the variable COTA_STORE is missing: dynamodb:TABLE, or memory to try a function out".to_owned())
            })?,
            retention: days.filter(|days| *days > 0).map(|days| Duration::from_secs(u64::from(days) * 86_400)),
            queue: url("COTA_QUEUE_URL")?,
            connections: url("COTA_CONNECTIONS_URL")?,
            state_machine: environment.get("COTA_STATE_MACHINE"),
            bundles,
            published,
            limits: Limits::of_variables(|name| environment.get(name)).map_err(|wrong| Failure::Settings(wrong.to_string()))?,
            address_header: header,
            hosts: hosts.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            turn: Duration::from_secs_f64(seconds.unwrap_or(TURN_SECONDS)),
            log_level: level.unwrap_or(LevelFilter::INFO),
        })
    }
}

impl BotPlace {
    fn read(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(Place::S3(bucket)) => Some(Self::S3(bucket)),
            Ok(Place::Dynamodb(table)) => Some(Self::DynamoDb(table)),
            Ok(Place::Kv(_)) | Err(_) => None,
        }
    }
}

impl StorePlace {
    fn read(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "memory" => Some(Self::Memory),
            Some(("dynamodb", table)) if !table.is_empty() => Some(Self::DynamoDb(table.to_owned())),
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cota_gateway::limits::Allowance;

    use super::*;

    #[test]
    fn a_deployment_says_where_everything_is() {
        let environment = Environment::from([
            ("COTA_STORE", "dynamodb:cota"),
            ("COTA_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/q"),
            ("COTA_ALLOW_HOSTS", "bot.example.org, example.com"),
            ("COTA_BUNDLES", "/opt/bots"),
            ("COTA_PUBLISHED", "s3:my-bots"),
            ("COTA_LIMIT_REQUESTS", "600:200"),
            ("COTA_LIMIT_TOKENS", "off"),
        ]);
        let settings = Settings::of(&environment).unwrap();
        assert_eq!(settings.store, StorePlace::DynamoDb("cota".to_owned()));
        assert_eq!(settings.bundles, Some(PathBuf::from("/opt/bots")));
        assert_eq!(settings.hosts, ["bot.example.org", "example.com"]);
        assert_eq!(settings.published, Some(BotPlace::S3("my-bots".to_owned())));
        let identity = Allowance { requests: Some("600:200".parse().unwrap()), ..Allowance::default() };
        assert_eq!(settings.limits, Limits { identity, ..Limits::default() });
        assert_eq!((settings.turn, settings.connections), (Duration::from_secs(120), None));
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_it_has_to_be() {
        for (name, value, says) in [
            ("COTA_STORE", "sqlite:x", "the variable COTA_STORE has to be dynamodb:TABLE or memory; it is `sqlite:x`"),
            ("COTA_QUEUE_URL", "queue", "the variable COTA_QUEUE_URL has to be a URL; it is `queue`"),
            ("COTA_PUBLISHED", "kv:bots", "the variable COTA_PUBLISHED has to be s3:BUCKET or dynamodb:TABLE; it is `kv:bots`"),
            (
                "COTA_LIMIT_TOKENS",
                "many",
                "the variable COTA_LIMIT_TOKENS has to be a number a minute, such as 600, or 600:200 for at most 200 at once, or off; it is `many`",
            ),
            ("COTA_TURN_SECONDS", "0", "the variable COTA_TURN_SECONDS has to be a number of seconds from 1 to 900; it is `0`"),
        ] {
            let mut environment = Environment::from([("COTA_STORE", "memory")]);
            environment.set(name, value.to_owned());
            assert_eq!(Settings::of(&environment).unwrap_err().to_string(), says);
        }
        let missing = Settings::of(&Environment::default()).unwrap_err();
        assert!(missing.to_string().contains("COTA_STORE is missing"), "{missing}");
    }
}
