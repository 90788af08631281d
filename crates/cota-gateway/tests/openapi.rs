//! The OpenAPI document and the routes agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use http::{Request, header};
use serde_json::{Value as Json, json};

use client::{MESSAGES, answer, ask, body, get, post};
use cota_protocol::problem::Code;
use support::world;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(router: &Router) -> Json {
    answer(router, get("/openapi.json")).await.1
}

/// The methods of each route, as the router itself tells them.
async fn served(router: &Router) -> BTreeMap<String, BTreeSet<String>> {
    let welcome = body(ask(router, get("/")).await).await;
    let paths = welcome.lines().filter(|line| line.starts_with('/') && !line.starts_with("/websocket"));
    let mut served = BTreeMap::new();
    for path in paths {
        let uri = path.replace(['{', '}'], "");
        let request = Request::options(uri).body(Body::empty()).unwrap();
        let allow = ask(router, request).await.headers()[header::ALLOW].to_str().unwrap().to_lowercase();
        served.insert(path.to_owned(), allow.split(',').filter(|method| *method != "head").map(str::to_owned).collect());
    }
    served
}

#[tokio::test]
async fn it_describes_every_route_and_no_other() {
    let router = world().gateway.router();
    let methods = |item: &Json| item.as_object().unwrap().keys().filter(|key| METHODS.contains(&key.as_str())).cloned().collect();
    let document = document(&router).await;
    let described: BTreeMap<String, BTreeSet<String>> =
        document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect();
    assert_eq!(described, served(&router).await);
}

#[tokio::test]
async fn it_is_of_this_version_and_knows_only_real_problems() {
    let document = document(&world().gateway.router()).await;
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for code in document["components"]["schemas"]["Code"]["enum"].as_array().unwrap() {
        assert!(code.as_str().unwrap().parse::<Code>().is_ok(), "{code}");
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        let Some(problem) = response["content"].get("application/problem+json") else { continue };
        let code: Code = problem["example"]["code"].as_str().unwrap().parse().unwrap();
        let told = (&problem["example"]["status"], &problem["example"]["title"]);
        assert_eq!(told, (&json!(code.status()), &json!(code.title())), "{name}");
    }
}

#[tokio::test]
async fn real_answers_and_its_own_examples_are_as_it_says() {
    let router = world().gateway.router();
    let document = document(&router).await;
    let (_, said) = answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await;
    let (_, state) = answer(&router, get("/v1/conversations/c1")).await;
    let (_, page) = answer(&router, get("/v1/conversations/c1/events")).await;
    let (_, problem) = answer(&router, post(MESSAGES, &json!({}))).await;
    let (_, tracker) = answer(&router, get("/get/conversations/c1/tracker")).await;
    let (_, history) = answer(&router, get("/get/history/message/conversation/c1")).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let (_, completion) = answer(&router, post("/v1/chat/completions", &json!({"messages": messages}))).await;
    let (_, models) = answer(&router, get("/v1/models")).await;
    let answers = [
        ("MessageAnswer", said),
        ("ConversationState", state),
        ("EventsPage", page),
        ("Problem", problem),
        ("TrackerState", tracker),
        ("Utterances", history),
        ("Completion", completion),
        ("ModelList", models),
    ];
    for (schema, found) in answers {
        fits(&document, json!({"$ref": format!("#/components/schemas/{schema}")}), &found);
    }
    let mut examples = Vec::new();
    contents(&document, &mut examples);
    assert!(examples.len() > 15);
    for content in examples {
        fits(&document, content["schema"].clone(), &content["example"]);
    }
}

fn fits(document: &Json, schema: Json, found: &Json) {
    let schema = json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(found).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {found}");
}

/// Every media type's description that has an example.
fn contents(json: &Json, found: &mut Vec<Json>) {
    if json.get("schema").is_some() && json.get("example").is_some() {
        found.push(json.clone());
    }
    match json {
        Json::Object(members) => members.values().for_each(|member| contents(member, found)),
        Json::Array(items) => items.iter().for_each(|item| contents(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
