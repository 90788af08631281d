//! What a deployment decides: limits, published bots, where secrets are kept.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cota_testkit::lambda::Function;
use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use cota_testkit::proofs::model;
use cota_testkit::services::dynamodb;
use cota_testkit::targets::bot;
use serde_json::json;

use super::support::{self, Bundles, Deployment, Plan, Socket, cota, http};

const GREETING: &str = "Hello! I can tell you the weather.";

fn set(function: &Function, variable: &str, value: &str) {
    function.change(|settings| {
        settings.variables.insert(variable.to_owned(), value.to_owned());
    });
}

#[test]
fn a_limit_holds_for_every_environment_and_both_ways_in() {
    support::run(async {
        let variables = vec![("COTA_LIMIT_ADDRESS_REQUESTS", "1:4".to_owned())];
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan { variables, ..Plan::default() }).await;
        // Its upgrade and its `join` are the first two of four.
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "limited", &json!({})).await;
        let hello = json!({"text": "hello"});
        assert_eq!(deployment.say("limited", &hello).await.status, 200);
        deployment.api.forget();
        assert_eq!(deployment.say("limited", &hello).await.status, 200, "another environment goes on counting where this one was");
        let refused = deployment.say("limited", &hello).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{refused:?}");
        socket.say("limited", "m1", "hello").await;
        let refused = socket.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&refused["code"], &refused["message_id"]), (&json!("rate_limited"), &json!("m1")), "{refused}");
        let health = http::get(&deployment.address(), "/health").await.unwrap();
        assert_eq!(health.status, 200, "what is there for everybody is not counted");
    });
}

#[test]
fn an_address_pays_for_the_turns_that_it_asks_for_in_whichever_function_they_run() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let variables = vec![("COTA_LIMIT_ADDRESS_TOKENS", "10:100".to_owned()), ("COTA_TEST_LLM", llm.apibase())];
        let deployment = Deployment::start(Bundles::of(&[bot("chat")]), Plan { variables, ..Plan::default() }).await;
        // What a socket says is accepted by one function and driven by another.
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "paid", &json!({})).await;
        socket.say("paid", "m1", "this is #m1").await;
        socket.answer_to("m1").await.unwrap();
        socket.say("paid", "m2", "this is #m2").await;
        let refused = socket.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&refused["code"], &refused["message_id"]), (&json!("rate_limited"), &json!("m2")), "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("too many tokens: one address may have 10 a minute"), "{refused}");
    });
}

/// The weather bot with another greeting, in a folder that goes with the test.
fn another(greeting: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/weather");
    fs::create_dir(folder.path().join("policy")).unwrap();
    for part in ["agent.yml", "endpoints.yml", "policy/forecast.yml", "policy/rules.yml", "policy/talk.yml"] {
        let text = fs::read_to_string(example.join(part)).unwrap();
        fs::write(folder.path().join(part), text.replace(GREETING, greeting)).unwrap();
    }
    folder
}

#[test]
fn what_is_pushed_into_the_table_is_served_without_a_deploy_to_whoever_speaks_next() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let place = format!("dynamodb:{}", deployment.table);
        serves_what_is_pushed(&deployment, &place, &dynamodb::shared().environment()).await;
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "socket", &json!({})).await;
        socket.say("socket", "m1", "hello").await;
        let answer = socket.answer_to("m1").await.unwrap();
        assert!(answer["text"].as_str().unwrap().starts_with("Good day!"), "{answer}");
    });
}

#[test]
fn what_is_pushed_into_a_bucket_is_served_in_the_same_way() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        deployment.aws.create_bucket("bots");
        let endpoint = ("AWS_ENDPOINT_URL_S3", deployment.aws.url());
        set(&deployment.api, endpoint.0, &endpoint.1);
        let mut environment = dynamodb::shared().environment();
        environment.push(endpoint);
        serves_what_is_pushed(&deployment, "s3:bots", &environment).await;
    });
}

async fn serves_what_is_pushed(deployment: &Deployment, place: &str, environment: &[(&'static str, String)]) {
    deployment.functions().iter().for_each(|function| set(function, "COTA_PUBLISHED", place));
    let hello = json!({"text": "hello"});
    assert!(deployment.say("before", &hello).await.replies()[0].starts_with(GREETING));
    let bot = another("Good day!");
    let mut push = Command::new(cota());
    push.arg("push").arg(bot.path()).args(["--to", place]).envs(environment.iter().cloned());
    let output = tokio::task::spawn_blocking(move || push.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let began = Instant::now();
    for n in 0.. {
        let replies = deployment.say(&format!("after-{n}"), &hello).await.replies();
        if replies[0].starts_with("Good day!") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is not served: {replies:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(deployment.api.started(), 1, "the environment is the same");
}

#[test]
fn a_variable_may_say_where_its_secret_is_kept() {
    support::run(async {
        let llm = LlmServer::start(Settings::new(scripts::weather())).await.unwrap();
        let bot = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cota-cli/tests/bots/weather");
        let deployment = Deployment::start(Bundles::of(&[bot]), Plan::default()).await;
        deployment.aws.put_parameter("/cota/llm", &llm.apibase());
        deployment.aws.create_secret("cota/model", &json!({"llm": llm.apibase()}).to_string());
        set(&deployment.api, "AWS_ENDPOINT_URL_SSM", &deployment.aws.url());
        set(&deployment.api, "AWS_ENDPOINT_URL_SECRETS_MANAGER", &deployment.aws.url());
        for place in ["aws-ssm:/cota/llm", "aws-secret:cota/model#llm"] {
            let before = llm.count();
            set(&deployment.api, "COTA_TEST_LLM", place);
            let answer = deployment.say("secret", &json!({"text": "what is the weather?"})).await;
            assert_eq!((answer.status, answer.replies()), (200, vec!["That is all I know.".to_owned()]), "{place}");
            assert!(llm.count() > before, "{place}");
        }
        set(&deployment.api, "COTA_TEST_LLM", "aws-ssm:/cota/nothing");
        let failed = deployment.api.invoke(&json!({})).await.unwrap_err().to_string();
        assert!(failed.starts_with("Cota.Secret: the secret that COTA_TEST_LLM names could not be read"), "{failed}");
        assert!(!deployment.api.logged().contains(&llm.apibase()), "what is kept as a secret stands in no log");
    });
}
