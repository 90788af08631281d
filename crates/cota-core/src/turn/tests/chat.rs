//! Plain talk: choosing, uttering, streaming, splitting, and what the record tells of it.

use super::stage::{Answer, Stage, picks, says, utters, weather};
use crate::event::{Cause, InboxMessage, MessageContent, TurnOutcome};
use crate::ids::SenderId;
use crate::limits;
use crate::turn::{Fragment, Purpose, TurnReport};

#[test]
fn a_plain_turn_is_two_calls_and_one_write() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("how are you?", [picks("BotUtter"), utters("Fine.")]);
    assert_eq!(played.report, TurnReport::Finished(TurnOutcome::Replied));
    assert_eq!(played.lines(), ["UserUtter:how are you?", "Selector:BotUtter", "BotUtter:Fine."]);
    assert_eq!(played.commits.len(), 1);
    let end = played.end();
    assert_eq!((end.usage.llm_calls, end.usage.prompt_tokens, end.usage.completion_tokens), (2, 10, 4));
    assert_eq!(end.steps.iter().map(|step| &step.cause).collect::<Vec<_>>(), [&Cause::User, &Cause::Llm, &Cause::Selector]);
    let bot = played.actions()[2];
    assert_eq!((bot.sender_id.as_str(), bot.receiver_id.as_str()), ("weather", "user"));
    assert_eq!(bot.result[0].reply_to.as_ref().unwrap().as_str(), "m1");
    assert!(bot.result[0].message_id.as_ref().unwrap().as_str().ends_with(".0"));
    assert_eq!(bot.result[0].thought.as_deref(), Some("so"));
}

#[test]
fn a_rule_needs_no_model_to_choose_and_fires_once_for_one_place_in_history() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("agent please", [Answer::Executes("pong"), picks("BotUtter"), utters("A person will call.")]);
    assert_eq!(played.lines(), ["UserUtter:agent please", "Ping/end:pong", "Selector:BotUtter", "BotUtter:A person will call."]);
    assert_eq!(played.end().steps[1].cause, Cause::Trigger { rule: "say agent please".to_owned() });
    let greeted = stage.say("hello", [utters("Hi.")]);
    assert_eq!(greeted.lines(), ["UserUtter:hello", "Greet:Hi."]);
}

#[test]
fn an_answer_is_streamed_without_its_thought_and_kept_if_it_is_the_same() {
    let mut stage = Stage::new(weather(|_| {}));
    let stream = Answer::Streams(vec!["{\"thought\": \"sec", "ret\", \"text\": \"Hé", "llo\"}"]);
    let played = stage.say("hi", [picks("BotUtter"), stream]);
    let texts: Vec<_> = played
        .shown
        .iter()
        .map(|fragment| match fragment {
            Fragment::Delta { offset, text, .. } => (*offset, text.as_str()),
            Fragment::Reset { .. } => panic!("nothing is taken back"),
        })
        .collect();
    assert_eq!(texts, [(0, "Hé"), (2, "llo")]);
    assert_eq!(played.said(), ["Héllo"]);
}

#[test]
fn what_was_shown_of_an_answer_that_was_cut_off_is_taken_back() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("hi", [picks("BotUtter"), Answer::Breaks(vec!["{\"text\": \"Hel", "lo"]), utters("Right.")]);
    assert_eq!(played.said(), ["Right."]);
    let shown: Vec<_> = played.shown.iter().map(|fragment| matches!(fragment, Fragment::Reset { .. })).collect();
    assert_eq!(shown, [false, false, true], "{:?}", played.shown);
}

#[test]
fn a_long_answer_becomes_several_messages() {
    let mut stage = Stage::new(weather(|_| {}));
    let long = "word ".repeat(5000);
    let played = stage.say("tell me all", [picks("BotUtter"), utters(&long)]);
    let said = played.said();
    assert_eq!(said.concat(), long);
    assert!(said.len() == 2 && said.iter().all(|text| text.len() <= limits::MESSAGE_BYTES));
    let ids: Vec<_> = played.end().replies.iter().map(|reply| reply.message_id.as_str().rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!(ids, ["0", "1"]);
}

#[test]
fn a_message_for_somebody_else_is_recorded_and_relayed() {
    let mut stage = Stage::new(weather(|_| {}));
    let mut message = stage.message("lunch?");
    message.content.receiver = Some(SenderId::new("ann").unwrap());
    let turn = stage.turn(vec![message]);
    let played = stage.play(turn, []);
    assert_eq!(played.end().outcome, TurnOutcome::Relayed);
    assert_eq!(played.actions()[0].receiver_id, "ann");
    assert_eq!(stage.tracker.latest_user(), None, "it is no part of the dialogue");
}

#[test]
fn merged_messages_are_one_user_utter_with_one_answer() {
    let mut stage = Stage::new(weather(|_| {}));
    let (one, two) = (stage.message("Oslo"), stage.message("tomorrow"));
    let turn = stage.turn(vec![one, two]);
    let played = stage.play(turn, [picks("BotUtter"), utters("Rain.")]);
    assert_eq!(played.lines()[0], "UserUtter:Oslo\ntomorrow");
    assert_eq!(played.end().message_ids.len(), 2);
    assert_eq!(played.commits[0].answered.len(), 2);
}

#[test]
fn the_proxy_user_speaks_in_turns_of_their_own() {
    let mut stage = Stage::new(weather(|source| source.settings.use_proxy_user = true));
    let first =
        stage.say("", [says(r#"{"thought": "t", "text": "Rain in Oslo?", "state": "continue"}"#), picks("BotUtter"), utters("Yes.")]);
    assert_eq!(first.lines(), ["UserUtter:Rain in Oslo?", "Selector:BotUtter", "BotUtter:Yes."]);
    assert_eq!(first.calls()[0].purpose, Purpose::ProxyUser);
    let follow_up: InboxMessage = first.commits[0].follow_up.clone().expect("the rehearsal goes on");
    assert_eq!(follow_up.content, MessageContent { proxy_exchange: Some(2), ..MessageContent::default() });
    let turn = stage.turn(vec![follow_up]);
    let second = stage.play(turn, [says(r#"{"text": "Thanks", "state": "stop"}"#), picks("BotUtter"), utters("Bye.")]);
    assert_eq!(second.commits[0].follow_up, None, "stop is said, and the second exchange is the last");
}

#[test]
fn a_silent_proxy_user_ends_the_rehearsal() {
    let mut stage = Stage::new(weather(|source| source.settings.use_proxy_user = true));
    let played = stage.say("", [says(r#"{"text": "", "state": "stop"}"#)]);
    assert_eq!(played.end().outcome, TurnOutcome::Stopped);
    assert_eq!(played.commits[0].follow_up, None);
}

#[test]
fn a_snapshot_is_taken_now_and_then_and_says_the_same_as_the_record() {
    let mut stage = Stage::new(weather(|_| {}));
    let mut snapshots = 0;
    for turn in 0..40 {
        let played = stage.say(&format!("question {turn}"), [picks("BotUtter"), utters("Fine.")]);
        if let Some(snapshot) = &played.commits[0].snapshot {
            snapshots += 1;
            assert_eq!(snapshot.head, stage.tracker.head);
        }
    }
    assert_eq!(snapshots, 2, "160 events, one snapshot in 64 at least");
    let folded = stage.events.iter().fold(crate::tracker::Tracker::default(), |mut tracker, event| {
        tracker.apply(event);
        tracker
    });
    assert_eq!(folded.formless_total(), stage.tracker.formless_total());
}
