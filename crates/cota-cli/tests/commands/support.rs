//! The binary, folders to call it in, and a client for its server.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

/// Only catches a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder to call the command in.
pub(crate) struct Home {
    folder: TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A folder that is a copy of an example bot.
    pub(crate) fn with(example: &str) -> Self {
        let home = Self::new();
        assert_eq!(home.cota(&["init", "--template", example]).code, 0);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program for the shell, as a bot's script.
    pub(crate) fn write_script(&self, file: &str, lines: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(file, &format!("#!/bin/sh\n{lines}\n"));
        fs::set_permissions(self.path().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Changes a text that is in the file.
    pub(crate) fn change(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{from} is not in {file}");
        self.write(file, &text.replace(from, to));
    }

    /// Calls the command here.
    pub(crate) fn cota(&self, arguments: &[&str]) -> Called {
        self.cota_with_input(arguments, "")
    }

    /// Calls the command here, with something to read.
    pub(crate) fn cota_with_input(&self, arguments: &[&str], input: &str) -> Called {
        let mut child = self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Called::of(&child.wait_with_output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cota"));
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COTA_")) {
            command.env_remove(name);
        }
        command
    }

    /// Serves the bot here on a free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, &[])
    }

    /// As [`serve`](Self::serve), with more variables.
    pub(crate) fn serve_with(&self, arguments: &[&str], variables: &[(&str, String)]) -> Server {
        let log = self.path().join("log.txt");
        let mut child = self
            .command(&["run", "--port", "0"])
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let said = fs::read_to_string(&log).unwrap_or_default();
        let address = line.trim().strip_prefix("Listening on http://").unwrap_or_else(|| panic!("`{line}` is no address; it said {said}"));
        Server { child, address: address.to_owned(), log, _output: output }
    }
}

impl Called {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// `cota run` as a child process; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// `host:port`.
    pub(crate) address: String,
    log: PathBuf,
    /// Kept open: a process whose output nobody reads may end.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Says something in a conversation and returns the answer's status and body.
    pub(crate) fn say(&self, conversation: &str, text: &str) -> (u16, Json) {
        let path = format!("/v1/conversations/{conversation}/messages");
        try_post(&self.address, &path, &serde_json::json!({"text": text})).unwrap()
    }

    /// The bot's first reply to a text, in a conversation of its own.
    pub(crate) fn reply(&self, conversation: &str, text: &str) -> String {
        let (status, body) = self.say(conversation, text);
        assert_eq!(status, 200, "{body}");
        body["replies"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Posts JSON and returns the answer's status and body.
    pub(crate) fn post(&self, path: &str, body: &Json) -> (u16, Json) {
        try_post(&self.address, path, body).unwrap()
    }

    /// Gets JSON again and again until it is as wanted.
    pub(crate) fn until(&self, path: &str, is_wanted: impl Fn(&Json) -> bool) -> Json {
        let mut found = Json::Null;
        until(path, || {
            found = try_get(&self.address, path).unwrap_or_default();
            is_wanted(&found)
        });
        found
    }

    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end and returns the exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let mut code = None;
        until("the server to end", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server logged:\n{}", self.logged());
        }
    }
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gets JSON.
fn try_get(address: &str, path: &str) -> Option<Json> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Posts JSON and returns the answer's status and body; nothing where the connection ends without an answer.
pub(crate) fn try_post(address: &str, path: &str, body: &Json) -> Option<(u16, Json)> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    // A connection that is cut off may end with an error, too.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Json::Null)))
}

/// Whether a process runs. One that has ended and was not waited for does not.
pub(crate) fn is_alive(process: &str) -> bool {
    let told = Command::new("ps").args(["-o", "stat=", "-p", process]).output().unwrap();
    let state = String::from_utf8(told.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// The folder of the example bots.
pub(crate) fn examples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples").to_owned()
}
