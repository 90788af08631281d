//! The double of Upstash behaves as the service's own client, npm's `@upstash/redis`, expects.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use cota_testkit::services::upstash::Upstash;
use cota_testkit::services::{npm, run};

#[test]
fn the_official_client_is_content() {
    let packages = npm("npm-upstash-redis-1.39.0", &["@upstash/redis@1.39.0"]);
    let script = packages.join("client.test.mjs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstash/client.test.mjs");
    std::fs::copy(&source, &script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let upstash = Upstash::start();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(&script);
    node.env("UPSTASH_URL", upstash.url()).env("UPSTASH_TOKEN", Upstash::TOKEN);
    run(&mut node, "Node 20 is needed (Debian: apt-get install nodejs)");
    assert!(upstash.calls() > 10, "the client has called");
}
