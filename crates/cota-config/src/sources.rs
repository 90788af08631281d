//! The texts that diagnostics point into, and the snippets cut from them.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::node::{FileId, Place, Range, Span};
use crate::secrets;

/// Most characters of a source line that a snippet shows.
const SNIPPET_WIDTH: usize = 120;
/// Characters that a snippet shows before its caret, where the line is cut.
const SNIPPET_BEFORE: usize = 40;

/// One file of a run.
struct Source<'t> {
    path: String,
    /// Absent in a bundle.
    text: Option<&'t str>,
    lines: OnceCell<Vec<&'t str>>,
}

/// The files of one run.
#[derive(Default)]
pub(crate) struct Sources<'t> {
    files: Vec<Source<'t>>,
    /// Lines of which nothing may be shown: a secret goes on in them.
    hidden: HashSet<(FileId, u32)>,
}

impl<'t> Sources<'t> {
    pub(crate) fn add(&mut self, path: &str, text: Option<&'t str>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(Source { path: path.to_owned(), text, lines: OnceCell::new() });
        id
    }

    pub(crate) fn path(&self, file: FileId) -> &str {
        self.file(file).map_or("", |source| source.path.as_str())
    }

    /// Hides the lines that a secret of several lines goes on in.
    pub(crate) fn hide(&mut self, span: Span) {
        if let Some(range) = span.range {
            self.hidden.extend((range.start.line + 1..=range.end.line).map(|line| (span.file, line)));
        }
    }

    /// The place of the `nth` occurrence of `needle` at or after a span's start: for words inside a text of several lines.
    pub(crate) fn find(&self, span: Span, needle: &str, nth: usize) -> Span {
        self.find_in(span, needle, nth).unwrap_or(span)
    }

    fn find_in(&self, span: Span, needle: &str, nth: usize) -> Option<Span> {
        let range = span.range?;
        let mut seen = 0;
        for (index, line) in self.lines(span.file)?.iter().enumerate().skip(range.start.line.saturating_sub(1) as usize) {
            let number = u32::try_from(index + 1).ok()?;
            if number > range.end.line {
                return None;
            }
            let first = if number == range.start.line { range.start.column.saturating_sub(1) as usize } else { 0 };
            for (byte, _) in line.match_indices(needle) {
                let column = line.get(..byte)?.chars().count();
                if column < first {
                    continue;
                }
                if seen == nth {
                    let place = |column: usize| Place { line: number, column: u32::try_from(column + 1).unwrap_or(u32::MAX) };
                    let end = place(column + needle.chars().count());
                    return Some(Span { file: span.file, range: Some(Range { start: place(column), end }) });
                }
                seen += 1;
            }
        }
        None
    }

    /// The line of a span's start with a caret below what it covers.
    pub(crate) fn snippet(&self, span: Span) -> Option<String> {
        let range = span.range?;
        if self.hidden.contains(&(span.file, range.start.line)) {
            return None;
        }
        let line = secrets::mask(self.lines(span.file)?.get(range.start.line.checked_sub(1)? as usize)?.trim_end());
        let from = (range.start.column.saturating_sub(1) as usize).min(line.chars().count());
        let to = if range.end.line == range.start.line { range.end.column.saturating_sub(1) as usize } else { line.chars().count() };
        let cut = if line.chars().count() > SNIPPET_WIDTH { from.saturating_sub(SNIPPET_BEFORE) } else { 0 };
        let shown: String = line.chars().skip(cut).take(SNIPPET_WIDTH).collect();
        let padding: String = line.chars().skip(cut).take(from - cut).map(blank).collect();
        let carets: String = line.chars().skip(from).take(to.saturating_sub(from)).map(caret).take(SNIPPET_WIDTH).collect();
        let carets = if carets.is_empty() { "^" } else { &carets };
        let number = range.start.line;
        let margin = " ".repeat(number.to_string().len());
        Some(format!(" {number} | {shown}\n {margin} | {padding}{carets}"))
    }

    fn file(&self, file: FileId) -> Option<&Source<'t>> {
        self.files.get(file.0 as usize)
    }

    fn lines(&self, file: FileId) -> Option<&[&'t str]> {
        let source = self.file(file)?;
        let text = source.text?;
        Some(source.lines.get_or_init(|| text.lines().collect()))
    }
}

/// As wide as the character above it in a terminal, and invisible.
fn blank(above: char) -> char {
    if above == '\t' {
        '\t'
    } else if is_wide(above) {
        '\u{3000}'
    } else {
        ' '
    }
}

fn caret(above: char) -> char {
    if is_wide(above) { '＾' } else { '^' }
}

/// Whether a terminal gives the character two columns.
pub(crate) fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0x303E | 0x3041..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
}
