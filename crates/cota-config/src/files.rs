//! Which files of a folder belong to a bot.

/// Who the agent is.
pub(crate) const AGENT: &str = "agent.yml";
/// What a task is.
pub(crate) const TASK: &str = "task.yml";
/// Where a task's agents are.
pub(crate) const AGENTS: &str = "agents/";
/// Where its LLMs live.
pub(crate) const ENDPOINTS: &str = "endpoints.yml";

/// The file that is laid over endpoints.yml in an environment.
pub(crate) fn endpoints_of(environment: &str) -> String {
    format!("endpoints.{environment}.yml")
}

/// Whether it holds dialogues.
pub(crate) fn is_policy(path: &str) -> bool {
    path.starts_with("policy/") && is_yaml(path)
}

/// Whether the bot is made of it, and a bundle holds it.
pub(crate) fn is_part(path: &str) -> bool {
    path == AGENT || path == ENDPOINTS || is_overlay(path) || is_policy(path)
}

/// Whether a task is made of it, its agents apart.
pub(crate) fn is_part_of_task(path: &str) -> bool {
    path == TASK || path == ENDPOINTS || is_overlay(path)
}

fn is_overlay(path: &str) -> bool {
    path.strip_prefix("endpoints.").and_then(|rest| rest.strip_suffix(".yml")).is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}
