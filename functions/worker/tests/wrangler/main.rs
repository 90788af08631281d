//! `wrangler dev` as the README has it: it builds the Worker, and answers a request, a socket, and the web page in Chromium.
//!
//! Needs Node with npm, which brings wrangler, workerd and the Node that wrangler wants. Chromium is looked for as the tests of the
//! page do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod wrangler;

use cota_testkit::client::{Socket, http};
use cota_testkit::services::chromium;
use serde_json::json;

use wrangler::{Wrangler, here, workspace};

const QUESTION: &str = "what is the weather in Oslo tomorrow?";
const ANSWER: &str = "Oslo, tomorrow: 12 degrees, light rain. Anything else?";

#[test]
fn wrangler_dev_serves_requests_sockets_and_the_page() {
    let wrangler = Wrangler::dev("examples/weather");
    tokio::runtime::Runtime::new().unwrap().block_on(talk(&wrangler.address));
    let url = format!("http://{}", wrangler.address);
    let page = workspace().join("crates/cota-cli/tests/page");
    println!("{}", chromium::run_tests(&page, &here().join("tests/wrangler/page.test.mjs"), &[("COTA_URL", url.as_ref())]));
}

async fn talk(address: &str) {
    let body = json!({"text": QUESTION}).to_string();
    let answer = http::post(address, "/v1/conversations/hello/messages", &[], body.as_bytes()).await.unwrap();
    assert_eq!((answer.status, answer.replies()), (200, vec![ANSWER.to_owned()]), "{answer:?}");
    let description = http::get(address, "/openapi.json").await.unwrap();
    assert!(description.status == 200 && description.body.contains("\"openapi\""), "{description:?}");
    let mut socket = Socket::join(address, "ann", "socket", &json!({})).await;
    socket.say("socket", "m1", QUESTION).await;
    assert_eq!(socket.answer_to("m1").await.unwrap()["text"], ANSWER);
}
