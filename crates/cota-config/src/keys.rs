//! Every key of the format, in one table for each kind of map.
//!
//! The parser warns of keys that are not here; a test holds the JSON Schemas against the same tables.

/// The keys of one kind of map.
pub(crate) struct Keys {
    /// What the map is, for a message.
    pub(crate) what: &'static str,
    /// The keys of the format.
    pub(crate) known: &'static [&'static str],
    /// Keys of older bots and other spellings.
    pub(crate) old: &'static [(&'static str, Old)],
}

/// What becomes of a key that is not the format's own.
#[derive(Clone, Copy)]
pub(crate) enum Old {
    /// It is the other key, spelled as many write it.
    Synonym(&'static str),
    /// It is taken for the other key, with a warning.
    Means(&'static str),
    /// It is left out, with a warning that ends with this.
    LeftOut(&'static str),
    /// It is read by code of its own, which warns.
    Converted,
}

const PROXY_STOPS: &str = "the proxy user's own answer says when it stops: `state: stop`";

pub(crate) const AGENT: Keys = Keys {
    what: "agent.yml",
    known: &["system", "dialogue", "user_proxy", "policies", "knowledge", "actions"],
    old: &[("config", Old::Means("dialogue"))],
};
pub(crate) const SYSTEM: Keys = Keys { what: "`system`", known: &["name", "description"], old: &[] };
pub(crate) const DIALOGUE: Keys = Keys {
    what: "`dialogue`",
    known: &[
        "use_proxy_user",
        "max_proxy_step",
        "max_tokens",
        "max_steps",
        "mode",
        "on_busy",
        "max_queue",
        "max_history_tokens",
        "fallback",
    ],
    old: &[
        ("max_bot_step", Old::Means("max_steps")),
        ("max_proxy_user_step", Old::Means("max_proxy_step")),
        ("use_proxy_user_breaker", Old::LeftOut(PROXY_STOPS)),
    ],
};
pub(crate) const USER_PROXY: Keys = Keys { what: "`user_proxy`", known: &["description"], old: &[] };
pub(crate) const POLICY: Keys = Keys {
    what: "a policy",
    known: &["type", "config"],
    old: &[
        ("name", Old::Synonym("type")),
        ("llm", Old::Synonym("llms")),
        ("llms", Old::Synonym("llms")),
        ("prompt", Old::LeftOut("a policy's thoughts go into the prompts of the actions")),
        ("max_thoughts", Old::LeftOut("every example that matches counts")),
    ],
};
pub(crate) const POLICY_CONFIG: Keys = Keys { what: "a policy's `config`", known: &["llms"], old: &[("llm", Old::Synonym("llms"))] };
pub(crate) const POLICY_LLM: Keys = Keys { what: "an entry of `llms`", known: &["name", "action"], old: &[] };
pub(crate) const ACTION: Keys = Keys {
    what: "an action",
    known: &["type", "description", "prompt", "llm", "slots", "executer", "task", "step"],
    old: &[("executor", Old::Synonym("executer")), ("updater", Old::Converted), ("breaker", Old::LeftOut(PROXY_STOPS))],
};
pub(crate) const UPDATER: Keys = Keys { what: "`updater`", known: &["description", "prompt", "llm"], old: &[] };
pub(crate) const SLOT: Keys = Keys { what: "a slot", known: &["description", "prompt", "llm", "values", "pattern", "examples"], old: &[] };
pub(crate) const EXECUTER: Keys = Keys {
    what: "`executer`",
    known: &["type", "url", "method", "headers", "output", "mock", "script_path", "args", "timeout", "safety"],
    old: &[("methold", Old::Means("method")), ("client_key", Old::LeftOut("all calls share one client"))],
};
pub(crate) const ENDPOINTS: Keys = Keys { what: "endpoints.yml", known: &["llms", "base_store", "channel"], old: &[] };
pub(crate) const LLM: Keys = Keys {
    what: "an LLM",
    known: &[
        "type",
        "model",
        "key",
        "apibase",
        "timeout",
        "retry_attempts",
        "retry_delay",
        "max_concurrent",
        "rate_limit",
        "fallback_model",
        "knowledge_id",
        "rag_prompt",
        "temperature",
        "top_p",
        "max_tokens",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
    ],
    old: &[("apitype", Old::Synonym("type")), ("userag", Old::Converted), ("headers", Old::LeftOut("only the key is sent as a header"))],
};
pub(crate) const STORE: Keys =
    Keys { what: "`base_store`", known: &["type", "dialect", "host", "port", "db", "username", "password"], old: &[] };
pub(crate) const TASK: Keys = Keys {
    what: "task.yml",
    known: &[
        "description",
        "llm",
        "prompt",
        "plans",
        "max_tokens",
        "max_concurrent",
        "max_steps",
        "max_llm_calls",
        "max_tokens_total",
        "max_time_s",
        "retry",
        "timeout_s",
        "finish_when",
    ],
    old: &[],
};
pub(crate) const RETRY: Keys = Keys { what: "`retry`", known: &["attempts", "backoff_ms"], old: &[] };
pub(crate) const PLAN_STEP: Keys = Keys {
    what: "a step of a plan",
    known: &["name", "agent", "startquery", "dependencies", "when", "after_failure", "retry", "timeout_s"],
    old: &[("query", Old::Synonym("startquery"))],
};
pub(crate) const POLICY_FILE: Keys = Keys { what: "a policy file", known: &["policies", "triggers"], old: &[] };
pub(crate) const DIALOGUE_EXAMPLE: Keys = Keys { what: "an example", known: &["title", "actions"], old: &[] };
pub(crate) const RULE: Keys = Keys { what: "a rule", known: &["title", "actions", "during_form"], old: &[] };
pub(crate) const STEP: Keys = Keys { what: "a step", known: &["name", "thought", "result"], old: &[] };
pub(crate) const RESULT: Keys = Keys { what: "a result", known: &["text"], old: &[] };
#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::tests::{ACTION_CHECK, TEST, TEST_STEP, TESTS_FILE, TEXT_CHECK};

    /// Every table with its schema and its definition there; an empty name is the schema itself.
    const ALL: &[(&Keys, &str, &str)] = &[
        (&AGENT, "agent", ""),
        (&SYSTEM, "agent", "system"),
        (&DIALOGUE, "agent", "dialogue"),
        (&USER_PROXY, "agent", "user_proxy"),
        (&POLICY, "agent", "policy"),
        (&POLICY_CONFIG, "agent", "policy_config"),
        (&POLICY_LLM, "agent", "policy_llm"),
        (&ACTION, "agent", "action"),
        (&SLOT, "agent", "slot"),
        (&EXECUTER, "agent", "executer"),
        (&ENDPOINTS, "endpoints", ""),
        (&LLM, "endpoints", "llm"),
        (&STORE, "endpoints", "base_store"),
        (&POLICY_FILE, "policy", ""),
        (&DIALOGUE_EXAMPLE, "policy", "example"),
        (&RULE, "policy", "rule"),
        (&STEP, "policy", "step"),
        (&RESULT, "policy", "result"),
        (&TASK, "task", ""),
        (&PLAN_STEP, "task", "step"),
        (&RETRY, "task", "retry"),
        (&TESTS_FILE, "tests", ""),
        (&TEST, "tests", "test"),
        (&TEST_STEP, "tests", "step"),
        (&TEXT_CHECK, "tests", "text_check"),
        (&ACTION_CHECK, "tests", "action_check"),
    ];

    /// The format's keys and their other spellings. Keys of older bots are left out: an editor should not offer them.
    fn expected(keys: &Keys) -> Vec<&str> {
        let synonyms = keys.old.iter().filter(|(_, becomes)| matches!(becomes, Old::Synonym(_))).map(|(old, _)| *old);
        let mut all: Vec<&str> = keys.known.iter().copied().chain(synonyms).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn the_schemas_have_the_keys_that_are_read() {
        for (keys, schema, definition) in ALL {
            let path = format!("{}/../../schemas/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
            let json: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let object = if definition.is_empty() { &json } else { &json["$defs"][definition] };
            let mut properties: Vec<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            properties.sort_unstable();
            assert_eq!(properties, expected(keys), "{schema} {definition}");
        }
    }
}
