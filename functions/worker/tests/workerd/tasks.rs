//! Tasks in their objects: the examples end as they do on a laptop, whenever workerd is killed or lets an object go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_core::limits;
use cota_testkit::client::task::{OVER, Task, expected, lasting};
use cota_testkit::llm_server::{Settings, scripts};
use tokio::sync::Semaphore;

use super::support::{self, Workerd, http, model, scatter};

const KILLS: u64 = 8;
/// Within this time of the restart a task goes on.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// workerd lets go of an object that does nothing for ten seconds.
const LET_GO: Duration = Duration::from_secs(12);
/// An answer that nobody told of is looked for.
const LOOKED_FOR: Duration = Duration::from_millis(limits::TASK_LOOK_MS);
/// What an agent says whose answer does not reach the task: the Worker that is tried loses it.
const LOST: &str = "lost";

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
        let workerd = start_logging(support::NO_MODEL).await;
        let trip = Task::start(&workerd.address, "trip", "Oslo", "t1").await;
        trip.until(&["waiting"]).await;
        let before = woken(&workerd);
        tokio::time::sleep(LET_GO).await;
        assert_eq!(trip.answer("approve", "yes").await, 202);
        assert_eq!(lasting(&trip.until(&OVER).await), expected("trip"));
        assert!(woken(&workerd) > before, "workerd let no object go, so this proves nothing");
    });
}

#[test]
fn while_an_agent_works_its_task_is_in_nobodys_memory() {
    support::run(async {
        let gate = Arc::new(Semaphore::new(0));
        let llm = model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await;
        let workerd = start_logging(&llm.apibase()).await;
        let task = Task::start(&workerd.address, "errand", "t1", "t1").await;
        llm.reached(1).await;
        let before = woken(&workerd);
        tokio::time::sleep(LET_GO).await;
        gate.add_permits(Semaphore::MAX_PERMITS >> 1);
        let opened = Instant::now();
        // Nobody looks meanwhile: the agent's answer wakes the task.
        while woken(&workerd) == before {
            assert!(opened.elapsed() < LOOKED_FOR - LET_GO, "no object was woken: workerd let none go, or none was told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(task.until(&OVER).await["state"], "done");
        assert_eq!(llm.count(), 2, "no call is made twice");
    });
}

#[test]
fn an_answer_that_is_lost_on_its_way_is_found() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let workerd = start_logging(&llm.apibase()).await;
        let asked = Instant::now();
        let task = Task::start(&workerd.address, "errand", LOST, "t1").await;
        tokio::time::sleep(LET_GO).await;
        assert_eq!(task.until(&OVER).await["result"], "It is #lost.");
        assert!((LET_GO..TAKEN_UP).contains(&asked.elapsed()), "found after {:?}", asked.elapsed());
        assert_eq!(llm.count(), 2, "the agent is not asked again");
    });
}

#[test]
fn an_agent_that_is_killed_at_its_work_tells_the_task_later() {
    support::run(async {
        let gate = Arc::new(Semaphore::new(0));
        let llm = model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await;
        let mut workerd = Workerd::start("weather", &llm.apibase()).await;
        let task = Task::start(&workerd.address, "errand", "t1", "t1").await;
        llm.reached(1).await;
        workerd.kill();
        gate.add_permits(Semaphore::MAX_PERMITS >> 1);
        workerd.start_again().await;
        assert_eq!(taken_up(&task, &OVER).await["state"], "done");
        assert_eq!(task.outcomes("errand/chatter").await, ["replied"]);
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

/// A workerd that tells when it takes an object into memory.
async fn start_logging(llm: &str) -> Workerd {
    Workerd::start_with(&[("COTA_TEST_LLM", llm), ("COTA_DEFAULT_BOT", "weather"), ("COTA_LOG_LEVEL", "debug")]).await
}

fn woken(workerd: &Workerd) -> usize {
    workerd.logged().matches("an object is woken").count()
}

async fn is_stopped(task: &Task) {
    assert_eq!(task.cancel().await, 202);
    assert_eq!(task.until(&OVER).await["state"], "cancelled");
    assert_eq!(task.outcomes("errand/chatter").await, ["cancelled"]);
}
