//! Building an executor's address from the author's template and a conversation's slots.
//!
//! Slots hold what users say. In a path or a query they are data: whatever they hold, the address has the same host, the same
//! number of path segments and the same parameters. In a host they choose a host, which then has to be a public one.

use cota_core::event::Slots;
use url::Url;

use super::template::{Piece, pieces, plain};
use cota_driver::address::Reach;

/// Why no address can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUrl {
    #[error("the executer's `url` has to begin with http:// or https://")]
    NoScheme,
    #[error("the executer's `url` is not a web address once its slots are filled in")]
    NotAnAddress,
    #[error("slot `{slot}` stands in the host of the executer's `url`, and its value is no part of a host's name")]
    BadHost { slot: String },
    #[error(
        "slot `{slot}` stands in the path of the executer's `url`, and its value leaves a part of the path empty or makes it `.` or `..`"
    )]
    BadPath { slot: String },
    #[error("the executer's `url` names `{{{name}}}`, which is no slot of the form")]
    UnknownSlot { name: String },
}

/// An address with its slots filled in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Built<'t> {
    pub(super) url: Url,
    /// Public where a slot has a say in the host.
    pub(super) reach: Reach,
    /// The slots that stand in the address.
    pub(super) used: Vec<&'t str>,
}

/// Fills a template in.
pub(super) fn build<'t>(template: &'t str, slots: &'t Slots) -> Result<Built<'t>, BadUrl> {
    let template = template.trim();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| starts_with_ignoring_case(template, scheme)).ok_or(BadUrl::NoScheme)?;
    let rest = template.get(scheme.len()..).unwrap_or_default();
    let mut filling =
        Filling { text: scheme.to_owned(), part: Part::Host, segment: Segment::default(), reach: Reach::Named, used: Vec::new() };
    for piece in pieces(rest, slots) {
        match piece {
            Piece::Literal(text) => filling.literal(text)?,
            Piece::Slot { name, value } => filling.slot(name, &plain(value))?,
        }
    }
    filling.end_segment()?;
    let url = Url::parse(&filling.text).map_err(|_| BadUrl::NotAnAddress)?;
    Ok(Built { url, reach: filling.reach, used: filling.used })
}

/// Appends parameters to a query.
pub(super) fn append_query<'s>(url: &mut Url, slots: impl Iterator<Item = (&'s String, &'s serde_json::Value)>) {
    let mut slots = slots.filter(|(_, value)| !value.is_null()).peekable();
    // An empty list would leave a bare question mark.
    if slots.peek().is_some() {
        url.query_pairs_mut().extend_pairs(slots.map(|(name, value)| (name, plain(value))));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Host,
    Path,
    Query,
    Fragment,
}

/// The path segment that is being written.
#[derive(Default)]
struct Segment {
    text: String,
    slot: Option<String>,
}

struct Filling<'t> {
    text: String,
    part: Part,
    segment: Segment,
    reach: Reach,
    used: Vec<&'t str>,
}

impl<'t> Filling<'t> {
    fn literal(&mut self, text: &'t str) -> Result<(), BadUrl> {
        if let Some((_, after)) = text.split_once('{')
            && let Some((name, _)) = after.split_once('}')
        {
            return Err(BadUrl::UnknownSlot { name: name.to_owned() });
        }
        for c in text.chars() {
            let next = match (self.part, c) {
                (Part::Host | Part::Path, '/' | '\\') => Part::Path,
                (Part::Host | Part::Path, '?') => Part::Query,
                (Part::Host | Part::Path | Part::Query, '#') => Part::Fragment,
                (part, _) => part,
            };
            if self.part == Part::Path && (next != Part::Path || matches!(c, '/' | '\\')) {
                self.end_segment()?;
            } else if self.part == Part::Path {
                self.segment.text.push(c);
            }
            self.part = next;
            self.text.push(c);
        }
        Ok(())
    }

