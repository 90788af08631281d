//! Tasks in their objects: the examples end as they do on a laptop, whenever workerd is killed or lets an object go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_testkit::client::task::{OVER, Task, expected, lasting};
use cota_testkit::llm_server::{Settings, scripts};
use tokio::sync::Semaphore;

use super::support::{self, Workerd, http, model, scatter};

const KILLS: u64 = 8;
/// Within this time of the restart a task goes on.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// workerd lets go of an object that does nothing for ten seconds.
const LET_GO: Duration = Duration::from_secs(12);

#[test]
fn the_examples_end_as_on_a_laptop() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let trip = Task::start(&workerd.address, "trip", "Oslo", "t1").await;
        let watched = tokio::spawn(watch(trip.clone()));
        trip.until(&["waiting"]).await;
        assert_eq!(trip.answer("food", "fish").await, 400);
        assert_eq!(trip.answer("approve", "yes").await, 202);
        assert_eq!(lasting(&trip.until(&OVER).await), expected("trip"));
        assert_eq!(trip.answer("approve", "no").await, 409, "the first answer counts");
        let told = watched.await.unwrap();
        assert!(told.contains("\"state\":\"asking\"") && told.ends_with("\n\n"), "{told}");
        let last = told.trim_end().lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert_eq!(lasting(&serde_json::from_str(last).unwrap()), expected("trip"), "the last that a stream tells is the end");
        let consult = Task::start(&workerd.address, "consult", "", "c1").await;
        assert_eq!(lasting(&consult.until(&OVER).await), expected("consult"));
        let stopped = Task::start(&workerd.address, "trip", "Rome", "t2").await;
        stopped.until(&["waiting"]).await;
        assert_eq!(stopped.cancel().await, 202);
        assert_eq!(stopped.until(&OVER).await["state"], "cancelled");
    });
}

/// Everything that the task's stream tells, to its end.
async fn watch(task: Task) -> String {
    let path = format!("/v1/tasks/{}", task.id);
    http::exchange(&task.address, "GET", &path, &["accept: text/event-stream"], b"").await.unwrap().body
}

#[test]
fn a_task_goes_on_whenever_workerd_is_killed() {
    support::run(async {
        let mut workerd = Workerd::start("weather", support::NO_MODEL).await;
        for seed in 1..=KILLS {
            let trip = Task::start(&workerd.address, "trip", "Oslo", &format!("t{seed}")).await;
            kill_after(&mut workerd, scatter(seed, 300)).await;
            taken_up(&trip, &["waiting"]).await;
            trip.answer("approve", "yes").await;
            kill_after(&mut workerd, scatter(seed, 30)).await;
            let report = taken_up(&trip, &OVER).await;
            assert_eq!(lasting(&report), expected("trip"), "seed {seed}");
            let consult = Task::start(&workerd.address, "consult", "", &format!("c{seed}")).await;
            kill_after(&mut workerd, scatter(seed, 100)).await;
            let report = taken_up(&consult, &OVER).await;
            assert_eq!(lasting(&report), expected("consult"), "seed {seed}");
        }
    });
}

async fn kill_after(workerd: &mut Workerd, ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    workerd.kill();
    workerd.start_again().await;
}

async fn taken_up(task: &Task, states: &[&str]) -> serde_json::Value {
    let restarted = Instant::now();
    let report = task.until(states).await;
    assert!(restarted.elapsed() < TAKEN_UP, "{} went on after {:?}", task.id, restarted.elapsed());
    report
}

#[test]
fn a_task_that_waits_for_a_person_keeps_nothing_in_memory() {
    support::run(async {
        let variables = [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_DEFAULT_BOT", "weather"), ("COTA_LOG_LEVEL", "debug")];
        let workerd = Workerd::start_with(&variables).await;
        let trip = Task::start(&workerd.address, "trip", "Oslo", "t1").await;
        trip.until(&["waiting"]).await;
        let woken = || workerd.logged().matches("an object is woken").count();
        let before = woken();
        tokio::time::sleep(LET_GO).await;
        assert_eq!(trip.answer("approve", "yes").await, 202);
        assert_eq!(lasting(&trip.until(&OVER).await), expected("trip"));
        assert!(woken() > before, "workerd let no object go, so this proves nothing");
    });
}

#[test]
fn stopping_a_task_stops_what_its_agent_is_at() {
    support::run(async {
        // It never answers.
        let llm = model(Settings::new(scripts::chat()).gate(Arc::new(Semaphore::new(0)))).await;
        let mut workerd = Workerd::start("weather", &llm.apibase()).await;
        let task = Task::start(&workerd.address, "errand", "t1", "t1").await;
        llm.reached(1).await;
        is_stopped(&task).await;
        let killed = Task::start(&workerd.address, "errand", "t2", "t2").await;
        llm.reached(2).await;
        workerd.kill();
        workerd.start_again().await;
        is_stopped(&killed).await;
    });
}

async fn is_stopped(task: &Task) {
    assert_eq!(task.cancel().await, 202);
    assert_eq!(task.until(&OVER).await["state"], "cancelled");
    assert_eq!(task.outcomes("errand/chatter").await, ["cancelled"]);
}
