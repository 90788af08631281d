//! What a turn asks of the world: LLM calls and executors, over an HTTP port.
