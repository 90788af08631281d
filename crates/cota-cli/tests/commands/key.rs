//! `cota key`, and a server that identifies its callers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Home, Server};

/// The status of a message with this header.
fn status(server: &Server, authorization: &str) -> u16 {
    let body = r#"{"text": "hello", "sender_id": "ana"}"#;
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!("host: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    let path = "/v1/conversations/a/messages";
    stream.write_all(format!("POST {path} HTTP/1.1\r\n{head}{authorization}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_server_with_keys_lets_in_who_has_one_until_it_is_revoked() {
    let home = Home::with("weather");
    let made = home.cota(&["key", "create", "--name", "shop", "--scopes", "chat,inspect", "--days", "7"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let key = made.stdout.trim();
    let id = key.split('_').nth(1).unwrap();
    let listed = home.cota(&["key", "list"]).stdout;
    assert!(listed.starts_with(&format!("{id}  chat,inspect  made ")) && listed.ends_with("  shop\n"), "{listed}");
    let as_json = home.cota(&["key", "list", "--format", "json"]);
    assert_eq!((&as_json.json()[0]["id"], as_json.json()[0]["scopes"].to_string()), (&id.into(), r#"["chat","inspect"]"#.to_owned()));
    let secret = key.rsplit('_').next().unwrap();
    assert!(!listed.contains(secret) && !as_json.stdout.contains(secret) && !as_json.stdout.contains("hash"));
    let exported = home.cota(&["key", "export"]);
    assert_eq!((&exported.json()[0]["id"], exported.stdout.lines().count()), (&id.into(), 1));
    assert!(exported.stdout.contains("hash") && !exported.stdout.contains(secret));

    let server = home.serve(&["--log-level", "trace"]);
    let bearer = format!("Authorization: Bearer {key}\r\n");
    assert_eq!((status(&server, ""), status(&server, &bearer)), (401, 200));
    assert_eq!(home.cota(&["key", "revoke", id]).code, 0);
    assert_eq!(home.cota(&["key", "revoke", id]).code, 1);
    crate::support::until("the server to notice", || status(&server, &bearer) == 401);
    assert!(!server.logged().contains(secret), "no key in a log");
}

#[test]
fn the_first_key_locks_a_server_that_runs() {
    let home = Home::with("weather");
    let server = home.serve(&[]);
    assert_eq!(status(&server, ""), 200);
    let made = home.cota(&["key", "create"]);
    let bearer = format!("Authorization: Bearer {}\r\n", made.stdout.trim());
    crate::support::until("the server to notice", || status(&server, "") == 401);
    assert_eq!(status(&server, &bearer), 200);
    assert!(server.logged().contains("there is an API key now"), "{}", server.logged());
}

#[test]
fn identity_is_off_only_where_nobody_else_can_come_or_somebody_said_so() {
    let home = Home::with("weather");
    let refused = home.cota(&["run", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("cota key create"), "{}", refused.stderr);
    assert_eq!(status(&home.serve(&[]), ""), 200);
    assert_eq!(home.cota(&["key", "create"]).code, 0);
    assert_eq!(status(&home.serve(&["--insecure-no-identity"]), ""), 200);
    let with_secret = |secret: &str| {
        let mut command = home.command(&["run", "--store", "memory", "--jwt-issuer", "us", "--host", "nowhere.invalid"]);
        command.env("COTA_JWT_SECRET", secret).output().unwrap()
    };
    assert_eq!(with_secret("short").status.code(), Some(2));
    assert_eq!(with_secret(&"long".repeat(8)).status.code(), Some(3), "it gets as far as listening");
}

#[test]
fn wrong_settings_are_told_with_the_way_out() {
    let home = Home::with("weather");
    home.write("keys.json", r#"{"keys": []}"#);
    for (line, code, words) in [
        (["key"].as_slice(), 2, "cota key revoke ID, or cota key export"),
        (&["key", "revoke"], 2, "name the key"),
        (&["key", "create", "--scopes", "chat,admin"], 2, "`admin` is no scope: there are chat, inspect, operator"),
        (&["key", "create", "--days", "soon"], 2, "a whole number of days"),
        (&["key", "create", "--store", "memory"], 2, "--store sqlite:PATH"),
        (&["run", "--jwks", "keys.json"], 2, "--jwks needs --jwt-issuer and --jwt-audience"),
        (&["run", "--jwt-issuer", "us"], 2, "COTA_JWT_SECRET"),
        (&["run", "--jwks", "keys.json", "--jwt-issuer", "a", "--jwt-audience", "b"], 1, "the key set has no key"),
        (&["run", "--jwks", "none.json", "--jwt-issuer", "a", "--jwt-audience", "b"], 1, "cannot read none.json"),
        (&["run", "--jwks", "ftp://x/", "--jwt-issuer", "a", "--jwt-audience", "b"], 2, "--jwks: "),
    ] {
        let called = home.cota(line);
        assert_eq!(called.code, code, "{line:?}: {}", called.stderr);
        assert!(called.stderr.contains(words), "{line:?}: {}", called.stderr);
    }
}
