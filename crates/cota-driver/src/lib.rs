//! The ports of a conversation host, and the loop that drives a turn through them.
