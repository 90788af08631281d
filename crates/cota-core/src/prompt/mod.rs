//! Prompts: templates, their variables, and the requests made of them.

mod template;

pub use template::{Template, UnknownVariable, Variable};
