//! JWTs of an issuer whose keys are at an address.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::support::{self, Workerd, http};

/// The public key of RFC 7515, appendix A.3.
const KEY_SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"e1",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
/// Tokens that are signed with nobody's key, for `{"alg":"ES256","kid":"e1"}` and for `"kid":"e2"`.
const KNOWN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIn0.e30.AAAA";
const UNKNOWN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUyIn0.e30.AAAA";

#[test]
fn an_issuer_is_asked_for_its_keys_once_however_many_come_with_tokens() {
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
        // At once, before anybody has the keys; then with a name that the set lacks, for which it is not fetched again so soon.
        let statuses = tokio::join!(ask(KNOWN), ask(KNOWN), ask(KNOWN));
        assert_eq!(statuses, (401, 401, 401));
        assert_eq!((ask(KNOWN).await, ask(UNKNOWN).await), (401, 401));
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
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", KEY_SET.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(KEY_SET.as_bytes()).await
}
