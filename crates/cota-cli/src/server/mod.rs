//! The HTTP and WebSocket server of `cota run`.