    fn slot(&mut self, name: &'t str, value: &str) -> Result<(), BadUrl> {
        self.used.push(name);
        match self.part {
            Part::Host => {
                self.reach = Reach::Public;
                let fits = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
                if !fits {
                    return Err(BadUrl::BadHost { slot: name.to_owned() });
                }
                self.text.push_str(value);
            }
            Part::Path => {
                self.segment.text.push_str(value);
                self.segment.slot = Some(name.to_owned());
                encode(value, &mut self.text);
            }
            Part::Query => encode(value, &mut self.text),
            // It is never sent.
            Part::Fragment => {}
        }
        Ok(())
    }

    /// A parser takes `.` and `..` for steps in the tree, also where they are encoded; an empty segment may name all there is.
    fn end_segment(&mut self) -> Result<(), BadUrl> {
        let Segment { text, slot } = std::mem::take(&mut self.segment);
        let dots = text.replace("%2e", ".").replace("%2E", ".");
        match slot {
            Some(slot) if matches!(dots.as_str(), "" | "." | "..") => Err(BadUrl::BadPath { slot }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            _ => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use cota_driver::address::{Forbidden, check_url};

    fn slots(value: Json) -> Slots {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn slots_are_encoded_where_they_stand() {
        let slots = slots(json!({"city": "São Paulo/x?y#z", "id": 7, "host": "api.example.com", "日": "é"}));
        for (template, url) in [
            ("https://e.com/w/{city}", "https://e.com/w/S%C3%A3o%20Paulo%2Fx%3Fy%23z"),
            ("https://e.com/w?q={city}&n={id}", "https://e.com/w?q=S%C3%A3o%20Paulo%2Fx%3Fy%23z&n=7"),
            ("https://e.com?q={id}", "https://e.com/?q=7"),
            ("https://e.com/{id}.json", "https://e.com/7.json"),
            ("https://e.com/..{id}", "https://e.com/..7"),
            ("https://e.com/{日}", "https://e.com/%C3%A9"),
            ("HTTPS://e.com/a#{city}", "https://e.com/a#"),
            (" http://localhost:80/a ", "http://localhost/a"),
        ] {
            let built = build(template, &slots).unwrap();
            assert_eq!((built.url.as_str(), built.reach), (url, Reach::Named), "{template}");
        }
        let built = build("https://{host}:8080/{id}", &slots).unwrap();
        assert_eq!((built.url.as_str(), built.reach, built.used), ("https://api.example.com:8080/7", Reach::Public, vec!["host", "id"]));
    }

    #[test]
    fn what_is_no_address_says_why() {
        let slots =
            slots(json!({"dots": "..", "dot": ".", "none": null, "host": "a.com/x", "at": "a@b", "url": "http://a.com", "space": "a b"}));
        let path = |slot: &str| BadUrl::BadPath { slot: slot.to_owned() };
        let host = |slot: &str| BadUrl::BadHost { slot: slot.to_owned() };
        for (template, fault) in [
            ("{url}", BadUrl::NoScheme),
            ("ftp://a.com", BadUrl::NoScheme),
            ("", BadUrl::NoScheme),
            ("http://", BadUrl::NotAnAddress),
            ("http://a b/", BadUrl::NotAnAddress),
            ("http://e.com/{dots}/x", path("dots")),
            ("http://e.com/x/{dots}", path("dots")),
            ("http://e.com/{dots}?x", path("dots")),
            ("http://e.com/.{dot}", path("dot")),
            ("http://e.com/%2e{dot}#x", path("dot")),
            ("http://e.com/%2E{none}", path("none")),
            ("http://e.com/users/{none}", path("none")),
            ("http://e.com\\{dots}\\x", path("dots")),
            ("http://{host}/", host("host")),
            ("http://{at}/", host("at")),
            ("http://{none}.e.com/", host("none")),
            ("http://{space}/", host("space")),
            ("http://e.com/{other}", BadUrl::UnknownSlot { name: "other".to_owned() }),
        ] {
            assert_eq!(build(template, &slots).map(|built| built.url), Err(fault), "{template}");
        }
    }

    #[test]
    fn a_query_is_appended_to_what_is_there() {
        let slots = slots(json!({"city": "Oslo & co", "none": null, "n": 0, "é": "ü"}));
        for (url, appended) in [
            ("http://e.com/", "http://e.com/?city=Oslo+%26+co&n=0&%C3%A9=%C3%BC"),
            ("http://e.com/?k=v", "http://e.com/?k=v&city=Oslo+%26+co&n=0&%C3%A9=%C3%BC"),
        ] {
            let mut url = Url::parse(url).unwrap();
            append_query(&mut url, slots.iter());
            assert_eq!(url.as_str(), appended);
        }
        let mut url = Url::parse("http://e.com/").unwrap();
        append_query(&mut url, slots.iter().filter(|(name, _)| *name == "none"));
        assert_eq!(url.as_str(), "http://e.com/");
    }

    fn segments(url: &Url) -> Vec<String> {
        url.path_segments().unwrap().map(str::to_owned).collect()
    }

    proptest! {
        #[test]
        fn a_slot_in_a_path_or_query_is_data(value in "(?s).{0,20}|[./\\\\%2eE?#@:&=]{0,8}") {
            let slots = slots(json!({"x": value}));
            if let Ok(built) = build("https://user@e.com:8443/a/{x}/b-{x}.json?k={x}&l=1", &slots) {
                let url = built.url;
                prop_assert_eq!((url.scheme(), url.host_str(), url.port(), url.username()), ("https", Some("e.com"), Some(8443), "user"));
                let decoded: Vec<String> = segments(&url).iter().map(|s| percent_decoded(s)).collect();
                prop_assert_eq!(decoded, vec!["a".to_owned(), value.clone(), format!("b-{value}.json")]);
                let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(pairs, vec![("k".to_owned(), value), ("l".to_owned(), "1".to_owned())]);
                prop_assert_eq!(built.reach, Reach::Named);
            } else {
                prop_assert!(matches!(value.as_str(), "" | "." | "..") || value.to_ascii_lowercase().replace("%2e", ".").trim_matches('.').is_empty());
            }
        }

        #[test]
        fn a_slot_in_a_host_never_leads_inside(value in "[a-z0-9.-]{1,12}|127\\.0\\.0\\.[0-9]|0x[0-9a-f]{1,8}|[0-9]{1,10}|localhost|10\\.[0-9]\\.1") {
            let slots = slots(json!({"x": value}));
            for template in ["http://{x}/", "http://{x}:80/p", "http://user@{x}/"] {
                if let Ok(built) = build(template, &slots) {
                    prop_assert_eq!(built.reach, Reach::Public);
                    if let (Ok(()), Some(url::Host::Ipv4(ip))) = (check_url(&built.url, built.reach), built.url.host()) {
                        prop_assert!(!ip.is_loopback() && !ip.is_private() && !ip.is_link_local(), "{}", ip);
                    }
                }
            }
            prop_assert_ne!(check_url(&Url::parse("http://localhost/").unwrap(), Reach::Public), Ok(()));
            prop_assert_eq!(check_url(&Url::parse("http://10.0.0.1/").unwrap(), Reach::Public), Err(Forbidden::Private));
        }

        #[test]
        fn no_template_makes_it_fall_over(template in "(?s).{0,40}|https?://[a-z{}x./?#%]{0,20}", value in ".{0,10}") {
            let slots = slots(json!({"x": value}));
            if let Ok(built) = build(&template, &slots) {
                prop_assert!(matches!(built.url.scheme(), "http" | "https"));
            }
        }
    }

    fn percent_decoded(text: &str) -> String {
        // A query of one pair decodes percent signs; a plus sign would be a space, so it is encoded first.
        let query = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}
