//! What came of tests, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::judge::Fault;
use crate::failure::Failure;
use crate::output::{Paint, print, print_json};

/// How it is told.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Text,
    Json,
    JUnit,
}

/// All tests of a call.
#[derive(Serialize)]
pub(super) struct Report {
    bots: Vec<Suite>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// The tests of one bot.
#[derive(Serialize)]
pub(super) struct Suite {
    pub(super) bot: String,
    pub(super) tests: Vec<Tested>,
}

/// One test.
#[derive(Serialize)]
pub(super) struct Tested {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: Option<u32>,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
}

/// What came of a test.
#[derive(Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(super) enum Verdict {
    Passed,
    Failed(Fault),
    /// Its model is scripted, and the server's cannot be.
    Skipped,
}

impl Report {
    pub(super) fn of(bots: Vec<Suite>) -> Self {
        let count = |is: fn(&Verdict) -> bool| bots.iter().flat_map(|suite| &suite.tests).filter(|test| is(&test.verdict)).count();
        let passed = count(|verdict| matches!(verdict, Verdict::Passed));
        let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped));
        Self { bots, passed, failed, skipped }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.passed + self.failed + self.skipped == 0
    }

    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    pub(super) fn print(&self, style: Style) -> Result<(), Failure> {
        match style {
            Style::Text => print(self.text(Paint::for_stdout())),
            Style::Json => print_json(self),
            Style::JUnit => print(self.junit()),
        }
    }

    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for suite in &self.bots {
            let _ = writeln!(text, "{}", suite.bot);
            suite.tests.iter().for_each(|test| test.write_text(&mut text, paint));
        }
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        let _ = writeln!(text, "{} passed, {} failed{skipped}", self.passed, self.failed);
        text
    }

    fn junit(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        self.bots.iter().for_each(|suite| suite.write_junit(&mut text));
        text.push_str("</testsuites>\n");
        text
    }
}

impl Suite {
    fn write_junit(&self, text: &mut String) {
        let count = |is: fn(&Verdict) -> bool| self.tests.iter().filter(|test| is(&test.verdict)).count();
        let failures = count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped));
        let seconds: f64 = self.tests.iter().map(|test| test.seconds).sum();
        let (name, tests) = (escaped(&self.bot), self.tests.len());
        let _ =
            writeln!(text, r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" skipped="{skipped}" time="{seconds:.3}">"#);
        for test in &self.tests {
            let (title, file, seconds) = (escaped(&test.name), escaped(&test.file), test.seconds);
            let _ = write!(text, r#"    <testcase classname="{name}" name="{title}" file="{file}" time="{seconds:.3}">"#);
            match &test.verdict {
                Verdict::Passed => {}
                Verdict::Failed(fault) => {
                    let (message, body) = (escaped(&format!("expected {}", fault.expected)), escaped(&fault.text(&test.place(), "")));
                    let _ = write!(text, r#"<failure message="{message}">{body}</failure>"#);
                }
                Verdict::Skipped => text.push_str("<skipped/>"),
            }
            text.push_str("</testcase>\n");
        }
        text.push_str("  </testsuite>\n");
    }
}

impl Tested {
    fn write_text(&self, text: &mut String, paint: Paint) {
        let name = &self.name;
        let _ = match &self.verdict {
            Verdict::Passed => writeln!(text, "  {} {name}", paint.green("ok     ")),
            Verdict::Skipped => writeln!(text, "  {} {name}: its model is scripted", paint.yellow("skipped")),
            Verdict::Failed(fault) => write!(text, "  {} {name}\n{}", paint.red("FAILED "), fault.text(&self.place(), "          ")),
        };
    }

    /// The file and the line of the failed step, else of the test.
    fn place(&self) -> String {
        let line = match &self.verdict {
            Verdict::Failed(fault) => fault.line.or(self.line),
            Verdict::Passed | Verdict::Skipped => self.line,
        };
        line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file))
    }
}

impl Fault {
    fn text(&self, place: &str, margin: &str) -> String {
        let mut lines = vec![format!("{place}: expected {}", self.expected)];
        lines.extend(self.got.iter().map(|got| format!("but {got}")));
        lines.push("the conversation so far:".to_owned());
        lines.extend(self.conversation.iter().map(|line| format!("  {line}")));
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{margin}{}", line.replace('\n', &format!("\n{margin}    ")));
            text
        })
    }
}

/// Text as XML holds it; characters that no XML may hold are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(character),
            '\u{FFFE}' | '\u{FFFF}' => {}
            character if character.is_control() => {}
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let fault = Fault {
            line: Some(7),
            expected: "a reply that contains `<b>`".to_owned(),
            got: vec!["`a & b` does not contain `<b>`".to_owned()],
            conversation: vec!["user: hi".to_owned(), "bot: a & b".to_owned()],
        };
        let test =
            |name: &str, verdict| Tested { name: name.to_owned(), file: "tests/a.yml".to_owned(), line: Some(2), seconds: 0.25, verdict };
        let tests = vec![test("one", Verdict::Passed), test("two", Verdict::Failed(fault)), test("three", Verdict::Skipped)];
        Report::of(vec![Suite { bot: "weather".to_owned(), tests }])
    }

    #[test]
    fn people_read_what_was_expected_what_came_and_where() {
        let text = report().text(Paint::none());
        let expected = "\
weather
  ok      one
  FAILED  two
          tests/a.yml:7: expected a reply that contains `<b>`
          but `a & b` does not contain `<b>`
          the conversation so far:
            user: hi
            bot: a & b
  skipped three: its model is scripted
1 passed, 1 failed, 1 skipped
";
        assert_eq!(text, expected);
    }

    #[test]
    fn xml_holds_no_character_of_the_text_as_markup() {
        let xml = report().junit();
        assert!(xml.contains(r#"<testsuite name="weather" tests="3" failures="1" skipped="1" time="0.750">"#), "{xml}");
        assert!(xml.contains(r#"<failure message="expected a reply that contains `&lt;b&gt;`">tests/a.yml:7"#), "{xml}");
        assert!(xml.contains("bot: a &amp; b"), "{xml}");
        assert_eq!(escaped("a\u{1}b\u{FFFE}\"c\""), "ab&quot;c&quot;");
    }

    #[test]
    fn programs_read_each_verdict_and_the_counts() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!((json["passed"].as_u64(), json["failed"].as_u64(), json["skipped"].as_u64()), (Some(1), Some(1), Some(1)));
        assert_eq!(json["bots"][0]["tests"][1]["verdict"], "failed");
        assert_eq!(json["bots"][0]["tests"][1]["conversation"][1], "bot: a & b");
    }
}
