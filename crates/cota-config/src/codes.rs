//! Every kind of problem, with its stable code and its severity.

use crate::diagnostic::Severity;

/// A kind of problem.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// Its stable name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal $severity:ident;)*) => {
        $($(#[$doc])* pub const $constant: Code = Code { name: $name, severity: Severity::$severity };)*

        /// Every code.
        pub const ALL: &[Code] = &[$($constant,)*];
    };
}

codes! {
    /// A file that is no YAML.
    SYNTAX = "syntax" Error;
    /// A second YAML document in one file.
    SECOND_DOCUMENT = "second-document" Warning;
    /// A key that stands twice in one map; the last counts.
    DUPLICATE_KEY = "duplicate-key" Warning;
    /// Nesting, aliases or a file beyond what is read.
    TOO_LARGE = "too-large" Error;
    /// A file that every bot needs.
    MISSING_FILE = "missing-file" Error;
    /// A file that nothing reads, most likely misnamed.
    MISNAMED_FILE = "misnamed-file" Warning;
    /// A list where a map is needed, and the like.
    WRONG_TYPE = "wrong-type" Error;
    /// A value that is not one of those that are possible.
    WRONG_VALUE = "wrong-value" Error;
    /// A key without which the part makes no sense.
    MISSING_KEY = "missing-key" Error;
    /// A key that the format does not have.
    UNKNOWN_KEY = "unknown-key" Warning;
    /// A key of an older format.
    OLD_KEY = "old-key" Warning;
    /// A key that has no meaning where it stands.
    IDLE_KEY = "idle-key" Warning;
    /// A number beyond a limit of the turn contract.
    OVER_LIMIT = "over-limit" Error;
    /// A dialogue mode that is neither `prompts` nor `tools`.
    UNKNOWN_MODE = "unknown-mode" Warning;
    /// `tools` with a model that has none.
    MODE_WITHOUT_TOOLS = "mode-without-tools" Warning;
    /// A policy of no known type.
    UNKNOWN_POLICY = "unknown-policy" Error;
    /// A policy that can never answer.
    IDLE_POLICY = "idle-policy" Warning;
    /// Retrieval, which is read and not used.
    IDLE_KNOWLEDGE = "idle-knowledge" Warning;
    /// An action that the bot does not define.
    UNKNOWN_ACTION = "unknown-action" Error;
    /// Two actions whose names differ in case only.
    SIMILAR_ACTIONS = "similar-actions" Warning;
    /// An action type of no known kind.
    UNKNOWN_ACTION_TYPE = "unknown-action-type" Warning;
    /// A bot whose Selector has nothing of the author's to choose from.
    NO_ACTIONS = "no-actions" Warning;
    /// A form without slots and executor.
    EMPTY_FORM = "empty-form" Warning;
    /// A prompt's variable that does not exist.
    UNKNOWN_VARIABLE = "unknown-variable" Error;
    /// A `{slot}` that the form does not have.
    UNKNOWN_SLOT = "unknown-slot" Warning;
    /// A pattern that is no regular expression.
    BAD_PATTERN = "bad-pattern" Error;
    /// An LLM that endpoints.yml does not define.
    UNKNOWN_LLM = "unknown-llm" Error;
    /// An LLM that is named while none is configured.
    LLM_NOT_CONFIGURED = "llm-not-configured" Warning;
    /// An LLM of no known type.
    UNKNOWN_LLM_TYPE = "unknown-llm-type" Error;
    /// LLMs that fall back to each other in a circle.
    FALLBACK_CYCLE = "fallback-cycle" Error;
    /// No LLM: the offline model answers.
    OFFLINE_MODEL = "offline-model" Notice;
    /// The offline model without examples to answer from.
    NOTHING_TO_ANSWER_FROM = "nothing-to-answer-from" Warning;
    /// An executor of no known type.
    UNKNOWN_EXECUTOR = "unknown-executor" Error;
    /// An executor that this platform does not run.
    UNSUPPORTED_EXECUTOR = "unsupported-executor" Warning;
    /// A script on a target that has no machine.
    SCRIPT_ON_EDGE = "script-on-edge" Warning;
    /// A store that endpoints.yml cannot choose.
    STORE_NOT_USED = "store-not-used" Warning;
    /// The channel, whose work the stores do.
    CHANNEL_NOT_USED = "channel-not-used" Notice;
    /// A secret written in a file.
    CLEAR_SECRET = "clear-secret" Warning;
    /// An environment variable that is not set.
    MISSING_VARIABLE = "missing-variable" Error;
    /// An environment variable that is not set yet.
    LATER_VARIABLE = "later-variable" Notice;
    /// An environment without a file of its own.
    MISSING_ENVIRONMENT = "missing-environment" Notice;
    /// A dialogue without actions.
    EMPTY_DIALOGUE = "empty-dialogue" Warning;
    /// A dialogue that reaches further back than a policy key.
    DIALOGUE_TOO_LONG = "dialogue-too-long" Error;
    /// Two rules of one key that predict different actions.
    CLASHING_RULES = "clashing-rules" Warning;
    /// A rule that can never fire, in whole or in part.
    UNREACHABLE_RULE = "unreachable-rule" Warning;
    /// A conversation test that makes no sense.
    BAD_TEST = "bad-test" Error;
}
