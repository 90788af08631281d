//! The web page at `/`: a chat, and beside it why the bot does what it does.
//!
//! The task view beside it is loaded when it is wanted.
//!
//! The page is a client like any other: it speaks the WebSocket's frames, and reads the record of a conversation over HTTP. It
//! is plain files that are compiled in, so that it needs no build, no folder and no network.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use cota_protocol::problem::{Code, Problem};

use crate::gateway::Gateway;
use crate::operations::welcome;
use crate::respond::{self, Refusal};

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

const PAGE: Asset = Asset { name: "index.html", content_type: HTML, text: include_str!("assets/index.html") };

/// What the page loads from `/page/`.
const PARTS: [Asset; 12] = [
    Asset { name: "style.css", content_type: CSS, text: include_str!("assets/style.css") },
    Asset { name: "early.js", content_type: SCRIPT, text: include_str!("assets/early.js") },
    Asset { name: "access.js", content_type: SCRIPT, text: include_str!("assets/access.js") },
    Asset { name: "app.js", content_type: SCRIPT, text: include_str!("assets/app.js") },
    Asset { name: "chat.js", content_type: SCRIPT, text: include_str!("assets/chat.js") },
    Asset { name: "dom.js", content_type: SCRIPT, text: include_str!("assets/dom.js") },
    Asset { name: "inspector.js", content_type: SCRIPT, text: include_str!("assets/inspector.js") },
    Asset { name: "invite.js", content_type: SCRIPT, text: include_str!("assets/invite.js") },
    Asset { name: "line.js", content_type: SCRIPT, text: include_str!("assets/line.js") },
    Asset { name: "memory.js", content_type: SCRIPT, text: include_str!("assets/memory.js") },
    Asset { name: "record.js", content_type: SCRIPT, text: include_str!("assets/record.js") },
    Asset { name: "words.js", content_type: SCRIPT, text: include_str!("assets/words.js") },
];

/// What it loads from there once somebody wants a task: the chat is there at once, whatever tasks take.
const TASK_VIEW: [Asset; 5] = [
    Asset { name: "task.css", content_type: CSS, text: include_str!("assets/task.css") },
    Asset { name: "task.js", content_type: SCRIPT, text: include_str!("assets/task.js") },
    Asset { name: "task-graph.js", content_type: SCRIPT, text: include_str!("assets/task-graph.js") },
    Asset { name: "task-time.js", content_type: SCRIPT, text: include_str!("assets/task-time.js") },
    Asset { name: "task-words.js", content_type: SCRIPT, text: include_str!("assets/task-words.js") },
];

/// The files that the page loads. They are no part of the API, so its description leaves them out.
pub(crate) fn parts() -> Router<Gateway> {
    Router::new().route("/page/{name}", get(part))
}

/// The page for a browser, the list of routes for everybody else.
pub(crate) async fn home(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { PAGE.answer(&headers) } else { welcome().await }
}

async fn part(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let part = PARTS.iter().chain(&TASK_VIEW).find(|part| part.name == name);
    let part = part.ok_or_else(|| Problem::new(Code::NotFound, "the page has no such file; load / anew"))?;
    Ok(part.answer(&headers))
}

/// A file of the page.
struct Asset {
    name: &'static str,
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

    fn bytes<'a>(assets: impl IntoIterator<Item = &'a Asset>) -> usize {
        assets.into_iter().map(|asset| asset.lean().len()).sum()
    }

    fn all() -> impl Iterator<Item = &'static Asset> {
        PARTS.iter().chain(&TASK_VIEW).chain([&PAGE])
    }

    #[test]
    fn the_page_is_small_and_loads_every_part_of_it() {
        let (chat, tasks) = (bytes(PARTS.iter().chain([&PAGE])), bytes(&TASK_VIEW));
        assert!(chat < 60_000, "the page has {chat} bytes");
        assert!(tasks < 30_000, "the task view has {tasks} bytes");
        let loads = |name: &str| all().any(|asset| asset.text.contains(&format!("/{name}\"")));
        for part in PARTS.iter().chain(&TASK_VIEW) {
            assert!(loads(part.name), "{} is loaded by nothing", part.name);
        }
    }

    #[test]
    fn comments_stay_at_home() {
        let script = Asset { name: "", content_type: SCRIPT, text: "// why\n\n/** what */\nif (a)\n\treturn \"// kept\";\n" };
        assert_eq!(script.lean(), "if (a)\nreturn \"// kept\";\n");
        let style = Asset { name: "", content_type: CSS, text: "* { a: b, c; d: \"→ \" }\n" };
        assert_eq!(style.lean(), "*{a:b,c;d:\"→ \"}\n");
    }

    #[test]
    fn no_script_and_no_style_stands_in_the_markup() {
        for forbidden in ["<style", "style=", "onclick=", "onload=", "javascript:", "http://", "innerHTML"] {
            for asset in all() {
                assert!(!asset.text.contains(forbidden), "{} has {forbidden}", asset.name);
            }
        }
        assert!(!PAGE.text.contains("<script>"));
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
