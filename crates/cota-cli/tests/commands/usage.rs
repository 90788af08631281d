//! Help, versions, and what is no command.

use crate::support::Home;

#[test]
fn every_command_of_the_overview_has_help_of_its_own() {
    let home = Home::new();
    let overview = home.cota(&["--help"]);
    assert_eq!(overview.code, 0);
    let listed = overview.stdout.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = listed.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(commands, ["init", "run", "shell", "task", "check", "test", "trace", "bundle", "push", "export", "key"]);
    for command in commands {
        for line in [[command, "--help"], [command, "-h"], ["help", command]] {
            let help = home.cota(&line);
            assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{line:?}");
            assert!(help.stdout.starts_with(&format!("Usage: cota {command} ")), "{}", help.stdout);
        }
    }
}

#[test]
fn the_version_is_told() {
    let told = Home::new().cota(&["--version"]);
    assert_eq!((told.code, told.stdout), (0, format!("cota {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_wrong_call_exits_with_2_and_names_the_way_out() {
    let home = Home::with("weather");
    for (line, words) in [
        (vec![], "a command is missing"),
        (vec!["pull"], "there is no command `pull`; there are init, run, shell, task, check, test, trace, bundle, push, export, key"),
        (vec!["--verbose"], "invalid option '--verbose'"),
        (vec!["check", "--port", "1"], "unknown option `--port`: this command has --format"),
        (vec!["check", "--format", "xml"], "`xml` is no value for --format: it takes text or json"),
        (vec!["bundle"], "name the file to write: -o FILE"),
        (vec!["bundle", "-o"], "missing argument"),
        (vec!["push"], "name the place: --to kv:NAMESPACE, s3:BUCKET or dynamodb:TABLE"),
        (vec!["push", "--to", "ftp:x"], "`ftp:x` is no place for bots"),
        (vec!["trace"], "name the conversation"),
        (vec!["trace", "with space"], "conversation id has a character other than visible ASCII"),
        (vec!["init", "--template", "none"], "there is no template `none`; there are clinic, helpdesk, weather, weather-zh"),
        (vec!["run", "--store", "dynamodb:x"], "`x` is no name of a DynamoDB table"),
        (vec!["run", "--store", "upstash:redis://x"], "`redis://x` is no address of an Upstash database"),
        (vec!["run", "--store", "redis:x"], "`redis:x` is no store; use sqlite:PATH, upstash:URL, dynamodb:TABLE or memory"),
        (vec!["run", "--port", "70000"], "`70000` is no value for --port: it takes a number from 0 to 65535"),
        (vec!["run", "--host", "0.0.0.0"], "--insecure-no-identity"),
        (vec!["test", "--target", "ftp://x"], "is no address of a server"),
    ] {
        let called = home.cota(&line);
        assert_eq!((called.code, called.stdout.as_str()), (2, ""), "{line:?}: {}", called.stderr);
        assert!(called.stderr.starts_with("error: ") && called.stderr.contains(words), "{line:?}: {}", called.stderr);
    }
}

#[test]
fn a_place_without_a_bot_exits_with_1_and_says_what_is_there() {
    let home = Home::new();
    home.write("consult/task.yml", "description: x\n");
    home.write("latin/agent.yml", "");
    std::fs::write(home.path().join("latin/agent.yml"), b"system: {name: caf\xe9}").unwrap();
    for (bot, words) in [
        (".", "is no bot: it has no agent.yml, and no folder in it has one; `cota init` writes an example bot"),
        ("missing", "there is no bot at missing"),
        ("consult", "consult is a task"),
        ("latin", "latin/agent.yml is not UTF-8 text"),
    ] {
        for command in ["run", "shell", "check", "test"] {
            let takes_tasks = command == "run" || command == "check";
            if (bot == "." && command != "run") || (bot == "consult" && takes_tasks) {
                continue;
            }
            let place = if bot == "." { "empty" } else { bot };
            std::fs::create_dir_all(home.path().join("empty")).unwrap();
            let called = home.cota(&[command, place]);
            assert_eq!((called.code, called.stdout.as_str()), (1, ""), "{command} {bot}: {}", called.stderr);
            assert!(called.stderr.contains(words), "{command} {bot}: {}", called.stderr);
        }
    }
}
