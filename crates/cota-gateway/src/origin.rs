//! Which pages may open a socket.
//!
//! A WebSocket is not bound by CORS: any page a person visits may try to open one to any server, the one on their own machine
//! too. So a browser's `Origin` has to be the server's own, and the `Host` a name that is known to be the server's: an attacker
//! can have a name of its own resolve to this machine, so that origin and host agree (DNS rebinding).

use std::net::IpAddr;

/// Why an upgrade is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The host is missing, or none of the server's names.
    Host,
    /// The page is of another origin.
    Origin,
}

/// Checks the headers `Origin` and `Host` of an upgrade. `names` are the server's names beside `localhost` and plain addresses.
///
/// A client without an origin is no browser and may connect. A page may if it comes from the same host and port, from this
/// machine, or from one of the `names`.
///
/// # Errors
/// When the upgrade has to be refused.
pub fn check(origin: Option<&str>, host: Option<&str>, names: &[String]) -> Result<(), Refused> {
    let host = host.unwrap_or_default();
    let is_named = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let host_name = name_of(host).ok_or(Refused::Host)?;
    if !is_local_name(host_name) && !is_address(host_name) && !is_named(host_name) {
        return Err(Refused::Host);
    }
    let Some(origin) = origin else { return Ok(()) };
    let (_scheme, authority) = origin.split_once("://").ok_or(Refused::Origin)?;
    let origin_name = name_of(authority).ok_or(Refused::Origin)?;
    if authority.eq_ignore_ascii_case(host) || is_loopback(origin_name) || is_named(origin_name) {
        return Ok(());
    }
    Err(Refused::Origin)
}

/// The name before the port, without an address' brackets; `None` if it is no authority.
fn name_of(authority: &str) -> Option<&str> {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.split_once(':').map_or(authority, |(name, _)| name),
    };
    (!name.is_empty() && !name.contains(['/', '@', '?', '#'])).then_some(name)
}

fn is_local_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn is_loopback(name: &str) -> bool {
    is_local_name(name) || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_open_a_socket() {
        let names = ["bot.example.org".to_owned()];
        for (origin, host, expected) in [
            (None, Some("127.0.0.1:5005"), Ok(())),
            (None, Some("localhost"), Ok(())),
            (None, Some("[::1]:5005"), Ok(())),
            (None, Some("192.168.1.7:5005"), Ok(())),
            (None, Some("Bot.Example.org"), Ok(())),
            (None, Some("evil.example"), Err(Refused::Host)),
            (None, Some(""), Err(Refused::Host)),
            (None, None, Err(Refused::Host)),
            (Some("http://localhost:5005"), Some("localhost:5005"), Ok(())),
            (Some("http://localhost:3000"), Some("127.0.0.1:5005"), Ok(())),
            (Some("http://[::1]:3000"), Some("127.0.0.1:5005"), Ok(())),
            (Some("http://app.localhost:3000"), Some("127.0.0.1:5005"), Ok(())),
            (Some("http://192.168.1.7:5005"), Some("192.168.1.7:5005"), Ok(())),
            (Some("https://bot.example.org"), Some("bot.example.org"), Ok(())),
            (Some("https://bot.example.org"), Some("127.0.0.1:5005"), Ok(())),
            (Some("http://192.168.1.7:80"), Some("192.168.1.7:5005"), Err(Refused::Origin)),
            (Some("https://evil.example"), Some("localhost:5005"), Err(Refused::Origin)),
            (Some("http://localhost.evil.example"), Some("localhost:5005"), Err(Refused::Origin)),
            (Some("http://evil.example/localhost"), Some("localhost:5005"), Err(Refused::Origin)),
            (Some("http://localhost@evil.example"), Some("localhost:5005"), Err(Refused::Origin)),
            (Some("http://evil.example:5005"), Some("evil.example:5005"), Err(Refused::Host)),
            (Some("null"), Some("localhost:5005"), Err(Refused::Origin)),
            (Some(""), Some("localhost:5005"), Err(Refused::Origin)),
        ] {
            assert_eq!(check(origin, host, &names), expected, "origin {origin:?}, host {host:?}");
        }
    }
}
