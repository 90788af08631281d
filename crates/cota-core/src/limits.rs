//! Every limit of the turn contract, in one place and the same on every target.

/// Most UTF-8 bytes in a message's text, and in one message of a reply; a longer reply becomes several.
pub const MESSAGE_BYTES: usize = 16 * 1024;
/// Most bytes of an image that is not a URL.
pub const IMAGE_BYTES: usize = 24 * 1024;
/// Messages that may wait in one conversation when a bot does not say.
pub const WAITING_MESSAGES: u32 = 16;
/// Actions in one turn when a bot does not say.
pub const TURN_ACTIONS: u32 = 16;
/// LLM calls in one turn, retries included.
pub const TURN_LLM_CALLS: u32 = 32;
/// Running time of one turn, parks left out, in milliseconds.
pub const TURN_MS: u64 = 120_000;
/// Times one turn may park.
pub const TURN_PARKS: u32 = 8;
/// Takeovers of one run after which it is given up.
pub const TAKEOVERS: u32 = 4;
/// An LLM call's time when its endpoint does not say, in milliseconds.
pub const LLM_TIMEOUT_MS: u64 = 30_000;
/// An executor's time when it does not say, in milliseconds.
pub const EXECUTOR_TIMEOUT_MS: u64 = 10_000;
/// Most bytes of an LLM's answer; more is an error.
pub const LLM_ANSWER_BYTES: usize = 1024 * 1024;
/// Most bytes of an executor's answer; more is an error.
pub const EXECUTOR_ANSWER_BYTES: usize = 256 * 1024;
/// How many UserUtters a policy key reaches back.
pub const KEY_USER_UTTERS: usize = 16;
/// How many actions a policy key reaches back.
pub const KEY_ACTIONS: usize = 64;
/// Tokens of history in a prompt when a bot does not say.
pub const HISTORY_TOKENS: u32 = 6000;
/// The most tokens of history a bot may ask for.
pub const MAX_HISTORY_TOKENS: u32 = 200_000;
/// Bytes that count as one token when a prompt's history is measured.
pub const BYTES_PER_TOKEN: usize = 3;
/// Tokens an LLM may answer with when a bot does not say.
pub const ANSWER_TOKENS: u32 = 500;
/// Exchanges of a proxy user when a bot does not say.
pub const PROXY_EXCHANGES: u32 = 20;
/// A claim's lease, in milliseconds.
pub const LEASE_MS: u64 = 15_000;
/// A lease is renewed when a third of it has passed, in milliseconds.
pub const RENEW_MS: u64 = LEASE_MS / 3;
/// Most bytes of a bundle.
pub const BUNDLE_BYTES: usize = 24 * 1024 * 1024;
/// Most actions of a bot.
pub const BOT_ACTIONS: usize = 1_000;
/// Most example dialogues of a bot.
pub const BOT_EXAMPLES: usize = 100_000;
/// Events between two snapshots of a conversation's state.
pub const SNAPSHOT_EVENTS: u64 = 64;
/// Titles of examples that a step's trace names: those that match longest.
pub const TRACED_EXAMPLES: usize = 8;
/// Most steps of a task.
pub const TASK_STEPS: usize = 1_000;
/// Most bytes of all texts of a plan together.
pub const PLAN_BYTES: usize = 256 * 1024;
/// Most characters of a step's name.
pub const STEP_NAME: usize = 64;
/// Most bytes of a step's result.
pub const RESULT_BYTES: usize = 16 * 1024;
/// Steps of a task that run at once when it does not say.
pub const TASK_CONCURRENT: u32 = 5;
/// Steps of a task that is planned while it runs when it does not say.
pub const TASK_DYNAMIC_STEPS: u32 = 20;
/// LLM calls of a task when it does not say.
pub const TASK_LLM_CALLS: u32 = 500;
/// A step's time when it does not say, in milliseconds: a little more than a turn may take.
pub const TASK_STEP_MS: u64 = TURN_MS + 10_000;
/// Times a planner is asked before an LLM that does not answer ends the task.
pub const PLANNER_TRIES: u16 = 3;
/// Waiting of a task that is not worth letting go of its claim for, in milliseconds.
pub const TASK_SHORT_WAIT_MS: u64 = 5_000;
/// When an agent's answer is looked for that the task was not told of, in milliseconds after it was asked.
pub const TASK_LOOK_MS: u64 = 20_000;
/// Messages that may wait for a task: answers and requests to stop.
pub const TASK_MESSAGES: u32 = 1_000;
