//! Which values are secrets, and how they are kept out of snippets.

/// Parts of a key's name, in lower case, whose value is a secret.
const SECRET_NAMES: [&str; 8] = ["apikey", "api_key", "api-key", "password", "passwd", "secret", "authorization", "access_token"];
/// Whole names, in lower case, whose value is a secret.
const SECRET_WORDS: [&str; 5] = ["key", "token", "bearer", "cookie", "auth"];

/// Whether the value of a key of this name is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
        || SECRET_WORDS.contains(&name.as_str())
        || ["_key", "-key", "_token", "-token"].iter().any(|end| name.ends_with(end)) && name != "client_key"
}

/// Whether a text is a secret in clear: it says something, and not with the help of the environment.
pub(crate) fn is_in_clear(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains("${")
}

/// A source line with the values of secret keys replaced.
///
/// It works on the text alone, so it also holds for a line of a file that is no YAML.
pub(crate) fn mask(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(':') {
        masked.push_str(before);
        masked.push(':');
        rest = after;
        let name = before.rsplit([',', '{', '[', ' ', '\t', ':']).find(|word| !word.is_empty()).unwrap_or_default();
        if !is_secret_name(name.trim_matches(['"', '\''])) {
            continue;
        }
        let value = rest.trim_start();
        let indent = rest.len() - value.len();
        let end = value_end(value);
        let (secret, tail) = value.split_at_checked(end).unwrap_or((value, ""));
        masked.push_str(rest.get(..indent).unwrap_or_default());
        // As long as before, so that a caret further right stays where it belongs.
        if is_in_clear(secret) && !secret.trim().starts_with(['|', '>', '#', '{']) {
            masked.extend(secret.chars().map(|_| '*'));
        } else {
            masked.push_str(secret);
        }
        rest = tail;
    }
    masked.push_str(rest);
    masked
}

/// Where a value on a line ends: after the line's last quote (rather too late than too early, for quotes can be escaped), or
/// before what cannot be part of it.
fn value_end(value: &str) -> usize {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.rfind(quote).map_or(value.len(), |at| at + 2);
        }
    }
    if value.starts_with('{') { 1 } else { [",", "}", " #"].iter().filter_map(|end| value.find(end)).min().unwrap_or(value.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_masked() {
        for (line, shown) in [
            ("    key: sk-abc", "    key: ******"),
            ("    key: ${KEY}", "    key: ${KEY}"),
            ("    key: \"sk, x\" # mine", "    key: ******* # mine"),
            ("{model: m, key: sk, x: 1}", "{model: m, key: **, x: 1}"),
            ("Authorization: Bearer a:b", "Authorization: **********"),
            ("headers: {Authorization: 'a b'}", "headers: {Authorization: *****}"),
            ("key: 'it''s'", "key: *******"),
            ("keys: a", "keys: a"),
            ("note: see key: abc", "note: see key: ***"),
            ("key: |", "key: |"),
        ] {
            assert_eq!(mask(line), shown);
        }
    }
}
