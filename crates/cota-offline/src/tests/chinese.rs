use super::bots::{FALLBACK, chinese};
use super::play;
use crate::ExamplesModel;

#[test]
fn conversations() {
    let bot = chinese();
    let model = ExamplesModel::train(&bot);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (&[("我想知道广州后天的天气", "查到了：Weather of 广州, 后天。")], &[r#"Weather{"city":"广州","day":"后天"}"#]),
        (&[("上海会不会下雨", "上海，哪一天？"), ("明天", "上海, 明天")], &[r#"Weather{"city":"上海","day":"明天"}"#]),
        // No example asks for the city, so the slot's description does.
        (&[("明天天气怎么样", "请告诉我：the city。"), ("北京", "北京, 明天")], &[r#"Weather{"city":"北京","day":"明天"}"#]),
        (
            &[("北京天气怎么样", "哪一天"), ("不对，是上海", "上海，哪一天"), ("周五", "上海, 周五")],
            &[r#"Weather{"city":"上海","day":"周五"}"#],
        ),
        (
            &[("明天上海和广州哪个更热", "Weather of 上海, 明天；Weather of 广州, 明天。")],
            &[r#"Weather{"city":"上海","day":"明天"}"#, r#"Weather{"city":"广州","day":"明天"}"#],
        ),
        (&[("你好！", "您好！"), ("谢谢您", "不客气。")], &[]),
        (&[("鹦鹉螺", FALLBACK), ("asdf", FALLBACK)], &[]),
    ];
    for (turns, ran) in cases {
        assert_eq!(play(&bot, &model, turns), *ran, "{turns:?}");
    }
}
