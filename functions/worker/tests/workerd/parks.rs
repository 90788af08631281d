//! A turn that needs more effects than one event may perform: it is parked, and goes on in the event of an alarm.

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;

use super::support::{self, Record, Workerd, model};

#[test]
fn a_turn_that_needs_more_calls_than_an_event_may_make_goes_on_at_an_alarm() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let variables = [
            ("COTA_TEST_LLM", llm.apibase()),
            ("COTA_DEFAULT_BOT", "chat".to_owned()),
            ("COTA_MOST_EFFECTS", "1".to_owned()),
            ("COTA_LOG_LEVEL", "trace".to_owned()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let workerd = Workerd::start_with(&variables).await;
        let answer = workerd.say("parked", &json!({"text": "this is #m1", "message_id": "m1"})).await;
        assert_eq!(answer.replies(), ["It is #m1."], "{answer:?}");
        assert_eq!(llm.count(), 2, "no call is made twice");
        assert!(workerd.logged().contains("an object is woken by its alarm"), "{}", workerd.logged());
        assert_eq!(Record::read(&workerd.address, "parked").await.answered_in_order(), ["m1"]);
    });
}
