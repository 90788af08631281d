use std::fmt;

use url::Url;

use crate::settings::Environment;

/// What calls are signed with: Lambda puts a role's own into the environment.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Credentials {
    pub(crate) fn of(environment: &Environment) -> Option<Self> {
        let read = |name| environment.get(name);
        Some(Self { key: read("AWS_ACCESS_KEY_ID")?, secret: read("AWS_SECRET_ACCESS_KEY")?, token: read("AWS_SESSION_TOKEN") })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Where services are: the region's own, or what the variables say that AWS's SDKs read, too.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) region: String,
    endpoints: Vec<(String, String)>,
}

/// The services that have an address of their own, and the variables that move them.
const ENDPOINTS: [(&str, &str); 3] =
    [("sqs", "AWS_ENDPOINT_URL_SQS"), ("ssm", "AWS_ENDPOINT_URL_SSM"), ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER")];

impl Place {
    pub(crate) fn of(environment: &Environment) -> Option<Self> {
        let region = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"))?;
        let every = environment.get("AWS_ENDPOINT_URL");
        let endpoint = |(service, variable): (&str, &str)| {
            let url = environment.get(variable).or_else(|| every.clone())?;
            Some((service.to_owned(), url))
        };
        Some(Self { region, endpoints: ENDPOINTS.into_iter().filter_map(endpoint).collect() })
    }

    /// The address of a service.
    pub(crate) fn service(&self, service: &str) -> Result<Url, String> {
        let moved = self.endpoints.iter().find(|(name, _)| name == service).map(|(_, url)| url.clone());
        let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
        let url = moved.unwrap_or_else(|| format!("https://{service}.{}.amazonaws.com{china}/", self.region));
        Url::parse(&url).map_err(|error| format!("the address `{url}` of {service} cannot be read: {error}"))
    }
}
