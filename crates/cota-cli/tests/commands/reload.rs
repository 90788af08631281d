//! A bot that changes while it is served.

use crate::support::{Home, until};

const BEFORE: &str = "Goodbye";

#[test]
fn a_change_is_served_without_a_restart_and_a_broken_one_is_not() {
    let home = Home::with("weather");
    let server = home.serve(&["--store", "memory"]);
    assert!(server.reply("a", "bye").contains(BEFORE));

    home.change("policy/talk.yml", BEFORE, "Farewell");
    let mut tries = 0;
    until("the change to be served", || {
        tries += 1;
        server.reply(&format!("b{tries}"), "bye").contains("Farewell")
    });

    home.change("policy/rules.yml", "name: HandOver", "name: HandOverr");
    until("the broken change to be reported", || server.logged().contains("a change is not served"));
    let logged = server.logged();
    assert!(logged.contains("policy/rules.yml:8:16: error: "), "{logged}");
    assert!(server.reply("c", "bye").contains("Farewell"), "the bot as it was goes on");

    home.change("policy/rules.yml", "name: HandOverr", "name: HandOver");
    home.change("policy/talk.yml", "Farewell", "So long");
    until("the mended bot to be served", || {
        tries += 1;
        server.reply(&format!("d{tries}"), "bye").contains("So long")
    });
}
