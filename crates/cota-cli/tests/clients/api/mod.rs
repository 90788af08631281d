//! `schemathesis` against the description of the routes: no fault of the server, and no answer that is not described.

use std::process::Command;

use tempfile::tempdir;

use super::{PYTHON, passes, pip};
use cota_testkit::targets::laptop::{Cota, Store};

const WEATHER: &str = "../../../../examples/weather";
/// Answers are held against these.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method";

#[test]
fn whatever_is_asked_is_answered_as_described() {
    let packages = pip("schemathesis", "api/");
    let home = tempdir().unwrap();
    let store = home.path().join("cota.db");
    let key = new_key(&format!("sqlite:{}", store.display()));
    let server = Cota::start_with(&[WEATHER], &Store::Sqlite(store), "", &[("COTA_LIMIT_REQUESTS", "off")]);
    let url = format!("http://{}", server.address);
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages.join("packages")).current_dir(home.path());
    python.args(["-m", "schemathesis.cli", "run", &format!("{url}/openapi.json"), "--url", &url]);
    python.args(["--header", &format!("Authorization: Bearer {key}")]);
    python.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1"]);
    // A stream that does not end cannot be waited for.
    python.args(["--exclude-path", "/sse", "--request-timeout", "60", "--generation-database", "none", "--no-color"]);
    passes(python, PYTHON);
}

/// An API key that may do everything.
fn new_key(store: &str) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_cota"))
        .args(["key", "create", "--scopes", "chat,inspect,operator", "--store", store])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}
