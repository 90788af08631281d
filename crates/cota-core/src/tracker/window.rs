//! How much of the past a tracker remembers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::is_formless;
use crate::bot::USER_UTTER;
use crate::event::ActionRecord;
use crate::limits;

/// How many of the newest actions a policy key or a prompt of `history_bytes` may need.
pub(super) fn kept(actions: &VecDeque<Arc<ActionRecord>>, history_bytes: usize) -> usize {
    let mut bytes = 0;
    let mut formless = 0;
    let mut user_utters = 0;
    let mut kept = 0;
    for action in actions.iter().rev() {
        let a_key_reaches_it = formless < limits::KEY_ACTIONS && user_utters < limits::KEY_USER_UTTERS;
        if bytes >= history_bytes && !a_key_reaches_it {
            break;
        }
        bytes += size(action);
        formless += usize::from(is_formless(action));
        user_utters += usize::from(action.name == USER_UTTER);
        kept += 1;
    }
    kept
}

/// Roughly the bytes an action takes in a prompt.
fn size(action: &ActionRecord) -> usize {
    let results: usize = action.result.iter().map(|item| item.text.len() + item.thought.as_deref().map_or(0, str::len) + 1).sum();
    let slots: usize = action.slots.iter().flatten().map(|(name, value)| name.len() + value.as_str().map_or(8, str::len)).sum();
    action.name.len() + results + slots
}
