//! The rules for one text. A violation starts with its line number: `12: words`.

use std::path::Path;

/// Marks of unfinished work. In halves, so that this file does not contain them.
const MARKERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

const PANICS: &[&str] = &[".unwrap()", ".expect(", "todo!(", "panic!(", "unreachable!("];

/// Folders of code that may panic: it runs on a developer's machine only.
const MAY_PANIC: &[&str] = &["tests", "benches", "fuzz", "xtask", "cota-testkit"];

/// Folders of code that talks to a person on a terminal, or to the log of a test.
const MAY_PRINT: &[&str] = &["cota-cli", "functions", "xtask", "cota-testkit"];

/// Marks of unfinished work, anywhere in a text.
pub(super) fn markers(text: &str) -> Vec<String> {
    let found = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .find(|word| MARKERS.contains(word))
            .map(|word| format!("{word}: do it, or open an issue and delete the line"))
    };
    on_lines(text.lines(), found)
}

/// The rules for one Rust file.
pub(super) fn check(path: &Path, text: &str, longest: usize) -> Vec<String> {
    let mut violations = on_lines(text.lines(), |line| {
        line.trim_start().starts_with("#[ignore").then(|| "an ignored test proves nothing: mend or delete it".to_owned())
    });
    if is_test(path) {
        return violations;
    }
    let body: Vec<&str> = without_tests(text);
    if body.len() > longest {
        violations.push(format!("1: {} lines without tests; split what is over {longest} by idea", body.len()));
    }
    if !within(path, MAY_PANIC) {
        violations.extend(on_code(&body, |code| {
            let word = PANICS.iter().find(|word| code.contains(**word))?;
            Some(format!("{word} can panic: return an error"))
        }));
    }
    if is_library(path) {
        violations.extend(on_code(&body, |code| {
            (code.contains("println!(") || code.contains("print!("))
                .then(|| "a library does not print: return the text or use tracing".to_owned())
        }));
    }
    violations
}

/// How many lines with words the crate doc has.
pub(super) fn crate_doc_lines(text: &str) -> usize {
    text.lines().filter_map(|line| line.strip_prefix("//!")).filter(|words| !words.trim().is_empty()).count()
}

/// The lines before the tests. The declaration of a test module in a file of its own is left blank, so that the
/// numbers of the lines stay right.
fn without_tests(text: &str) -> Vec<&str> {
    let mut lines = text.lines().peekable();
    let mut body = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            body.push(line);
        } else if lines.peek().is_some_and(|next| next.ends_with(';')) {
            lines.next();
            body.extend(["", ""]);
        } else {
            break;
        }
    }
    body
}

fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    within(path, &["tests", "benches"]) || stem.is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}

fn is_library(path: &Path) -> bool {
    within(path, &["src"]) && !within(path, &["bin"]) && !path.ends_with("src/main.rs") && !within(path, MAY_PRINT)
}

fn within(path: &Path, folders: &[&str]) -> bool {
    path.components().any(|part| folders.iter().any(|folder| part.as_os_str() == *folder))
}

/// As [`on_lines`], but not in comments.
fn on_code(lines: &[&str], rule: impl Fn(&str) -> Option<String>) -> Vec<String> {
    on_lines(lines.iter().copied(), |line| {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        rule(code)
    })
}

fn on_lines<'a>(lines: impl Iterator<Item = &'a str>, rule: impl Fn(&str) -> Option<String>) -> Vec<String> {
    lines.zip(1..).filter_map(|(line, number)| rule(line).map(|words| format!("{number}: {words}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_core(text: &str) -> Vec<String> {
        check(Path::new("crates/cota-core/src/turn.rs"), text, 5)
    }

    #[test]
    fn a_panic_is_named_with_its_line_in_code_only() {
        let text = "/// `x.unwrap()`\nlet a = b; // c.unwrap()\nlet d = e.unwrap();\n";
        assert_eq!(in_core(text), ["3: .unwrap() can panic: return an error"]);
    }

    #[test]
    fn tests_may_panic_and_be_long() {
        let text = format!("let a = 1;\n#[cfg(test)]\nmod tests {{\n{}}}", "b.unwrap();\n".repeat(9));
        assert_eq!(in_core(&text), Vec::<String>::new());
        for path in ["crates/cota-core/tests/turn.rs", "crates/cota-core/src/dst/tests.rs"] {
            assert_eq!(check(Path::new(path), &"b.unwrap();\n".repeat(9), 5), Vec::<String>::new());
        }
    }

    #[test]
    fn code_after_the_declaration_of_a_test_module_is_still_code() {
        let text = "#[cfg(test)]\nmod tests;\npanic!(\"no\");\n";
        assert_eq!(in_core(text), ["3: panic!( can panic: return an error"]);
    }

    #[test]
    fn a_long_file_is_named() {
        assert_eq!(in_core(&"let a = 1;\n".repeat(6)), ["1: 6 lines without tests; split what is over 5 by idea"]);
    }

    #[test]
    fn only_a_library_must_not_print() {
        let text = "eprintln!(\"hello\");\n";
        assert_eq!(in_core(text).len(), 1);
        for path in ["crates/cota-cli/src/run.rs", "crates/cota-core/src/bin/try.rs"] {
            assert_eq!(check(Path::new(path), text, 5), Vec::<String>::new());
        }
    }

    #[test]
    fn an_ignored_test_is_found_even_in_tests() {
        let text = "#[test]\n    #[ignore = \"slow\"]\nfn a() {}\n";
        assert_eq!(check(Path::new("tests/a.rs"), text, 5).len(), 1);
    }

    #[test]
    fn markers_are_whole_words() {
        let [todo, ..] = MARKERS else { panic!("there are markers") };
        assert_eq!(markers(&format!("a\n// {todo}: later\n")).len(), 1);
        assert_eq!(markers(&format!("MA{todo} {todo}_LIST\n")), Vec::<String>::new());
    }

    #[test]
    fn a_crate_doc_counts_lines_with_words() {
        assert_eq!(crate_doc_lines("//! One.\n//!\n//! Two.\nuse a;\n"), 2);
    }
}
