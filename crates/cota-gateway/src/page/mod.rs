//! The web page at `/`: a chat, and beside it why the bot does what it does.
//!
//! The task view beside it is loaded when it is wanted.
//!
//! The page is a client like any other: it speaks the WebSocket's frames, and reads the record of a conversation over HTTP. It
//! is plain files that are compiled in, so that it needs no build, no folder and no network.

#[cfg(feature = "files")]
mod parts;

use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::operations::welcome;
use crate::respond;

#[cfg(feature = "files")]
pub(crate) use parts::parts;

/// What the page may load, and from where: nothing but itself and images. No script and no style stands in its markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The browser may keep a file, and asks each time whether it is still the one.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PAGE: Asset = Asset { content_type: HTML, text: include_str!("assets/index.html") };

/// The page for a browser, the list of routes for everybody else.
pub(crate) async fn home(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { PAGE.answer(&headers) } else { welcome().await }
}

/// A file of the page.
struct Asset {
    content_type: &'static str,
    text: &'static str,
}

impl Asset {
    /// The file, or word that the browser's copy is good.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let text = self.lean();
        let tag = tag(&text);
        let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { respond::text(self.content_type, text) };
        let mut put = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        put(header::CONTENT_SECURITY_POLICY, POLICY);
        put(header::CACHE_CONTROL, REVALIDATE);
        // The home of browsers and the one of other clients have one address.
        put(header::VARY, HeaderValue::from_static("accept"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            put(header::ETAG, tag);
        }
        response
    }

    /// The file without what only its readers need: indentation, in scripts lines that are comments, in styles space beside
    /// punctuation. No script has a text of several lines, so every line stands for itself.
    fn lean(&self) -> String {
        let is_comment = |line: &str| self.content_type == SCRIPT && ["//", "/*", "*"].iter().any(|start| line.starts_with(start));
        let lines = self.text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !is_comment(line));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        if self.content_type != CSS {
            return text;
        }
        [(" {", "{"), ("{ ", "{"), (" }", "}"), (": ", ":"), ("; ", ";"), (", ", ",")]
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
    }
}

/// The entity tag of a text: its FNV-1a hash.
fn tag(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_at_home() {
        let script = Asset { content_type: SCRIPT, text: "// why\n\n/** what */\nif (a)\n\treturn \"// kept\";\n" };
        assert_eq!(script.lean(), "if (a)\nreturn \"// kept\";\n");
        let style = Asset { content_type: CSS, text: "* { a: b, c; d: \"→ \" }\n" };
        assert_eq!(style.lean(), "*{a:b,c;d:\"→ \"}\n");
    }

    #[test]
    fn a_copy_that_is_still_good_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        let first = PAGE.answer(&headers);
        assert_eq!(first.status(), StatusCode::OK);
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(PAGE.answer(&headers).status(), StatusCode::NOT_MODIFIED);
    }
}
