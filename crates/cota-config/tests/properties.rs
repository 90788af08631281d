//! Whatever the bytes, loading ends in a bot or in diagnostics.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use cota_config::{Bundle, Options, fuzzing, load, load_bundle};
use proptest::prelude::*;

/// Pieces that files of bots are made of, right and wrong.
const PIECES: &[&str] = &[
    "actions:",
    "  BotUtter:",
    "    prompt: |",
    "      {{task_description}} {{x}}",
    "policies:",
    "  - type: llm",
    "    config:",
    "triggers:",
    "- actions:",
    "  - {name: UserUtter, result: [a, 1, ~]}",
    "  - name: Weather",
    "    slots: {a: , b: {pattern: '('}}",
    "    executer: {mock: yes}",
    "  Weather: &w",
    "  Other: *w",
    "  <<: *w",
    "=== endpoints.yml",
    "llms:",
    "  a: {fallback_model: a, key: '${X:-y}'}",
    "=== policy/a.yml",
    "=== tests/a.yml",
    "tests:",
    "  - {name: a, steps: [{user: b}]}",
    "dialogue: {max_steps: -1}",
    "---",
    "[[[",
    "}",
    "\"",
    "\t",
    "é: 你好",
    "? a",
    "!!str 1",
];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::bot_yaml(&bytes);
    }

    #[test]
    fn pieces_of_bots_never_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        fuzzing::bot_yaml(pieces.join("\n").as_bytes());
    }

    #[test]
    fn a_folder_that_loads_has_a_bundle_that_loads(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..20)) {
        let files = support::folder(&format!("=== agent.yml\n{}\n", pieces.join("\n")));
        if let Some(bot) = load(&files, &|_| None, &Options::new("x")).bot {
            let bundle = Bundle::parse(&Bundle::of(&files, "x").to_json()).unwrap();
            let again = load_bundle(bundle, &|_| None, &Options::new("x")).bot.unwrap();
            prop_assert_eq!(format!("{:?}", bot.source()), format!("{:?}", again.source()));
        }
    }
}
