//! The example bots of the repository load without a word.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use cota_config::{Options, load, tests};

#[test]
fn the_example_bots_have_no_problem() {
    for bot in support::example_bots() {
        let files = support::read_folder(&bot);
        let loaded = load(&files, &|_| None, &Options::new("example"));
        assert_eq!(support::text(&loaded.diagnostics), "", "{}", bot.display());
        assert!(loaded.bot.is_some());
        let (tests, diagnostics) = tests::read(&files);
        assert_eq!(support::text(&diagnostics), "", "{}", bot.display());
        assert!(!tests.is_empty());
    }
}
