//! What is measured together, by one command and onto one page.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::machine;
use crate::plan::Plan;
use crate::report::{self, Section};

/// Parts, and where the figures of a whole run are kept.
pub(crate) struct Suite {
    pub(crate) command: &'static str,
    pub(crate) title: &'static str,
    /// In the workspace.
    pub(crate) page: &'static str,
    /// What has to be built before.
    pub(crate) needs: fn() -> PathBuf,
    pub(crate) parts: &'static [Part],
}

/// What can be measured alone.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Plan) -> Result<Vec<Section>>,
}

impl Suite {
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.parts.iter().map(|part| part.name).collect()
    }

    /// Runs every part that is wanted, prints the tables, and keeps those of a whole run. Whether all targets are met.
    pub(crate) fn run(&self, plan: &Plan) -> Result<bool> {
        let needed = (self.needs)();
        ensure!(needed.is_file(), "{} is not there: `{}` builds it", needed.display(), self.command);
        let load_before = machine::load_average();
        println!("load average before: {load_before}");
        let mut sections = Vec::new();
        for Part { name, measure } in self.parts.iter().filter(|part| plan.wants(part.name)) {
            eprintln!("measuring: {name}");
            for section in measure(plan)? {
                println!("\n{}\n\n{}", section.title, section.table());
                sections.push(section);
            }
        }
        if plan.is_whole() {
            report::write(self, &load_before, &sections)?;
        }
        Ok(sections.iter().all(Section::passed))
    }
}
