//! `cota init`.

use std::fs;

use crate::support::Home;

#[test]
fn every_template_becomes_a_bot_that_checks_and_passes_its_tests() {
    let list = Home::new().cota(&["init", "--list"]);
    let templates: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(templates, ["clinic", "helpdesk", "weather", "weather-zh"]);
    for template in templates {
        let home = Home::new();
        let written = home.cota(&["init", "my/bot", "--template", template]);
        assert_eq!(written.code, 0, "{}", written.stderr);
        assert!(written.stdout.contains("cota shell my/bot"), "{}", written.stdout);
        let checked = home.cota(&["check", "my/bot"]);
        assert_eq!(checked.code, 0, "{}", checked.stdout);
        let tested = home.cota(&["test", "my/bot"]);
        assert_eq!(tested.code, 0, "{}", tested.stdout);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_half_written() {
    let home = Home::new();
    home.write("endpoints.yml", "mine");
    let called = home.cota(&["init"]);
    assert_eq!((called.code, called.stdout.as_str()), (1, ""));
    assert!(called.stderr.contains("endpoints.yml"), "{}", called.stderr);
    assert_eq!(home.read("endpoints.yml"), "mine");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn editors_find_the_schemas_that_the_files_name() {
    let home = Home::with("weather");
    for file in ["agent.yml", "endpoints.yml", "policy/rules.yml", "tests/conversations.yml"] {
        let text = home.read(file);
        let schema = text.lines().next().unwrap().split("$schema=").nth(1).unwrap();
        let path = home.path().join(file).parent().unwrap().join(schema);
        assert!(path.is_file(), "{file} names {schema}");
    }
}
