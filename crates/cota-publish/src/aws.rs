//! Requests to AWS, signed with Signature Version 4: those of a place here, and whatever else a deployment on AWS asks for.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use cota_core::ids::Timestamp;
use cota_driver::address::Reach;
use cota_driver::http::HttpRequest;
use http::header::HeaderName;
use http::{HeaderValue, Method};
use url::Url;

/// Who asks, and where.
#[derive(Clone)]
pub struct Aws {
    key: String,
    secret: String,
    token: Option<String>,
    region: String,
    /// Where services are instead of at AWS, by their names.
    endpoints: Vec<(&'static str, Url)>,
}

/// Why AWS cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// A variable is missing.
    #[error("set the variable {0}; `eval \"$(aws configure export-credentials --format env)\"` sets the credentials of a profile")]
    Missing(&'static str),
    /// The address of a service is none.
    #[error("`{0}` is no address of a web server; see AWS_ENDPOINT_URL and its kin")]
    Endpoint(String),
    /// A request cannot be signed or sent.
    #[error("the request cannot be signed: {0}")]
    Signing(String),
}

/// The services, and the variables that move them.
const ENDPOINTS: [(&str, &str); 6] = [
    ("s3", "AWS_ENDPOINT_URL_S3"),
    ("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"),
    ("sqs", "AWS_ENDPOINT_URL_SQS"),
    ("ssm", "AWS_ENDPOINT_URL_SSM"),
    ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    ("states", "AWS_ENDPOINT_URL_SFN"),
];

impl Aws {
    /// What the variables say that AWS's own tools read.
    ///
    /// # Errors
    /// When a key or the region is missing, or an endpoint is no address.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, AwsError> {
        let read = |name: &str| env(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| read(name).ok_or(AwsError::Missing(name));
        let mut endpoints = Vec::new();
        for (service, variable) in ENDPOINTS {
            if let Some(text) = read(variable).or_else(|| read("AWS_ENDPOINT_URL")) {
                endpoints.push((service, Url::parse(&text).map_err(|_| AwsError::Endpoint(text))?));
            }
        }
        Ok(Self {
            key: needed("AWS_ACCESS_KEY_ID")?,
            secret: needed("AWS_SECRET_ACCESS_KEY")?,
            token: read("AWS_SESSION_TOKEN"),
            region: read("AWS_REGION").map_or_else(|| needed("AWS_DEFAULT_REGION").map_err(|_| AwsError::Missing("AWS_REGION")), Ok)?,
            endpoints,
        })
    }

    /// Where a service is: the region's own, unless a variable moves it.
    ///
    /// # Errors
    /// When the region makes no address.
    pub fn endpoint(&self, service: &str) -> Result<Url, AwsError> {
        if let Some((_, url)) = self.endpoints.iter().find(|(name, _)| *name == service) {
            return Ok(url.clone());
        }
        let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
        let text = format!("https://{service}.{}.amazonaws.com{china}", self.region);
        Url::parse(&text).map_err(|_| AwsError::Endpoint(text))
    }

    /// A signed request.
    ///
    /// # Errors
    /// When a part of it cannot be signed or sent.
    pub fn request(
        &self,
        service: &str,
        (method, url): (Method, Url),
        headers: &[(&'static str, &str)],
        body: Bytes,
        now: Timestamp,
    ) -> Result<HttpRequest, AwsError> {
        let failed = |error: &dyn fmt::Display| AwsError::Signing(error.to_string());
        let identity = Credentials::new(&self.key, &self.secret, self.token.clone(), None, "environment").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(UNIX_EPOCH + Duration::from_millis(now.0))
            .settings(settings(service))
            .build()
            .map_err(|error| failed(&error))?;
        let signable = SignableRequest::new(method.as_str(), url.as_str(), headers.iter().copied(), SignableBody::Bytes(&body));
        let signable = signable.map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|error| failed(&error))?.into_parts();
        let mut request = HttpRequest::new(method, url, Reach::Named).map_err(|error| failed(&error))?;
        request.body = body;
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
            value.set_sensitive(name == http::header::AUTHORIZATION || name == "x-amz-security-token");
            request.headers.insert(name, value);
        }
        Ok(request)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("region", &self.region).finish_non_exhaustive()
    }
}

/// S3 signs its paths as they are and wants the body's hash as a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}
