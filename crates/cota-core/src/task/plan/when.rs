//! `when`: a step's condition on a result.

use crate::bot::Pattern;

/// A condition on the result of a step.
#[derive(Clone, Debug)]
pub struct When {
    /// The step, by its place in the plan.
    pub step: usize,
    /// What is asked of it.
    pub test: Test,
}

/// What is asked of a result.
#[derive(Clone, Debug)]
pub enum Test {
    /// It has this text in it, in any case.
    Contains(String),
    /// It is this text, but for case and spaces around it.
    Equals(String),
    /// A regular expression matches it.
    Matches(Pattern),
    /// There is none: the step failed, or was skipped since another did.
    Failed,
}

impl Test {
    /// Whether a result passes. `None` for a step that has none.
    #[must_use]
    pub fn holds(&self, result: Option<&str>) -> bool {
        match (self, result) {
            (Self::Failed, result) => result.is_none(),
            (Self::Contains(_) | Self::Equals(_) | Self::Matches(_), None) => false,
            (Self::Contains(text), Some(result)) => result.to_lowercase().contains(&text.to_lowercase()),
            (Self::Equals(text), Some(result)) => result.trim().to_lowercase() == text.trim().to_lowercase(),
            (Self::Matches(pattern), Some(result)) => pattern.find(result).is_some(),
        }
    }
    /// Reads `results.<step> contains | equals | matches TEXT`, `results.<step> failed`: the step's name and the test.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn parse(text: &str) -> Result<(&str, Self), String> {
        const SHAPE: &str = "is not of the form `results.STEP contains|equals|matches TEXT` or `results.STEP failed`";
        let mut words = text.trim().splitn(3, char::is_whitespace);
        let step = words.next().and_then(|word| word.strip_prefix("results.")).ok_or(SHAPE)?;
        let test = words.next().ok_or(SHAPE)?;
        let rest = words.next().map(|rest| unquoted(rest.trim())).filter(|rest| !rest.is_empty());
        let test = match (test, rest) {
            ("failed", None) => Self::Failed,
            ("contains", Some(rest)) => Self::Contains(rest.to_owned()),
            ("equals", Some(rest)) => Self::Equals(rest.to_owned()),
            ("matches", Some(rest)) => {
                Self::Matches(Pattern::new(rest).map_err(|error| format!("has a regular expression that cannot be read: {error}"))?)
            }
            _ => return Err(SHAPE.to_owned()),
        };
        Ok((step, test))
    }
}

fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(text)
}
