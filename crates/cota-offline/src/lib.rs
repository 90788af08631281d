//! The model that needs no network: it answers from a bot's own annotated dialogues.
