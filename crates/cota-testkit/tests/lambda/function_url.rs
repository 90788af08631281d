//! A Function URL that streams: what it hands over, and what it makes of an answer.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cota_testkit::client::http;
use cota_testkit::lambda::FunctionUrl;
use cota_testkit::services::{free_port, pip};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{events_in, function, names, sample, script};

const PATH: &str = "/my/pa%20th?a=1&a=2&b=c%20d";
/// How long an answer may take: a guard against hangs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const HEADERS: [&str; 3] = ["cookie: x=1; y=2", "accept: */*", "user-agent: tests"];

/// Sends something to an address, whatever it answers.
async fn post(address: &str, prefix: &str, content_type: &str, body: &[u8]) {
    let content_type = format!("content-type: {content_type}");
    let headers: Vec<&str> = HEADERS.into_iter().chain([content_type.as_str()]).collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {prefix}{PATH} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{}\r\n\r\n",
        body.len(),
        headers.join("\r\n")
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    let whole = tokio::time::timeout(ANSWERED_WITHIN, stream.read_to_end(&mut answer)).await;
    whole.unwrap_or_else(|_| panic!("{address} does not answer {prefix}{PATH}")).unwrap();
}

#[tokio::test]
async fn a_request_is_handed_over_in_the_documented_form() {
    let function = function();
    let url = FunctionUrl::start(function.clone()).await;
    post(&url.address(), "", "application/json", br#"{"text": "hi"}"#).await;
    let event = events_in(&function.logged()).remove(0);
    let known: BTreeSet<String> = names(&event).into_iter().collect();
    let documented = names(&sample("http/function-url.json"));
    let missing: Vec<&String> = documented.iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing: {event}");
    assert_eq!((&event["version"], &event["routeKey"]), (&json!("2.0"), &json!("$default")));
    assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/my/pa%20th"), &json!("a=1&a=2&b=c%20d")));
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
}

/// Runs `cargo lambda watch` with the function beside it.
struct CargoLambda {
    watch: std::process::Child,
    function: std::process::Child,
    address: String,
    folder: tempfile::TempDir,
}

impl CargoLambda {
    const VERSION: &str = "1.9.2";

    async fn start() -> Self {
        let packages = pip(&format!("pip-cargo-lambda-{}", Self::VERSION), &["--no-deps", &format!("cargo-lambda=={}", Self::VERSION)]);
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        // It wants a package, and builds nothing of it.
        fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"tried\"\nversion = \"0.1.0\"\n[workspace]\n").unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/main.rs"), "fn main() {}\n").unwrap();
        let mut watch = Command::new(packages.join("bin/cargo-lambda"))
            .args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        while TcpStream::connect(&address).await.is_err() {
            assert!(watch.try_wait().unwrap().is_none(), "cargo lambda ended before it listened on {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let function = Command::new("python3")
            .arg(script())
            .env("AWS_LAMBDA_RUNTIME_API", format!("{address}/.rt/tried"))
            .stdout(fs::File::create(folder.path().join("log.txt")).unwrap())
            .spawn()
            .unwrap();
        Self { watch, function, address, folder }
    }

    /// The events that the function wrote down.
    fn events(&self) -> Vec<Json> {
        events_in(&fs::read_to_string(self.folder.path().join("log.txt")).unwrap())
    }
}

impl Drop for CargoLambda {
    fn drop(&mut self) {
        for child in [&mut self.watch, &mut self.function] {
            // One that has ended already is as good as one that is ended here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn cargo_lambda_hands_over_the_same() {
    let function = function();
    let (url, other) = (FunctionUrl::start(function.clone()).await, CargoLambda::start().await);
    let requests = [
        ("application/json", br#"{"text": "hi"}"#.as_slice()),
        ("text/plain; charset=utf-8", "grüß".as_bytes()),
        ("application/octet-stream", b"\xff\xfe"),
        ("application/octet-stream", b"words"),
        ("application/x-www-form-urlencoded", b"a=b"),
    ];
    for (content_type, body) in requests {
        post(&url.address(), "", content_type, body).await;
        post(&other.address, "/lambda-url/tried", content_type, body).await;
    }
    let (ours, theirs) = (events_in(&function.logged()), other.events());
    assert_eq!((ours.len(), theirs.len()), (requests.len(), requests.len()));
    for (((content_type, _), ours), theirs) in requests.iter().zip(&ours).zip(&theirs) {
        for name in ["version", "routeKey", "rawPath", "rawQueryString", "queryStringParameters", "cookies", "body", "isBase64Encoded"] {
            assert_eq!(ours[name], theirs[name], "{content_type}: {name}");
        }
        for name in
            ["/requestContext/http/method", "/requestContext/http/path", "/requestContext/stage", "/headers/cookie", "/headers/accept"]
        {
            assert_eq!(ours.pointer(name), theirs.pointer(name), "{content_type}: {name}");
        }
    }
}

#[tokio::test]
async fn an_answer_has_the_status_the_headers_and_the_cookies_of_its_head() {
    let url = FunctionUrl::start(function()).await;
    let mut stream = TcpStream::connect(url.address()).await.unwrap();
    stream.write_all(b"GET /tell HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 203"), "{answer}");
    for header in ["content-type: application/json", "x-mode: streaming", "set-cookie: a=1", "set-cookie: b=2"] {
        assert!(answer.contains(&format!("{header}\r\n")), "{header} is missing: {answer}");
    }
}

#[tokio::test]
async fn an_answer_comes_as_it_is_written() {
    let url = FunctionUrl::start(function()).await;
    let mut stream = TcpStream::connect(url.address()).await.unwrap();
    stream.write_all(b"GET /slowly HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut so_far, mut first) = (Vec::new(), None);
    while stream.read_buf(&mut so_far).await.unwrap() > 0 {
        if first.is_none() && so_far.windows(4).any(|bytes| bytes == b"one,") {
            first = Some(Instant::now());
        }
    }
    assert!(so_far.windows(3).any(|bytes| bytes == b"two"));
    assert!(first.unwrap().elapsed() >= Duration::from_millis(200), "the first piece waited for the last");
}

#[tokio::test]
async fn a_function_without_an_answer_is_a_502_and_one_that_breaks_off_ends_the_connection() {
    let url = FunctionUrl::start(function()).await;
    for path in ["/fail", "/die"] {
        let answer = http::get(&url.address(), path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (502, "Internal Server Error"), "{path}");
    }
    let broken = http::get(&url.address(), "/break").await;
    assert!(broken.is_err(), "{broken:?}");
}

#[tokio::test]
async fn a_request_over_six_megabytes_is_refused() {
    let url = FunctionUrl::start(function()).await;
    let body = vec![b'x'; 6 * 1024 * 1024 + 1];
    let answer = http::post(&url.address(), "/tell", &[], &body).await.unwrap();
    assert_eq!(answer.status, 413, "{answer:?}");
}
