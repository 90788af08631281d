//! The annotated examples as documents for an LLM's knowledge base.

use cota_core::bot::{BotSource, Dialogue, DialogueStep};

/// One Markdown document for each action that some example has a thought for: a file name, and the examples up to each
/// such step, in the form in which matching examples stand in a prompt.
#[must_use]
pub fn documents(source: &BotSource) -> Vec<(String, String)> {
    source
        .actions
        .iter()
        .filter_map(|action| {
            let sections: Vec<String> = source.examples.iter().flat_map(|example| sections(example, &action.name)).collect();
            (!sections.is_empty()).then(|| (file_name(&action.name), sections.join("\n")))
        })
        .collect()
}

/// The example up to each step where the action runs with a thought.
fn sections<'e>(example: &'e Dialogue, action: &'e str) -> impl Iterator<Item = String> + 'e {
    let steps = &example.steps;
    steps
        .iter()
        .enumerate()
        .filter(move |(_, step)| step.name == action && step.thought.is_some())
        .map(|(index, _)| section(&example.title, steps.iter().take(index + 1)))
}

fn section<'s>(title: &str, steps: impl Iterator<Item = &'s DialogueStep>) -> String {
    let mut text = format!("# {title}\n");
    for step in steps {
        if let Some(thought) = &step.thought {
            text.push_str(&format!("thought:{}\n", one_line(thought)));
        }
        if let Some(result) = step.result.texts().first() {
            text.push_str(&format!("{}:{}\n", step.name, one_line(result)));
        }
    }
    text
}

/// A text that cannot be taken for another step.
fn one_line(text: &str) -> String {
    text.trim().replace('\r', "").replace('\n', "\\n")
}

/// A file name that every system takes.
fn file_name(action: &str) -> String {
    let safe: String = action.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
    format!("{safe}.md")
}
