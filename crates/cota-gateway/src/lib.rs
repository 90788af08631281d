//! Every HTTP route, as one axum Router for all targets.
