//! What the fuzzers call; property tests run the same functions.

use std::collections::BTreeMap;

use crate::{Options, load, tests};

/// Loads a bot of arbitrary bytes: one file, or several after lines of `=== path`.
pub fn bot_yaml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut files = BTreeMap::new();
    let mut path = "agent.yml".to_owned();
    let mut content = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ") {
            Some(next) => {
                files.insert(std::mem::replace(&mut path, next.trim().to_owned()), std::mem::take(&mut content));
            }
            None => content.push_str(line),
        }
    }
    files.insert(path, content);
    let loaded = load(&files, &|_| None, &Options::new("fuzz"));
    assert_eq!(loaded.bot.is_some(), !loaded.diagnostics.iter().any(crate::Diagnostic::is_error), "a bot exists if there is no error");
    let _ = tests::read(&files);
}
