//! `cota push` and `cota run --published`: a new version without a deploy and without a restart.

use cota_testkit::services::cloudflare::Cloudflare;

use crate::support::{Called, Home, until};

const BEFORE: &str = "Goodbye";

fn place() -> String {
    format!("kv:{}", Cloudflare::NAMESPACE)
}

/// The variables of an account.
fn account(cloudflare: &Cloudflare) -> [(&'static str, String); 3] {
    [
        ("CLOUDFLARE_ACCOUNT_ID", Cloudflare::ACCOUNT.to_owned()),
        ("CLOUDFLARE_API_TOKEN", Cloudflare::TOKEN.to_owned()),
        ("CLOUDFLARE_API_BASE_URL", cloudflare.url()),
    ]
}

fn push(home: &Home, cloudflare: &Cloudflare) -> Called {
    let mut command = home.command(&["push", "--to", &place()]);
    Called::of(&command.envs(account(cloudflare)).output().unwrap())
}

#[test]
fn a_published_version_is_served_without_a_restart_and_one_that_does_not_load_is_not_published() {
    let cloudflare = Cloudflare::start();
    let (author, machine) = (Home::with("weather"), Home::with("weather"));
    let server = machine.serve_with(&["--store", "memory", "--published", &place()], &account(&cloudflare));
    assert!(server.reply("a", "bye").contains(BEFORE), "nothing is published: the folder's version");

    author.change("policy/talk.yml", BEFORE, "Farewell");
    let pushed = push(&author, &cloudflare);
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    assert!(pushed.stdout.starts_with(&format!("weather: published to {}, ", place())), "{}", pushed.stdout);
    let mut tries = 0;
    until("the version to be served", || {
        tries += 1;
        server.reply(&format!("b{tries}"), "bye").contains("Farewell")
    });
    assert!(server.logged().contains("a published version is served from now on"), "{}", server.logged());
    let again = push(&author, &cloudflare);
    assert!(again.stdout.starts_with(&format!("weather: published to {} before, ", place())), "{}", again.stdout);

    author.change("policy/rules.yml", "name: HandOver", "name: HandOverr");
    let broken = push(&author, &cloudflare);
    assert_eq!((broken.code, broken.stdout.as_str()), (1, ""));
    assert!(
        broken.stderr.contains("policy/rules.yml:8:16: error: ") && broken.stderr.contains("no bundle was published"),
        "{}",
        broken.stderr
    );
}

#[test]
fn a_server_that_starts_has_the_published_version_at_once() {
    let cloudflare = Cloudflare::start();
    let (author, machine) = (Home::with("weather"), Home::with("weather"));
    author.change("policy/talk.yml", BEFORE, "Farewell");
    assert_eq!(push(&author, &cloudflare).code, 0);
    let server = machine.serve_with(&["--store", "memory", "--published", &place()], &account(&cloudflare));
    assert!(server.reply("a", "bye").contains("Farewell"));
}
