//! Texts with holes: `{{word}}` in a planner's prompt, `{{results.<step>}}` in a query. One pass, nothing is expanded twice.

/// A text, cut at its holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holes {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What stands between the braces, and where in the text.
    Hole(String, usize),
}

/// What a planner's prompt may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannerVariable {
    /// What the task is for.
    TaskDescription,
    /// Every agent, as `name:description` lines.
    AgentDescription,
    /// The shared transcript, as `name:text` lines.
    HistoryMessages,
    /// The steps so far, as JSON.
    Plan,
    /// The results so far, as `step:result` lines.
    Results,
    /// What the task was given.
    Input,
}

impl PlannerVariable {
    /// The names of all of them.
    pub const NAMES: [&'static str; 6] = ["task_description", "agent_description", "history_messages", "plan", "results", "input"];

    /// The variable of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "task_description" => Self::TaskDescription,
            "agent_description" => Self::AgentDescription,
            "history_messages" => Self::HistoryMessages,
            "plan" => Self::Plan,
            "results" => Self::Results,
            "input" => Self::Input,
            _ => return None,
        })
    }
}

impl Holes {
    /// Finds the holes: `{{`, a name of letters, digits, `_`, `-` and `.`, `}}`. Everything else is text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let length = after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count();
            let (name, tail) = after.split_at_checked(length).unwrap_or((after, ""));
            literal.push_str(before);
            match tail.strip_prefix("}}").filter(|_| !name.is_empty()) {
                Some(tail) => {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(Part::Hole(name.to_owned(), text.len() - after.len()));
                    rest = tail;
                }
                // One brace is text; the next may open a hole.
                None => {
                    literal.push('{');
                    rest = rest.get(before.len() + 1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Self { parts }
    }

    /// The names in the holes, each with its place in the text.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Hole(name, at) => Some((name.as_str(), *at)),
        })
    }

    /// The text with each hole filled; one that `value` knows nothing for stays as it is written.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Hole(name, _) => match value(name) {
                    Some(value) => text.push_str(&value),
                    None => text.extend(["{{", name.as_str(), "}}"]),
                },
            }
        }
        text
    }

    /// Bytes of the text outside the holes.
    #[must_use]
    pub fn literal_bytes(&self) -> usize {
        self.parts.iter().map(|part| if let Part::Text(literal) = part { literal.len() } else { 0 }).sum()
    }
}

/// A text, cut at a character so that it has at most `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
