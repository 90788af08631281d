//! `cota shell`, through a pipe.

use crate::support::Home;

#[test]
fn each_line_is_a_message_and_each_reply_a_line() {
    let home = Home::with("weather");
    let called = home.cota_with_input(&["shell"], "what is the weather in Oslo?\n\ntomorrow\n/stop\nnever said\n");
    assert_eq!((called.code, called.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = called.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", called.stdout);
    assert!(lines[0].starts_with("bot: ") && lines[0].contains("which day"), "{}", called.stdout);
    assert!(lines[1].contains("Oslo, tomorrow"), "{}", called.stdout);
}

#[test]
fn a_session_is_gone_on_with_and_without_one_nothing_is_kept() {
    let home = Home::with("weather");
    home.cota_with_input(&["shell", "--session", "trip"], "what is the weather in Oslo?\n");
    let second = home.cota_with_input(&["shell", "--session", "trip"], "tomorrow\n");
    assert!(second.stdout.contains("Oslo, tomorrow"), "{}", second.stdout);
    let fresh = Home::with("weather");
    fresh.cota_with_input(&["shell"], "what is the weather in Oslo?\n");
    assert!(!fresh.path().join(".cota").exists());
}

#[test]
fn debug_tells_what_was_done_and_why() {
    let home = Home::with("weather");
    let called = home.cota_with_input(&["shell", "--debug"], "agent please\n");
    assert!(called.stdout.contains("HandOver"), "{}", called.stdout);
    assert!(called.stdout.contains("because: the rule `hand over to a person` says so"), "{}", called.stdout);
    assert!(called.stdout.contains("thought: "), "{}", called.stdout);
}

#[test]
fn an_empty_line_starts_a_rehearsal() {
    let home = Home::with("clinic");
    let called = home.cota_with_input(&["shell"], "\n");
    assert_eq!(called.code, 0, "{}", called.stderr);
    assert!(called.stdout.starts_with("user: "), "{}", called.stdout);
    assert!(called.stdout.lines().filter(|line| line.starts_with("bot: ")).count() > 1, "{}", called.stdout);
    assert!(called.stdout.trim_end().lines().last().unwrap().contains("Goodbye"), "{}", called.stdout);
}

#[test]
fn a_text_that_is_too_long_is_refused_and_the_conversation_goes_on() {
    let home = Home::with("weather");
    let called = home.cota_with_input(&["shell"], &format!("{}\nhello\n", "x".repeat(17_000)));
    assert_eq!(called.code, 0);
    assert!(called.stderr.contains("the text has 17000 bytes; the limit is 16384"), "{}", called.stderr);
    assert!(called.stdout.starts_with("bot: Hello"), "{}", called.stdout);
}
