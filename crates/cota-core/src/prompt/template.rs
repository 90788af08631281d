//! The format's whole template language: `{{word}}`, in a single pass.
//!
//! What is substituted in is never expanded again, so nothing a user types can become template.

/// A parsed prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// A `{{word}}` that is no variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The word.
    pub name: String,
    /// Bytes from the template's start to the word.
    pub offset: usize,
}

impl Template {
    /// Parses a prompt; every unknown variable is named, and stays in the template as literal text.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<UnknownVariable>) {
        let mut parts = Vec::new();
        let mut unknown = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        let mut offset = 0;
        while let Some((before, after)) = rest.split_once("{{") {
            let word_length = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let (word, tail) = after.split_at_checked(word_length).unwrap_or((after, ""));
            literal.push_str(before);
            match tail.strip_prefix("}}") {
                Some(tail) if !word.is_empty() => {
                    match Variable::from_name(word).or_else(|| Variable::from_old_name(word)) {
                        Some(variable) => {
                            if !literal.is_empty() {
                                parts.push(Part::Text(std::mem::take(&mut literal)));
                            }
                            parts.push(Part::Variable(variable));
                        }
                        None => {
                            unknown.push(UnknownVariable { name: word.to_owned(), offset: offset + before.len() + 2 });
                            literal.push_str("{{");
                            literal.push_str(word);
                            literal.push_str("}}");
                        }
                    }
                    offset += before.len() + word.len() + 4;
                    rest = tail;
                }
                // One brace is literal; the next may open a variable, as in `{{{word}}`.
                _ => {
                    literal.push('{');
                    offset += before.len() + 1;
                    rest = rest.get(before.len() + 1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        (Self { parts }, unknown)
    }

    /// Renders it, each variable's text given by `value`.
    pub fn render(&self, mut value: impl FnMut(Variable) -> String) -> String {
        self.parts.iter().fold(String::new(), |mut text, part| {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(variable) => text.push_str(&value(*variable)),
            }
            text
        })
    }

    /// The variables in it, in order, repeats included.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(*variable),
        })
    }
}

macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a prompt may ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Variable {
            $($(#[$doc])* $variant,)*
        }

        impl Variable {
            /// Every variable.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The variable of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

variables! {
    /// The bot's persona.
    TaskDescription = "task_description",
    /// The bot's persona.
    AgentDescription = "agent_description",
    /// `sender_id:text` lines.
    HistoryMessages = "history_messages",
    /// `Name:text` lines, a form with its slots.
    HistoryActions = "history_actions",
    /// The same with `thought:` lines.
    HistoryActionsWithThoughts = "history_actions_with_thoughts",
    /// What the user said last.
    LatestUserQuery = "latest_user_query",
    /// The last action's name.
    LatestActionName = "latest_action_name",
    /// The last action's result.
    LatestActionResult = "latest_action_result",
    /// The last action's description.
    LatestActionDescription = "latest_action_description",
    /// The last action's slots as JSON.
    LatestActionState = "latest_action_state",
    /// The action that is about to run.
    CurrentActionName = "current_action_name",
    /// Its description.
    CurrentActionDescription = "current_action_description",
    /// The names Selector chooses from.
    ActionNames = "action_names",
    /// Each of them with description and parameters.
    ActionDescriptions = "action_descriptions",
    /// The form at hand.
    CurrentFormName = "current_form_name",
    /// Its description.
    CurrentFormDescription = "current_form_description",
    /// Its slots' names.
    CurrentFormSlotNames = "current_form_slot_names",
    /// Its slots with their descriptions.
    CurrentFormSlotDescriptions = "current_form_slot_descriptions",
    /// Its slots' values as JSON.
    CurrentFormSlotStates = "current_form_slot_states",
    /// What was said since the form was entered.
    CurrentFormMessages = "current_form_messages",
    /// What its executor returned.
    CurrentFormExecuteResult = "current_form_execute_result",
    /// Thoughts of matching examples.
    Policies = "policies",
    /// The same, under its older name.
    Thoughts = "thoughts",
    /// What retrieval found.
    Knowledge = "knowledge",
    /// The same, under its older name.
    Rag = "rag",
}

impl Variable {
    /// The variable that older bots call by this name.
    fn from_old_name(name: &str) -> Option<Self> {
        match name {
            "bot_action_names_for_selector" => Some(Self::ActionNames),
            "bot_action_descriptions_for_selector" => Some(Self::ActionDescriptions),
            "history_actions_for_selector" | "history_actions_for_update" => Some(Self::HistoryActions),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(text: &str) -> String {
        Template::parse(text).0.render(|variable| format!("<{}>", variable.name()))
    }

    #[test]
    fn exactly_two_braces_a_word_and_two_braces_are_a_variable() {
        for (text, rendered) in [
            ("a {{policies}} b", "a <policies> b"),
            ("{{policies}}{{rag}}", "<policies><rag>"),
            ("{{ policies }}", "{{ policies }}"),
            ("{policies}", "{policies}"),
            ("{{{policies}}}", "{<policies>}"),
            ("{{policies}", "{{policies}"),
            ("{{}}", "{{}}"),
            ("{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": 1}}"),
            ("{{nonsense}}", "{{nonsense}}"),
            ("{{bot_action_names_for_selector}}", "<action_names>"),
            ("{{", "{{"),
        ] {
            assert_eq!(render(text), rendered);
        }
    }

    #[test]
    fn what_is_substituted_is_not_expanded_again() {
        let (template, _) = Template::parse("{{latest_user_query}}");
        assert_eq!(template.render(|_| "{{task_description}}".to_owned()), "{{task_description}}");
    }

    #[test]
    fn an_unknown_variable_is_named_with_its_place() {
        let (_, unknown) = Template::parse("hé {{polices}}");
        assert_eq!(unknown, [UnknownVariable { name: "polices".to_owned(), offset: 6 }]);
    }

    proptest! {
        #[test]
        fn text_without_variables_renders_as_itself(text in "[a-z{} \n]{0,40}") {
            prop_assume!(Template::parse(&text).0.variables().next().is_none());
            prop_assert_eq!(render(&text), text);
        }
    }
}
