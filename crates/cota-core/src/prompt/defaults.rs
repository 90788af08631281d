//! The platform's own prompts, for whatever an author left out, in the bot's language.

use std::sync::OnceLock;

use super::Template;
use crate::bot::Language;

/// Every text that the platform itself says to a model.
pub(super) struct Defaults {
    pub(super) select: DefaultPrompt,
    pub(super) select_system: &'static str,
    pub(super) fill: DefaultPrompt,
    pub(super) fill_system: &'static str,
    pub(super) utter: DefaultPrompt,
    pub(super) ask_slot: DefaultPrompt,
    pub(super) proxy_user: DefaultPrompt,
    pub(super) choose_system: &'static str,
    /// Before the thoughts of matching examples in `tools` mode.
    pub(super) choose_examples: &'static str,
    /// The result of a call that lacks slots; their names follow.
    pub(super) choose_missing: &'static str,
    /// Around the fault of an answer that is asked for once more.
    pub(super) repair: (&'static str, &'static str),
}

/// A prompt that is parsed when it is first used, and then kept: every turn of a bot without prompts of its own asks for it.
pub(super) struct DefaultPrompt {
    pub(super) text: &'static str,
    parsed: OnceLock<Template>,
}

impl DefaultPrompt {
    const fn new(text: &'static str) -> Self {
        Self { text, parsed: OnceLock::new() }
    }

    pub(super) fn template(&self) -> &Template {
        self.parsed.get_or_init(|| Template::parse(self.text).0)
    }
}

impl Defaults {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }
}

static ENGLISH: Defaults = Defaults {
    select: DefaultPrompt::new(
        r#"You decide what an assistant does next.

The assistant: {{task_description}}

The actions it can take:
{{action_descriptions}}

The form at hand, if any, with its values (null is missing): {{current_form_name}} {{current_form_slot_states}}

Similar conversations, as examples only:
{{policies}}

This conversation so far:
{{history_actions_with_thoughts}}

Choose one action by its name.
- The user gives or corrects a value of a form: choose that form, again if it is at hand.
- A result is there, a question can be answered, or something must be asked: choose BotUtter.
- Put values that you know already into "slots"; leave out the others.

Answer with one JSON object and nothing else:
{"thought": "why", "action": "its name", "slots": {"slot": "value"}}"#,
    ),
    select_system: "You choose an assistant's next action. You answer with one JSON object and nothing else.",
    fill: DefaultPrompt::new(
        r#"The form {{current_form_name}} is being filled in: {{current_form_description}}

Its slots:
{{current_form_slot_descriptions}}

Their values so far:
{{current_form_slot_states}}

This conversation so far:
{{history_actions}}

Give the values that the user has stated. A later statement overrides an earlier one. Leave out what was not said; do not guess.

Answer with one JSON object whose keys are slots, and nothing else:
{"slot": "value"}"#,
    ),
    fill_system: "You take the values of a form's slots from a conversation. You answer with one JSON object and nothing else.",
    utter: DefaultPrompt::new(
        r#"Write what you say to the user next.

What this message is for: {{current_action_description}}

Similar conversations, as examples only:
{{policies}}

This conversation so far:
{{history_actions_with_thoughts}}

- Rely on what the actions above returned; make nothing up.
- If an action returned an error, say that it did not work.
- Be brief, and use the user's language.

Answer with one JSON object and nothing else:
{"thought": "why you say it", "text": "what you say"}"#,
    ),
    ask_slot: DefaultPrompt::new(
        r#"The form {{current_form_name}} still lacks a value: {{current_form_description}}

Its slots, in the order in which they are asked for:
{{current_form_slot_descriptions}}

Their values so far; null is missing:
{{current_form_slot_states}}

This conversation so far:
{{history_messages}}

Ask the user for the first slot that is missing, in one short sentence and in the user's language.

Answer with one JSON object and nothing else:
{"thought": "what is missing", "text": "your question"}"#,
    ),
    proxy_user: DefaultPrompt::new(
        r#"You play the user in a conversation with an assistant. The assistant: {{task_description}}

The conversation so far:
{{history_messages}}

Write the user's next message, short and natural. Once the user has what they came for, set "state" to "stop".

Answer with one JSON object and nothing else:
{"thought": "why you say it", "text": "what you say", "state": "continue or stop"}"#,
    ),
    choose_system: "\
Call a tool when it helps the user. Pass only values that the user has stated; leave the others out and do not guess. If a call \
reports missing values, ask the user for the first of them. Otherwise answer the user in plain text, briefly, in their language. \
Rely on what the tools returned; if one returned an error, say that it did not work.",
    choose_examples: "Similar conversations, as examples only:",
    choose_missing: "Not done yet. Ask the user for what is missing:",
    repair: ("Your last answer could not be used: ", ". Answer once more, in exactly the form that was asked for."),
};

