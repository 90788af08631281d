//! The double of Cloudflare's API behaves as Cloudflare's own client, npm's `cloudflare`, expects.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use cota_testkit::services::cloudflare::Cloudflare;
use cota_testkit::services::{npm, run};

#[test]
fn the_official_client_is_content() {
    let packages = npm("npm-cloudflare-7.3.0", &["cloudflare@7.3.0"]);
    let script = packages.join("client.test.mjs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloudflare/client.test.mjs");
    std::fs::copy(&source, &script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let cloudflare = Cloudflare::start();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(&script);
    node.env("CLOUDFLARE_URL", cloudflare.url()).env("CLOUDFLARE_TOKEN", Cloudflare::TOKEN);
    node.env("CLOUDFLARE_ACCOUNT", Cloudflare::ACCOUNT).env("CLOUDFLARE_NAMESPACE", Cloudflare::NAMESPACE);
    run(&mut node, "Node 20 is needed (Debian: apt-get install nodejs)");
    let written = cloudflare.value("cota/bots/weather/pointer");
    assert_eq!(written, Some(("Grüße, 北京".as_bytes().to_vec(), serde_json::json!({"size": 14}))));
}
