//! A namespace of Workers KV as workerd asks for it: a GET for each key, percent-encoded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The namespace. It ends with the runtime it was started on.
#[derive(Clone)]
pub struct Namespace {
    /// `host:port`.
    pub address: String,
    values: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Namespace {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let namespace = Self { address: listener.local_addr().unwrap().to_string(), values: Arc::default() };
        let serving = namespace.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let namespace = serving.clone();
                tokio::spawn(async move { namespace.serve(stream).await });
            }
        });
        namespace
    }

    /// Puts a value.
    pub fn put(&self, key: &str, value: impl Into<Vec<u8>>) {
        self.values.lock().unwrap().insert(key.to_owned(), value.into());
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
        let key = path.trim_start_matches('/').replace("%2F", "/");
        let value = self.values.lock().unwrap().get(&key).cloned();
        let (status, body) = value.map_or(("404 Not Found", Vec::new()), |value| ("200 OK", value));
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // Whoever asked may be gone.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
    }
}