static CHINESE: Defaults = Defaults {
    select: DefaultPrompt::new(
        r#"由你决定助手的下一步动作。

助手：{{task_description}}

可以选择的动作：
{{action_descriptions}}

当前的表单（如果有）及其各个值（null 表示缺少）：{{current_form_name}} {{current_form_slot_states}}

类似的对话，仅供参考：
{{policies}}

本次对话：
{{history_actions_with_thoughts}}

请按名称选择一个动作：
- 用户提供或更正了某个表单的值：再次选择这个表单。
- 已经有结果、可以直接回答，或者需要追问：选择 BotUtter。
- 已经知道的值写进 "slots"，不知道的不要写。

只输出一个 JSON 对象，不要输出其他内容：
{"thought": "理由", "action": "动作名称", "slots": {"槽位": "值"}}"#,
    ),
    select_system: "你负责选择助手的下一个动作，只输出一个 JSON 对象。",
    fill: DefaultPrompt::new(
        r#"正在填写表单 {{current_form_name}}：{{current_form_description}}

槽位：
{{current_form_slot_descriptions}}

目前的值：
{{current_form_slot_states}}

本次对话：
{{history_actions}}

请给出用户说过的值；后说的覆盖先说的；没有说过的不要写，不要猜测。

只输出一个以槽位为键的 JSON 对象，不要输出其他内容：
{"槽位": "值"}"#,
    ),
    fill_system: "你负责从对话中找出表单各个槽位的值，只输出一个 JSON 对象。",
    utter: DefaultPrompt::new(
        r#"请写出你接下来要对用户说的话。

这句话的用途：{{current_action_description}}

类似的对话，仅供参考：
{{policies}}

本次对话：
{{history_actions_with_thoughts}}

- 以上面各个动作返回的内容为准，不要编造。
- 如果某个动作返回了错误，就说明没有成功。
- 简短，使用用户的语言。

只输出一个 JSON 对象，不要输出其他内容：
{"thought": "为什么这样说", "text": "要说的话"}"#,
    ),
    ask_slot: DefaultPrompt::new(
        r#"表单 {{current_form_name}} 还缺少内容：{{current_form_description}}

槽位，按询问的顺序：
{{current_form_slot_descriptions}}

目前的值，null 表示缺少：
{{current_form_slot_states}}

本次对话：
{{history_messages}}

请用一句简短的话，用用户的语言，询问第一个缺少的槽位。

只输出一个 JSON 对象，不要输出其他内容：
{"thought": "缺少什么", "text": "要问的话"}"#,
    ),
    proxy_user: DefaultPrompt::new(
        r#"你在扮演用户，与一个助手对话。助手：{{task_description}}

目前的对话：
{{history_messages}}

请写出用户的下一句话，简短自然。用户的目的达到以后，把 "state" 设为 "stop"。

只输出一个 JSON 对象，不要输出其他内容：
{"thought": "为什么这样说", "text": "要说的话", "state": "continue 或 stop"}"#,
    ),
    choose_system: "\
需要时调用工具。只传用户说过的值，其余的不要填，也不要猜测。如果调用结果提示缺少内容，就向用户询问其中第一项。\
其他情况直接用用户的语言简短作答。以工具返回的内容为准；如果返回了错误，就说明没有成功。",
    choose_examples: "类似的对话，仅供参考：",
    choose_missing: "尚未完成，请向用户询问缺少的内容：",
    repair: ("你上一次的回答无法使用：", "。请严格按照要求的格式重新回答。"),
};
