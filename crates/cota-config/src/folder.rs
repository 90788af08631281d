//! The YAML files of a folder as trees.

use cota_core::limits;

use crate::codes;
use crate::files;
use crate::load::Trees;
use crate::nearest::nearest;
use crate::node::Span;
use crate::report::{Report, say};
use crate::yaml;
use crate::{Bundle, Files};

/// Reads every file that is a part of a bot. A file that is no YAML is reported and left out.
pub(crate) fn trees<'t>(files: &'t Files, report: &mut Report<'t>) -> Trees {
    let mut trees = Trees::new();
    let mut bytes = 0;
    for (path, text) in files {
        if !files::is_part(path) {
            report_misnamed(path, files, report);
            continue;
        }
        let file = report.sources.add(path, Some(text));
        bytes += text.len();
        if bytes > limits::BUNDLE_BYTES {
            report.add(&codes::TOO_LARGE, Span::of_file(file), || {
                say(format!("a bot may have {} bytes; with this file it has more", limits::BUNDLE_BYTES))
            });
            break;
        }
        if let Some(tree) = yaml::parse(text, file, report) {
            trees.insert(path.clone(), tree);
        }
    }
    if !files.contains_key(files::AGENT) {
        let file = report.sources.add(files::AGENT, None);
        report.add(&codes::MISSING_FILE, Span::of_file(file), || missing_agent(files));
    }
    trees
}

fn missing_agent(files: &Files) -> crate::report::Words {
    if files.contains_key("task.yml") {
        return say("this folder is a task, not a bot").help("the bots of a task are the folders in agents/");
    }
    let near = nearest(files::AGENT, files.keys().filter(|path| !path.contains('/')).map(String::as_str));
    let words = say("a bot needs an agent.yml, and this folder has none");
    match near {
        Some(near) => words.help(format!("rename `{near}` to `agent.yml`")),
        None => words.help("`cota init` writes an example bot"),
    }
}

/// Reports a file that looks like a part of a bot and is none.
fn report_misnamed<'t>(path: &'t str, files: &'t Files, report: &mut Report<'t>) {
    let meant = match path {
        "endpoints.yaml" => Some(files::ENDPOINTS),
        "agent.yaml" if files.contains_key(files::AGENT) => Some(files::AGENT),
        _ => None,
    };
    if let Some(meant) = meant {
        let file = report.sources.add(path, None);
        report.add(&codes::MISNAMED_FILE, Span::of_file(file), || say("this file is not read").help(format!("rename it to `{meant}`")));
    }
}

impl Bundle {
    /// The bundle of a folder. The folder should have been loaded without an error before: a file that is no YAML is left out.
    #[must_use]
    pub fn of(files: &Files, name: &str) -> Self {
        Self::of_trees(name, &trees(files, &mut Report::default()))
    }
}
