//! The events that HTTP requests come in: a Function URL's, and a REST API's.
//!
//! They are read here because a request is what anybody may send: `lambda_http` panics at a `Host` that makes no URL, and answers
//! what it cannot read with an error of the function where the caller should get a 4xx.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{COOKIE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use serde::Deserialize;

use cota_gateway::ClientAddress;

/// A request, and the name that AWS reached the function under.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request: Request<Body>,
    pub(crate) domain: Option<String>,
}

/// Values of one name: one, or several.
type Many = BTreeMap<String, Vec<String>>;
type One = BTreeMap<String, String>;

/// A request in either shape; each has what the other lacks.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    path: Option<String>,
    http_method: Option<String>,
    headers: Option<One>,
    multi_value_headers: Option<Many>,
    query_string_parameters: Option<One>,
    multi_value_query_string_parameters: Option<Many>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    http: Http,
    identity: Caller,
    domain_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Http {
    method: Option<String>,
    source_ip: Option<String>,
}

/// Who API Gateway says the caller is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Caller {
    source_ip: Option<String>,
}

impl Caller {
    /// From where it calls.
    pub(crate) fn address(&self) -> Option<ClientAddress> {
        address(self.source_ip.as_deref()?)
    }
}

/// Reads a request.
///
/// # Errors
/// What is wrong with it, for its sender.
pub(crate) fn read(event: &[u8]) -> Result<Incoming, String> {
    let event: Event =
        serde_json::from_slice(event).map_err(|error| format!("this is no HTTP request of a Function URL or a REST API: {error}"))?;
    let method = event.request_context.http.method.as_deref().or(event.http_method.as_deref()).ok_or("the request has no method")?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "the request's method is none of HTTP")?;
    let uri = event.target()?;
    let mut headers = headers(event.headers.as_ref(), event.multi_value_headers.as_ref())?;
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty()) {
        headers.insert(COOKIE, HeaderValue::from_str(&cookies.join("; ")).map_err(|_| "a cookie has a control character")?);
    }
    let context = event.request_context;
    let address = context.http.source_ip.as_deref().and_then(address).or_else(|| context.identity.address());
    let domain = context.domain_name;
    // AWS has found the function by this name, whatever the header says.
    if let Some(name) = &domain {
        headers.insert(HOST, HeaderValue::from_str(name).map_err(|_| "the domain has a control character")?);
    }
    let body = match (event.body, event.is_base64_encoded) {
        (None, _) => Vec::new(),
        (Some(text), false) => text.into_bytes(),
        (Some(text), true) => STANDARD.decode(text).map_err(|_| "the body is said to be base64, and is not")?,
    };
    let mut request = Request::new(Body::from(body));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    if let Some(address) = address {
        request.extensions_mut().insert(address);
    }
    Ok(Incoming { request, domain })
}

fn address(text: &str) -> Option<ClientAddress> {
    text.parse::<IpAddr>().ok().map(ClientAddress)
}

impl Event {
    /// Path and query, as HTTP writes them.
    fn target(&self) -> Result<Uri, String> {
        let path = self.raw_path.as_deref().or(self.path.as_deref()).ok_or("the request has no path")?;
        let query = match &self.raw_query_string {
            Some(raw) => raw.clone(),
            None => query(self.query_string_parameters.as_ref(), self.multi_value_query_string_parameters.as_ref()),
        };
        let path = path.replace(' ', "%20");
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        if !target.starts_with('/') {
            return Err("the request's path does not begin with a slash".to_owned());
        }
        target.parse().map_err(|_| "the request's path or query cannot be read".to_owned())
    }
}

/// A query from its decoded names and values; several of a name come first.
pub(crate) fn query(one: Option<&One>, many: Option<&Many>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, values) in many.into_iter().flatten() {
        for value in values {
            query.append_pair(name, value);
        }
    }
    for (name, value) in one.into_iter().flatten().filter(|(name, _)| many.is_none_or(|many| !many.contains_key(*name))) {
        query.append_pair(name, value);
    }
    query.finish()
}

/// Headers from their names and values, of each name as often as it was sent.
pub(crate) fn headers(one: Option<&One>, many: Option<&Many>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut append = |name: &str, value: &str| {
        let fault = || "a header has a character that headers may not have".to_owned();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| fault())?);
        Ok::<(), String>(())
    };
    for (name, values) in many.into_iter().flatten() {
        values.iter().try_for_each(|value| append(name, value))?;
    }
    for (name, value) in one.into_iter().flatten().filter(|(name, _)| many.is_none_or(|many| !many.contains_key(*name))) {
        append(name, value)?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_from_the_address_that_aws_has_seen() {
        for (event, expected) in [
            (include_str!("../tests/functions/events/http/function-url.json"), Some("65.78.31.245")),
            (include_str!("../tests/functions/events/http/rest-api.json"), Some("192.168.100.1")),
            (include_str!("../tests/functions/events/http/path-with-space.json"), None),
        ] {
            let Incoming { request, .. } = read(event.as_bytes()).unwrap();
            let address = request.extensions().get::<ClientAddress>().copied();
            assert_eq!(address, expected.map(|text| ClientAddress(text.parse().unwrap())));
        }
    }
}
