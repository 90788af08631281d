//! Prompts of agent.yml, checked for unknown variables.

use cota_core::prompt::{Template, Variable};

use crate::codes;
use crate::fields::Fields;
use crate::nearest::nearest;
use crate::node::Node;
use crate::report::{Report, say};

/// The prompt of a map, if it has one.
pub(crate) fn prompt(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Template> {
    let text = fields.text("prompt", report)?;
    let node = fields.get("prompt")?;
    let (template, unknown) = Template::parse(&text);
    for (index, variable) in unknown.iter().enumerate() {
        let nth = unknown.iter().take(index).filter(|earlier| earlier.name == variable.name).count();
        let place = report.sources.find(node.span, &format!("{{{{{}}}}}", variable.name), nth);
        report.add(&codes::UNKNOWN_VARIABLE, place, || {
            let name = nearest(&variable.name, Variable::ALL.iter().map(|variable| variable.name()));
            say(format!("there is no variable `{{{{{}}}}}`", variable.name)).suggest(name.map(|name| format!("{{{{{name}}}}}")).as_deref())
        });
    }
    report_idle(&template, node, report);
    Some(template)
}

fn report_idle(template: &Template, node: &Node, report: &mut Report<'_>) {
    let mut idle: Vec<Variable> = template.variables().filter(|variable| matches!(variable, Variable::Knowledge | Variable::Rag)).collect();
    idle.dedup();
    for variable in idle {
        let place = report.sources.find(node.span, &format!("{{{{{}}}}}", variable.name()), 0);
        report.add(&codes::IDLE_KNOWLEDGE, place, || {
            say(format!("`{{{{{}}}}}` is empty: retrieval is not there yet", variable.name()))
                .help("put the facts into the prompt, or use an LLM of `type: openai-rag`")
        });
    }
}
