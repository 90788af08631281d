//! Names that may be referred to: exactly, then in any case.

use std::collections::HashMap;

use crate::codes;
use crate::fields::text;
use crate::nearest::nearest;
use crate::node::{Node, Span};
use crate::report::{Report, say, shown};

/// A set of defined names.
#[derive(Default)]
pub(crate) struct Names {
    names: Vec<String>,
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn of(names: impl IntoIterator<Item = String>) -> Self {
        let mut all = Self::default();
        for name in names {
            let index = all.names.len();
            all.exact.entry(name.clone()).or_insert(index);
            all.folded.entry(name.to_lowercase()).or_insert(index);
            all.names.push(name);
        }
        all
    }

    /// The defined name that is meant.
    pub(crate) fn resolve(&self, name: &str) -> Option<&str> {
        let name = name.trim();
        let index = self.exact.get(name).or_else(|| self.folded.get(&name.to_lowercase()))?;
        self.names.get(*index).map(String::as_str)
    }

    /// The defined name that was most likely meant.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names.iter().map(String::as_str))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The action that is meant; an unknown one is reported.
    pub(crate) fn action(&self, name: &str, span: Span, report: &mut Report<'_>) -> Option<String> {
        let resolved = self.resolve(name).map(str::to_owned);
        if resolved.is_none() {
            report.add(&codes::UNKNOWN_ACTION, span, || say(format!("there is no action `{name}`")).suggest(self.nearest(name)));
        }
        resolved
    }

    /// The LLM that a value names; an unknown one is reported. `self` are the configured LLMs.
    pub(crate) fn llm(&self, node: &Node, report: &mut Report<'_>) -> Option<String> {
        let name = text(node, "an LLM's name", report)?;
        let resolved = self.resolve(&name).map(str::to_owned);
        if resolved.is_none() && self.is_empty() {
            report.add(&codes::LLM_NOT_CONFIGURED, node.span, || {
                say(format!("the LLM {} is not configured, so the offline model takes its place", shown(node)))
                    .help("describe it under `llms` in endpoints.yml")
            });
        } else if resolved.is_none() && !node.is_pending() {
            report.add(&codes::UNKNOWN_LLM, node.span, || {
                say(format!("endpoints.yml has no LLM {}", shown(node))).suggest(self.nearest(&name))
            });
        }
        resolved
    }
}
