//! Where an LLM is asked and with which headers: worked out once for all calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cota_core::bot::{Llm, LlmKind};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use url::Url;

use super::request::Unsendable;
use crate::http::HttpRequest;
use cota_driver::address::Reach;

const DEFAULT_BASE: &str = "https://api.openai.com/v1";
const COMPLETIONS: &str = "/chat/completions";

/// Most endpoints that are remembered. Past it all are forgotten, which costs each of them one more preparation.
const MOST: usize = 1024;

/// The requests of every endpoint, ready but for what is asked. To parse and judge an address takes longer than to copy it.
#[derive(Default)]
pub(super) struct Endpoints {
    prepared: Mutex<HashMap<Source, HttpRequest>>,
}

/// All that such a request depends on.
#[derive(PartialEq, Eq, Hash)]
struct Source {
    custom: bool,
    apibase: String,
    key: Option<String>,
}

impl Endpoints {
    /// A request to an endpoint, without a body.
    pub(super) fn request(&self, llm: &Llm) -> Result<HttpRequest, Unsendable> {
        let source = Source {
            custom: llm.kind == LlmKind::Custom,
            apibase: llm.apibase.clone(),
            key: llm.key.as_ref().map(|key| key.reveal().to_owned()),
        };
        // Nothing panics while it holds the lock, and what is remembered is never half there.
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = prepared.get(&source) {
            return Ok(request.clone());
        }
        let request = prepare(llm)?;
        if prepared.len() >= MOST {
            prepared.clear();
        }
        prepared.insert(source, request.clone());
        Ok(request)
    }
}

fn prepare(llm: &Llm) -> Result<HttpRequest, Unsendable> {
    // The author wrote the address, so it may be a private one: a model on the same machine, say.
    let mut request = HttpRequest::new(Method::POST, address(llm)?, Reach::Named)?;
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = llm.key.as_ref().filter(|key| !key.reveal().is_empty()) {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).map_err(|_| Unsendable::BadKey)?;
        bearer.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

fn address(llm: &Llm) -> Result<Url, Unsendable> {
    let base = llm.apibase.trim();
    match &llm.kind {
        LlmKind::Custom if base.is_empty() => Err(Unsendable::NoBase),
        LlmKind::Custom => Url::parse(base).map_err(|_| Unsendable::BadBase),
        LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Examples => {
            let base = if base.is_empty() { DEFAULT_BASE } else { base };
            let mut url = Url::parse(base).map_err(|_| Unsendable::BadBase)?;
            let path = url.path().trim_end_matches('/').to_owned();
            if !path.ends_with(COMPLETIONS) {
                url.set_path(&format!("{path}{COMPLETIONS}"));
            }
            Ok(url)
        }
    }
}

#[cfg(test)]
mod tests {
    use cota_core::bot::Secret;

    use super::*;
    use crate::testing::llm;
    use cota_driver::address::Forbidden;

    #[test]
    fn the_base_is_completed_to_the_address() {
        for (base, address) in [
            ("", "https://api.openai.com/v1/chat/completions"),
            ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
            ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
            (" http://localhost:11434/v1 ", "http://localhost:11434/v1/chat/completions"),
            ("https://api.example.com", "https://api.example.com/chat/completions"),
            ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1/chat/completions"),
            ("https://api.example.com/v1/chat/completions/", "https://api.example.com/v1/chat/completions/"),
            ("https://api.example.com/d%20x/?v=1", "https://api.example.com/d%20x/chat/completions?v=1"),
        ] {
            let request = prepare(&Llm { apibase: base.to_owned(), ..llm() }).unwrap();
            assert_eq!(request.url().as_str(), address, "{base}");
        }
        let custom = Llm { kind: LlmKind::Custom, apibase: "http://localhost:9/ask".to_owned(), ..llm() };
        assert_eq!(prepare(&custom).unwrap().url().as_str(), "http://localhost:9/ask");
    }

    #[test]
    fn an_endpoint_that_cannot_be_asked_says_why() {
        let fault = |llm: Llm| prepare(&llm).err().unwrap();
        assert_eq!(fault(Llm { apibase: "localhost".to_owned(), ..llm() }), Unsendable::BadBase);
        assert_eq!(fault(Llm { apibase: "ftp://example.com".to_owned(), ..llm() }), Unsendable::Forbidden(Forbidden::NotHttp));
        assert_eq!(fault(Llm { apibase: "http://169.254.169.254".to_owned(), ..llm() }), Unsendable::Forbidden(Forbidden::Metadata));
        assert_eq!(fault(Llm { apibase: String::new(), kind: LlmKind::Custom, ..llm() }), Unsendable::NoBase);
        assert_eq!(fault(Llm { key: Some(Secret::new("a\nb")), ..llm() }), Unsendable::BadKey);
    }

    #[test]
    fn the_key_travels_as_a_header_that_does_not_show_itself() {
        let request = prepare(&Llm { key: Some(Secret::new("canary")), ..llm() }).unwrap();
        assert_eq!(request.headers.get(AUTHORIZATION).unwrap(), "Bearer canary");
        assert!(!format!("{:?}", request.headers).contains("canary"));
        assert!(prepare(&Llm { key: None, ..llm() }).unwrap().headers.get(AUTHORIZATION).is_none());
    }

    #[test]
    fn what_is_remembered_is_the_endpoints_own() {
        let endpoints = Endpoints::default();
        let one = llm();
        let others = [
            Llm { apibase: "http://localhost/v2".to_owned(), ..llm() },
            Llm { key: Some(Secret::new("other")), ..llm() },
            Llm { kind: LlmKind::Custom, ..llm() },
        ];
        let seen = |llm: &Llm| {
            let request = endpoints.request(llm).unwrap();
            (request.url().to_string(), request.headers, request.method, request.body)
        };
        let first = seen(&one);
        for other in others {
            assert_ne!(seen(&other), first);
            assert_eq!(seen(&other), seen(&other));
            assert_eq!(seen(&one), first);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_each_time_and_not_remembered() {
        let endpoints = Endpoints::default();
        let forbidden = Llm { apibase: "http://169.254.169.254".to_owned(), ..llm() };
        for _ in 0..2 {
            assert_eq!(endpoints.request(&forbidden).err(), Some(Unsendable::Forbidden(Forbidden::Metadata)));
        }
        assert!(endpoints.prepared.lock().unwrap().is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_the_bound() {
        let endpoints = Endpoints::default();
        for n in 0..=MOST {
            let base = format!("http://localhost/{n}");
            let request = endpoints.request(&Llm { apibase: base.clone(), ..llm() }).unwrap();
            assert_eq!(request.url().as_str(), format!("{base}{COMPLETIONS}"));
            assert!(endpoints.prepared.lock().unwrap().len() <= MOST);
        }
    }
}
