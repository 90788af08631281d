//! The files that the page loads, from `/page/`.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;

use cota_protocol::problem::{Code, Problem};

use super::{Asset, CSS, SCRIPT};
use crate::gateway::Gateway;
use crate::respond::Refusal;

/// A file by its name.
type Part = (&'static str, Asset);

/// What the page always loads.
const PARTS: [Part; 12] = [
    ("style.css", css(include_str!("assets/style.css"))),
    ("early.js", script(include_str!("assets/early.js"))),
    ("access.js", script(include_str!("assets/access.js"))),
    ("app.js", script(include_str!("assets/app.js"))),
    ("chat.js", script(include_str!("assets/chat.js"))),
    ("dom.js", script(include_str!("assets/dom.js"))),
    ("inspector.js", script(include_str!("assets/inspector.js"))),
    ("invite.js", script(include_str!("assets/invite.js"))),
    ("line.js", script(include_str!("assets/line.js"))),
    ("memory.js", script(include_str!("assets/memory.js"))),
    ("record.js", script(include_str!("assets/record.js"))),
    ("words.js", script(include_str!("assets/words.js"))),
];

/// What it loads from there once somebody wants a task: the chat is there at once, whatever tasks take.
const TASK_VIEW: [Part; 5] = [
    ("task.css", css(include_str!("assets/task.css"))),
    ("task.js", script(include_str!("assets/task.js"))),
    ("task-graph.js", script(include_str!("assets/task-graph.js"))),
    ("task-time.js", script(include_str!("assets/task-time.js"))),
    ("task-words.js", script(include_str!("assets/task-words.js"))),
];

/// The files that the page loads. They are no part of the API, so its description leaves them out.
pub(crate) fn parts() -> Router<Gateway> {
    Router::new().route("/page/{name}", get(part))
}

async fn part(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let part = PARTS.iter().chain(&TASK_VIEW).find(|(known, _)| *known == name);
    let (_, part) = part.ok_or_else(|| Problem::new(Code::NotFound, "the page has no such file; load / anew"))?;
    Ok(part.answer(&headers))
}

const fn css(text: &'static str) -> Asset {
    Asset { content_type: CSS, text }
}

const fn script(text: &'static str) -> Asset {
    Asset { content_type: SCRIPT, text }
}

#[cfg(test)]
mod tests {
    use super::super::PAGE;
    use super::*;

    fn bytes(parts: &[Part]) -> usize {
        parts.iter().map(|(_, asset)| asset.lean().len()).sum()
    }

    fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        let parts = PARTS.iter().chain(&TASK_VIEW).map(|(name, asset)| (*name, asset.text));
        parts.chain([("index.html", PAGE.text)])
    }

    #[test]
    fn the_page_is_small_and_loads_every_part_of_it() {
        let (chat, tasks) = (bytes(&PARTS) + PAGE.lean().len(), bytes(&TASK_VIEW));
        assert!(chat < 60_000, "the page has {chat} bytes");
        assert!(tasks < 30_000, "the task view has {tasks} bytes");
        for (name, _) in PARTS.iter().chain(&TASK_VIEW) {
            assert!(all().any(|(_, text)| text.contains(&format!("/{name}\""))), "{name} is loaded by nothing");
        }
    }

    #[test]
    fn no_script_and_no_style_stands_in_the_markup() {
        for forbidden in ["<style", "style=", "onclick=", "onload=", "javascript:", "http://", "innerHTML"] {
            for (name, text) in all() {
                assert!(!text.contains(forbidden), "{name} has {forbidden}");
            }
        }
        assert!(!PAGE.text.contains("<script>"));
    }
}
