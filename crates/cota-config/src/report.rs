//! Where problems are gathered while a bot is read.

use std::collections::{BTreeMap, HashSet};

use cota_core::sort::sort;

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Severity};
use crate::node::{Node, Span};
use crate::sources::Sources;

/// Most diagnostics of one code; beyond it they are only counted.
const MOST_PER_CODE: usize = 100;

/// What a message says and how to mend it.
pub(crate) struct Words {
    message: String,
    help: Option<String>,
}

impl Words {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean ...?` where there is a name to suggest.
    pub(crate) fn suggest(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }
}

/// A message without a full stop.
pub(crate) fn say(message: impl Into<String>) -> Words {
    Words { message: message.into(), help: None }
}

/// A value as a message may show it: short, and nothing of the environment.
pub(crate) fn shown(node: &Node) -> String {
    if node.from_environment {
        return "the value from the environment".to_owned();
    }
    match node.as_text() {
        Some(text) if text.chars().count() > 60 => format!("`{}...`", text.chars().take(60).collect::<String>()),
        Some(text) => format!("`{text}`"),
        None => node.kind().to_owned(),
    }
}

/// The problems so far, and the texts they point into.
#[derive(Default)]
pub(crate) struct Report<'t> {
    pub(crate) sources: Sources<'t>,
    found: Vec<(Span, Diagnostic)>,
    seen: HashSet<(&'static str, Span, String)>,
    counts: BTreeMap<&'static str, (&'static Code, Span, usize)>,
}

impl Report<'_> {
    /// Adds a problem. Its words are made only if there are not too many of its kind.
    pub(crate) fn add(&mut self, code: &'static Code, span: Span, words: impl FnOnce() -> Words) {
        let count = self.counts.entry(code.name).or_insert((code, span, 0));
        count.2 += 1;
        if count.2 > MOST_PER_CODE {
            return;
        }
        let Words { message, help } = words();
        // A problem behind a YAML anchor is met once for each alias.
        if !self.seen.insert((code.name, span, message.clone())) {
            self.counts.entry(code.name).and_modify(|count| count.2 -= 1);
            return;
        }
        let diagnostic = Diagnostic {
            severity: code.severity,
            code: code.name,
            file: self.sources.path(span.file).to_owned(),
            line: span.range.map(|range| range.start.line),
            column: span.range.map(|range| range.start.column),
            message,
            snippet: None,
            help,
        };
        self.found.push((span, diagnostic));
    }

    /// Whether the bot cannot load.
    pub(crate) fn has_errors(&self) -> bool {
        self.counts.values().any(|(code, _, count)| code.severity == Severity::Error && *count > 0)
    }

    /// Every problem in the order of the files, with snippets.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let Self { sources, found, counts, .. } = self;
        let mut all: Vec<Diagnostic> = found
            .into_iter()
            .map(|(span, mut diagnostic)| {
                diagnostic.snippet = sources.snippet(span);
                diagnostic
            })
            .collect();
        let place = |of: &Diagnostic| (of.line, of.column, of.severity, of.code);
        sort(&mut all, |a, b| a.file.cmp(&b.file).then_with(|| place(a).cmp(&place(b))).then_with(|| a.message.cmp(&b.message)));
        let beyond = counts.into_values().filter(|(_, _, count)| *count > MOST_PER_CODE);
        all.extend(beyond.map(|(code, span, count)| Diagnostic {
            severity: code.severity,
            code: code.name,
            file: sources.path(span.file).to_owned(),
            line: None,
            column: None,
            message: format!("{} more of `{}`, in this file and others", count - MOST_PER_CODE, code.name),
            snippet: None,
            help: None,
        }));
        all
    }
}
