//! Takes secrets out of what others say.

/// What stands where a secret stood.
const MASK: &str = "***";

/// Takes certain secrets out of texts.
pub(crate) struct Redactor<'a> {
    secrets: Vec<&'a str>,
}

impl<'a> Redactor<'a> {
    /// For these secrets; empty ones are none.
    pub(crate) fn of(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self { secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect() }
    }

    /// The text with each secret masked, also where it stands escaped as in a JSON text.
    ///
    /// To be called before a text is shortened: a cut secret is not found.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            let quoted = serde_json::Value::from(*secret).to_string();
            let escaped = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted);
            text.replace(secret, MASK).replace(escaped, MASK)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_every_secret_is_masked() {
        let redactor = Redactor::of(["sk-1", "", "a\"b\\c"]);
        assert_eq!(redactor.redact("key sk-1, again sk-1."), "key ***, again ***.");
        assert_eq!(redactor.redact(r#"{"you sent": "a\"b\\c"} and a"b\c"#), r#"{"you sent": "***"} and ***"#);
        assert_eq!(redactor.redact("nothing"), "nothing");
    }
}
