use serde_json::{Value as Json, json};

use crate::problem::{Code, Problem};

/// A problem in OpenAI's shape.
#[must_use]
pub fn error_body(problem: &Problem) -> Json {
    let kind = match problem.status() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let code = if problem.code == Code::UnknownBot { "model_not_found" } else { problem.code.as_str() };
    json!({"error": {"message": problem.detail, "type": kind, "param": problem.extra.get("field"), "code": code}})
}
