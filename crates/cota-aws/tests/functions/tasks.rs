//! Tasks on the state machine of infra/, as moto runs it, its states done by the real function: they end as on a laptop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_testkit::client::task::{OVER, Task, expected, lasting};
use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use cota_testkit::proofs::model;
use cota_testkit::targets::{bot, example};
use tokio::sync::Semaphore;

use super::support::{self, Bundles, Deployment, Plan, scatter, seeds};

/// Within this time of a death a task goes on.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// Further tries where every kill found the function at rest.
const MORE: u64 = 40;
/// An invocation that is too short for a second call of a model that does not answer.
const SHORT: Duration = Duration::from_secs(4);

async fn deployment() -> Deployment {
    Deployment::start(Bundles::of_examples(&["weather", "trip", "consult"]), Plan::default()).await
}

/// The trip to Oslo, to its end.
async fn trip(address: String, id: String) -> Task {
    let trip = Task::start(&address, "trip", "Oslo", &id).await;
    trip.until(&["waiting"]).await;
    assert_eq!(trip.answer("approve", "yes").await, 202);
    assert_eq!(lasting(&trip.until(&OVER).await), expected("trip"), "{id}");
    trip
}

#[test]
fn the_examples_end_as_on_a_laptop() {
    support::run(async {
        let deployment = deployment().await;
        let trip = trip(deployment.address(), "t1".to_owned()).await;
        assert_eq!(trip.answer("approve", "no").await, 409, "the first answer counts");
        let consult = Task::start(&deployment.address(), "consult", "", "c1").await;
        assert_eq!(lasting(&consult.until(&OVER).await), expected("consult"));
        let stopped = Task::start(&deployment.address(), "trip", "Rome", "t2").await;
        stopped.until(&["waiting"]).await;
        assert_eq!(stopped.cancel().await, 202);
        assert_eq!(stopped.until(&OVER).await["state"], "cancelled");
    });
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    support::run(async {
        let deployment = deployment().await;
        // Every state's answer is lost once, the first time.
        for lost in 1..=3 {
            deployment.invoking.lose(lost);
            trip(deployment.address(), format!("t{lost}")).await;
        }
    });
}

#[test]
fn a_task_goes_on_when_its_function_is_killed() {
    support::run(async {
        let deployment = deployment().await;
        trip(deployment.address(), "first".to_owned()).await;
        let began = Instant::now();
        Task::start(&deployment.address(), "trip", "Oslo", "second").await.until(&["waiting"]).await;
        let whole = u64::try_from(began.elapsed().as_millis()).unwrap();
        let enough = *seeds(6, 2).end();
        for seed in 1..=enough + MORE {
            if seed > enough && deployment.task.deaths() > 0 {
                break;
            }
            let task = Task::start(&deployment.address(), "trip", "Oslo", &format!("t{seed}")).await;
            tokio::time::sleep(Duration::from_millis(scatter(seed, whole))).await;
            deployment.task.kill();
            let killed = Instant::now();
            task.until(&["waiting"]).await;
            assert!(killed.elapsed() < TAKEN_UP, "seed {seed}: went on after {:?}", killed.elapsed());
            assert_eq!(task.answer("approve", "yes").await, 202);
            assert_eq!(lasting(&task.until(&OVER).await), expected("trip"), "seed {seed}");
        }
        assert!(deployment.task.deaths() > 0, "nobody died, so this proves nothing");
    });
}

#[test]
fn stopping_a_task_stops_what_its_agent_is_at() {
    support::run(async {
        let llm = silent().await;
        let deployment = errand(&llm, Plan::default()).await;
        let task = Task::start(&deployment.address(), "errand", "t1", "t1").await;
        llm.reached(1).await;
        is_stopped(&task).await;
    });
}

#[test]
fn stopping_a_task_stops_a_turn_that_its_agent_goes_on_with_in_another_function() {
    support::run(async {
        let llm = silent().await;
        let deployment = errand(&llm, Plan { timeout: SHORT, ..Plan::default() }).await;
        let task = Task::start(&deployment.address(), "errand", "t1", "t1").await;
        // The invocation that asks the agent has no time for two calls.
        llm.reached(2).await;
        assert!(deployment.turn.started() > 0, "the agent was not taken up by another function, so this proves nothing");
        is_stopped(&task).await;
    });
}

/// A model that never answers.
async fn silent() -> LlmServer {
    model(Settings::new(scripts::chat()).gate(Arc::new(Semaphore::new(0)))).await
}

/// A deployment of a task whose agent asks a model.
async fn errand(llm: &LlmServer, plan: Plan) -> Deployment {
    let variables = vec![("COTA_TEST_LLM", llm.apibase())];
    Deployment::start(Bundles::of(&[example("weather"), bot("errand")]), Plan { variables, ..plan }).await
}

async fn is_stopped(task: &Task) {
    assert_eq!(task.cancel().await, 202);
    assert_eq!(task.until(&OVER).await["state"], "cancelled");
    assert_eq!(task.outcomes("errand/chatter").await, ["cancelled"]);
}
