//! A bot that changes while it is served.

use serde_json::json;

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

#[test]
fn a_changed_task_is_served_without_a_restart_and_a_broken_one_is_not() {
    let home = Home::new();
    let plan = |steps: &str| home.write("job/task.yml", &format!("plans:\n{steps}"));
    plan("  - {name: first, agent: human, startquery: 'so?'}\n");
    home.write("job/endpoints.yml", "llms: {offline: {type: examples}}\n");
    home.write("job/agents/ana/agent.yml", "system: {description: Ana.}\n");
    let server = home.serve(&["--store", "memory", "job"]);
    let mut tries = 0;
    let mut steps = || {
        tries += 1;
        server.post("/v1/tasks", &json!({"task_id": format!("t{tries}")}));
        server.until(&format!("/v1/tasks/t{tries}"), |report| report["state"] == "waiting")["steps"].to_string()
    };
    assert!(steps().contains("first"));
    plan("  - {name: first, agent: human, startquery: 'so?'}\n  - {name: second, agent: human, startquery: 'so?'}\n");
    until("the change to be served", || steps().contains("second"));
    plan("  - {name: first, agent: nobody, startquery: 'so?'}\n");
    until("the broken change to be reported", || server.logged().contains("a change is not served"));
    assert!(server.logged().contains("job/task.yml:2:26: error: "), "{}", server.logged());
    assert!(steps().contains("second"), "the task as it was goes on");
}
