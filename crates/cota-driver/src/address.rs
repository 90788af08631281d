//! Which addresses may be called: bots must not become a door into the network they run in.
//!
//! A host that an author wrote may be anything, a service on the same machine included. A host that a user or another server
//! has a say in, by a slot or a redirect, has to be public. A cloud's metadata service, which hands out the machine's own
//! credentials, is never called.
//!
//! Hosts are judged after the URL parser has brought them to one form, so `0x7f.1` and `2130706433` are 127.0.0.1. Names are
//! judged here by what they look like; a client that resolves them asks [`check_ip`] about what they stand for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// How far a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// To any host but a metadata service: the author named it.
    Named,
    /// To public hosts only: a slot or a redirect named it.
    Public,
}

/// Why an address may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is not `http` or `https`, or names no host.
    #[error("its address has to begin with http:// or https:// and name a host")]
    NotHttp,
    /// It is a cloud's metadata service.
    #[error("its address is a cloud's metadata service, which is never called")]
    Metadata,
    /// It is private, and the author did not write it.
    #[error("its host comes from a slot or a redirect and is not public; write a private host in the bot's files")]
    Private,
}

/// Judges an address by its scheme and its host.
///
/// # Errors
/// When it may not be called.
pub fn check_url(url: &Url, reach: Reach) -> Result<(), Forbidden> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Forbidden::NotHttp);
    }
    match url.host().ok_or(Forbidden::NotHttp)? {
        Host::Domain(name) => check_name(name, reach),
        Host::Ipv4(ip) => check_ip(ip.into(), reach),
        Host::Ipv6(ip) => check_ip(ip.into(), reach),
    }
}

/// Judges a host's numeric address.
///
/// # Errors
/// When it may not be called.
pub fn check_ip(ip: IpAddr, reach: Reach) -> Result<(), Forbidden> {
    let embedded = match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => embedded_v4(ip),
    };
    if METADATA.contains(&ip) || embedded.is_some_and(|ip| METADATA.contains(&IpAddr::V4(ip))) {
        return Err(Forbidden::Metadata);
    }
    let public = match (embedded, ip) {
        (Some(ip), _) | (None, IpAddr::V4(ip)) => is_public_v4(ip),
        (None, IpAddr::V6(ip)) => is_public_v6(ip),
    };
    match reach {
        Reach::Public if !public => Err(Forbidden::Private),
        Reach::Public | Reach::Named => Ok(()),
    }
}

/// Metadata services of the clouds: AWS with its ECS and EKS credentials, Azure, Alibaba, Oracle, Google.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

const METADATA_NAMES: [&str; 5] = ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// Ends of names that never lead out of a private network: RFC 6761, 6762, 8375, ICANN's `.internal`, and habit.
const PRIVATE_SUFFIXES: [&str; 9] =
    [".localhost", ".local", ".internal", ".home.arpa", ".localdomain", ".lan", ".intranet", ".corp", ".home"];

fn check_name(name: &str, reach: Reach) -> Result<(), Forbidden> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if METADATA_NAMES.contains(&name.as_str()) {
        return Err(Forbidden::Metadata);
    }
    // A name without a dot is looked up in the network's own domain.
    let private = !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    match reach {
        Reach::Public if private => Err(Forbidden::Private),
        Reach::Public | Reach::Named => Ok(()),
    }
}

/// By the IANA registry of special-purpose IPv4 addresses, multicast and reserved space included.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127 | 224.., _, _) => true,
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) | (198, 18..=19, _) => true,
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => true,
        (_, _, _) => false,
    };
    !special
}

/// Only global unicast space, less what the IANA registry sets apart in it.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // IETF protocol assignments (Teredo among them), documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated (RFC 6052), 6to4.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(host: &str, reach: Reach) -> Result<(), Forbidden> {
        check_url(&Url::parse(&format!("http://{host}/")).unwrap(), reach)
    }

    #[test]
    fn private_hosts_are_for_the_author_alone() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0",
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b::192.168.0.1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[100::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "printer.local",
            "db.internal",
            "router.lan",
            "redis",
            "x.home.arpa",
        ] {
            assert_eq!(check(host, Reach::Public), Err(Forbidden::Private), "{host}");
            assert_eq!(check(host, Reach::Named), Ok(()), "{host}");
        }
    }

    #[test]
    fn metadata_services_are_for_nobody() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::]",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fd00:ec2::254]",
            "[fd00:ec2:0::23]",
            "[fd20:ce::254]",
            "metadata.google.internal",
            "METADATA.google.internal.",
            "metadata.goog",
            "metadata",
            "instance-data",
        ] {
            assert_eq!(check(host, Reach::Public), Err(Forbidden::Metadata), "{host}");
            assert_eq!(check(host, Reach::Named), Err(Forbidden::Metadata), "{host}");
        }
    }

    #[test]
    fn public_hosts_are_for_everybody() {
        for host in [
            "example.com",
            "api.example.co.uk",
            "example.com.",
            "localhost.example.com",
            "local.example",
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[2a00:1450::1]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::8.8.8.8]",
            "[2002:808:808::1]",
            "xn--mnchen-3ya.example",
        ] {
            assert_eq!(check(host, Reach::Public), Ok(()), "{host}");
            assert_eq!(check(host, Reach::Named), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_host_is_ascii() {
        for url in ["http://münchen.example/", "http://１２７.0.0.1/", "http://127。0。0。1/"] {
            assert!(Url::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_the_web_is_called() {
        for url in ["file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:,x", "unix:/run/x.sock"] {
            assert_eq!(check_url(&Url::parse(url).unwrap(), Reach::Named), Err(Forbidden::NotHttp), "{url}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_judged_alike_however_it_is_written(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            let [a, b, c, d] = ip.octets();
            for reach in [Reach::Public, Reach::Named] {
                let verdict = check_ip(ip.into(), reach);
                for host in [
                    format!("{bits}"),
                    format!("0x{bits:x}"),
                    format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                    format!("{a}.{}", bits & 0xff_ffff),
                    format!("[::ffff:{ip}]"),
                    format!("[64:ff9b::{ip}]"),
                    format!("{ip}."),
                ] {
                    prop_assert_eq!(check(&host, reach), verdict, "{}", host);
                }
            }
        }

        #[test]
        fn what_a_redirect_may_reach_the_author_may_too(bits: u128) {
            let ip = IpAddr::V6(Ipv6Addr::from(bits));
            if check_ip(ip, Reach::Public).is_ok() {
                prop_assert_eq!(check_ip(ip, Reach::Named), Ok(()));
            }
        }
    }
}
