//! JWTs of an issuer whose keys are at an address.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use cota_testkit::tokens;

use super::support::{self, Workerd, http};

/// Seconds since 1970 in the year 2096.
const FAR: u64 = 4_000_000_000;

#[test]
fn an_issuer_is_asked_once_for_the_keys_that_check_its_tokens() {
    support::run(async {
        let (issuer, asked) = issuer().await;
        let workerd = Workerd::start_with(&[
            ("COTA_TEST_LLM", support::NO_MODEL),
            ("COTA_DEFAULT_BOT", "weather"),
            ("COTA_JWKS", issuer.as_str()),
            ("COTA_JWT_ISSUER", "https://issuer.example"),
            ("COTA_JWT_AUDIENCE", "cota"),
        ])
        .await;
        let ask = async |token: &str| {
            let header = format!("authorization: Bearer {token}");
            http::exchange(&workerd.address, "GET", "/v1/conversations/c1", &[&header], b"").await.unwrap().status
        };
        let claims = json!({"sub": "ana", "exp": FAR, "iss": "https://issuer.example", "aud": "cota"});
        let (good, forged) = (tokens::good(&claims), tokens::forged(&claims));
        // At once, before anybody has the keys. Who is let in has no such conversation.
        let statuses = tokio::join!(ask(&good[0]), ask(&forged[0]), ask(&good[2]));
        assert_eq!(statuses, (404, 401, 404));
        for token in &good {
            assert_eq!(ask(token).await, 404, "{token}");
        }
        let of_another_issuer = tokens::good(&json!({"sub": "ana", "exp": FAR, "iss": "https://evil.example", "aud": "cota"}));
        for token in forged.iter().chain(&of_another_issuer) {
            assert_eq!(ask(token).await, 401, "{token}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    });
}

/// The address of a key set, and how often it was asked for.
async fn issuer() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            // Whoever asked may be gone.
            let _ = answer(stream).await;
        }
    });
    (address, asked)
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let keys = tokens::key_set().to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", keys.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(keys.as_bytes()).await
}
