//! From which address a request comes.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderName;
use http::request::Parts;
use serde::{Deserialize, Serialize};

/// The address of a client. A target puts it into a request's extensions, in the way in which it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address behind a request: what a proxy says in `header`, where that is named, else what the target knows. Of several
    /// in the header the last one counts: it is the proxy's own word, those before it came with the request.
    pub(crate) fn of(parts: &Parts, header: Option<&HeaderName>) -> Option<Self> {
        let told = header.and_then(|name| parts.headers.get_all(name).iter().next_back());
        let told = told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        told.map(Self).or_else(|| parts.extensions.get().copied())
    }

    /// Those who are counted as one: of IPv6 the network, as one customer has all of its addresses.
    pub(crate) fn network(self) -> Self {
        match self.0.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn address(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn a_proxy_is_believed_only_where_its_header_is_named() {
        let name = HeaderName::from_static("x-forwarded-for");
        for (headers, named, expected) in [
            ([].as_slice(), true, "10.0.0.1"),
            (&["192.0.2.7"], false, "10.0.0.1"),
            (&["192.0.2.7"], true, "192.0.2.7"),
            (&["127.0.0.1, 192.0.2.7"], true, "192.0.2.7"),
            (&["127.0.0.1", "198.51.100.1 , 2001:db8::1"], true, "2001:db8::1"),
            (&["192.0.2.7, unknown"], true, "10.0.0.1"),
        ] {
            let request = headers.iter().fold(Request::builder(), |request, value| request.header(&name, *value));
            let (parts, ()) = request.extension(address("10.0.0.1")).body(()).unwrap().into_parts();
            assert_eq!(ClientAddress::of(&parts, named.then_some(&name)), Some(address(expected)), "{headers:?}");
        }
        let (parts, ()) = Request::new(()).into_parts();
        assert_eq!(ClientAddress::of(&parts, Some(&name)), None);
    }

    #[test]
    fn a_network_is_one_client() {
        for (one, other, same) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(address(one).network() == address(other).network(), same, "{one} and {other}");
        }
    }
}
