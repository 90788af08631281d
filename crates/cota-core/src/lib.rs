//! The dialogue core: every decision of a turn, and no I/O.
