//! Redis: Debian's `redis-server`, in memory only.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::{Service, apt, free_port};

/// A Redis server of its own.
#[derive(Debug)]
pub struct Redis {
    service: Service,
    port: u16,
}

impl Redis {
    /// Starts it. It keeps nothing on disk.
    #[must_use]
    pub fn start() -> Self {
        let program = apt("redis-server", &["redis-server"]);
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        let service = Service::start("redis-server", &mut command, || answers(port));
        Self { service, port }
    }

    /// Its address for clients that speak Redis' own protocol.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as `kill -9` does: it forgets everything.
    pub fn kill(&mut self) {
        self.service.kill();
    }
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<[u8; 7]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer == *b"+PONG\r\n")
}
