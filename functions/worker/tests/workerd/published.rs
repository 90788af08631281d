//! New versions of a bot from Workers KV: the next turn takes a good one, and a hostile one leaves the old one serving.

use std::path::Path;
use std::time::{Duration, Instant};

use cota_config::{Bundle, Files};
use serde_json::{Value as Json, json};

use super::support::{self, Namespace, Workerd};

const POINTER: &str = "cota/bots/weather/pointer";
/// An isolate looks every five seconds.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn the_next_turn_takes_a_published_version_and_no_hostile_one() {
    support::run(async {
        let namespace = Namespace::start().await;
        let variables = [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_DEFAULT_BOT", "weather")];
        let workerd = Workerd::start_over(&variables, Some(&namespace)).await;
        assert!(greeting(&workerd).await.starts_with("Hello! I can tell you the weather."));

        let second = version("Good day! Which city?");
        publish(&namespace, &second, 2);
        wait_for(&workerd, "Good day! Which city?").await;

        for (what, pointer, bundle) in hostile(&second) {
            let before = refusals(&workerd);
            if let Some(bundle) = bundle {
                namespace.put(&bundle.0, bundle.1);
            }
            namespace.put(POINTER, pointer);
            let began = Instant::now();
            while refusals(&workerd) == before {
                assert_eq!(greeting(&workerd).await, "Good day! Which city?", "{what}");
                assert!(began.elapsed() < SOON, "{what} is not in the log: {}", workerd.logged());
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let third = version("Hi! Which city?");
        publish(&namespace, &third, 3);
        wait_for(&workerd, "Hi! Which city?").await;
    });
}

type Hostile = (&'static str, Vec<u8>, Option<(String, Vec<u8>)>);

/// What nobody should serve.
fn hostile(good: &Bundle) -> Vec<Hostile> {
    let name = |digest: &str| format!("cota/bots/weather/bundles/{digest}");
    let digest = "a".repeat(64);
    let with = |change: fn(&mut Json)| {
        let mut pointer = pointer(good, 9);
        change(&mut pointer);
        pointer.to_string().into_bytes()
    };
    vec![
        ("no JSON", b"{not json".to_vec(), None),
        ("the wrong schema", with(|pointer| pointer["cota_pointer"] = json!(99)), None),
        ("a bundle over 24 MB", with(|pointer| pointer["size"] = json!(25 * 1024 * 1024)), None),
        ("another bot's", with(|pointer| pointer["bot"] = json!("clinic")), None),
        (
            "an older sequence",
            with(|pointer| {
                pointer["sequence"] = json!(1);
                pointer["digest"] = json!("b".repeat(64));
            }),
            None,
        ),
        ("a bundle that is none", with(|pointer| pointer["digest"] = json!("a".repeat(64))), Some((name(&digest), b"[]".to_vec()))),
    ]
}

async fn greeting(workerd: &Workerd) -> String {
    static ASKED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    workerd.say(&format!("greeting-{n}"), &json!({"text": "hello"})).await.replies().concat()
}

async fn wait_for(workerd: &Workerd, wanted: &str) {
    let began = Instant::now();
    while greeting(workerd).await != wanted {
        assert!(began.elapsed() < SOON, "`{wanted}` is not served: {}", workerd.logged());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn refusals(workerd: &Workerd) -> usize {
    workerd.logged().matches("a published version is refused").count()
}

/// The weather bot with another greeting.
fn version(greeting: &str) -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/weather");
    let mut files = Files::new();
    for name in ["agent.yml", "endpoints.yml"] {
        files.insert(name.to_owned(), std::fs::read_to_string(folder.join(name)).unwrap());
    }
    for entry in std::fs::read_dir(folder.join("policy")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("Hello! I can tell you the weather. Which city and which day?", greeting);
        files.insert(format!("policy/{}", path.file_name().unwrap().to_str().unwrap()), text);
    }
    Bundle::of(&files, "weather")
}

fn publish(namespace: &Namespace, bundle: &Bundle, sequence: u64) {
    namespace.put(&format!("cota/bots/weather/bundles/{}", bundle.digest().0), bundle.to_json());
    namespace.put(POINTER, pointer(bundle, sequence).to_string());
}

fn pointer(bundle: &Bundle, sequence: u64) -> Json {
    let size = bundle.to_json().len();
    json!({"cota_pointer": 1, "bot": "weather", "digest": bundle.digest().0, "sequence": sequence, "size": size, "pushed_at": 0})
}
