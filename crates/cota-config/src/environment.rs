//! `${VAR}` and `${VAR:-default}` in values.

use crate::codes;
use crate::node::{Node, Span, Value};
use crate::report::{Report, say};

/// Where the values of variables come from.
pub(crate) struct Environment<'e> {
    /// The value of a variable, if it is set.
    pub(crate) lookup: &'e dyn Fn(&str) -> Option<String>,
    /// Whether a variable may be set later: it then stays as written, and is a notice.
    pub(crate) may_come_later: bool,
}

impl Environment<'_> {
    /// Fills in the variables of every text in a tree.
    pub(crate) fn fill(&self, node: &mut Node, report: &mut Report<'_>) {
        let span = node.span;
        match &mut node.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Text(text) => {
                if text.contains("${")
                    && let Some(filled) = self.filled(text, span, report)
                {
                    node.value = Node::plain(&filled);
                    node.from_environment = true;
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item, report)),
            Value::Map(map) => map.values_mut().for_each(|entry| self.fill(&mut entry.value, report)),
        }
    }

    /// The text with its variables filled in; nothing if it has none.
    fn filled(&self, text: &str, span: Span, report: &mut Report<'_>) -> Option<String> {
        let mut filled = String::new();
        let mut rest = text;
        let mut found = false;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            match after.split_once('}').and_then(|(inner, tail)| Some((Reference::parse(inner)?, tail))) {
                Some((reference, tail)) => {
                    found = true;
                    filled.push_str(&self.value(&reference, span, report));
                    rest = tail;
                }
                None => {
                    filled.push_str("${");
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        found.then_some(filled)
    }

    fn value(&self, reference: &Reference<'_>, span: Span, report: &mut Report<'_>) -> String {
        let name = reference.name;
        let value = (self.lookup)(name);
        match (value, reference.default) {
            (Some(value), None) => value,
            (Some(value), Some(_)) if !value.is_empty() => value,
            (_, Some(default)) => default.to_owned(),
            (None, None) => {
                let place = report.sources.find(span, &format!("${{{name}}}"), 0);
                if self.may_come_later {
                    report.add(&codes::LATER_VARIABLE, place, || {
                        say(format!("the environment variable `{name}` is needed when the bot runs"))
                    });
                } else {
                    report.add(&codes::MISSING_VARIABLE, place, || {
                        say(format!("the environment variable `{name}` is not set"))
                            .help(format!("set it, or give a default: `${{{name}:-default}}`"))
                    });
                }
                format!("${{{name}}}")
            }
        }
    }
}

/// What stands between `${` and `}`.
struct Reference<'t> {
    name: &'t str,
    default: Option<&'t str>,
}

impl<'t> Reference<'t> {
    fn parse(inner: &'t str) -> Option<Self> {
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some(Self { name, default })
    }
}
