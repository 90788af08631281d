use cota_core::ids::Timestamp;

use super::Settings;

/// The server asks from time to time whether the client is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heartbeat {
    /// The next question is due then.
    Quiet(Timestamp),
    /// The answer is due then.
    Asked(Timestamp),
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Wait,
    Ping,
    Dead,
}

impl Heartbeat {
    pub(super) fn begin(settings: &Settings, now: Timestamp) -> Self {
        Self::Quiet(now.plus_ms(settings.ping_interval_ms))
    }

    pub(super) fn tick(&mut self, settings: &Settings, now: Timestamp) -> Beat {
        match *self {
            Self::Quiet(due) if due <= now => {
                *self = Self::Asked(now.plus_ms(settings.ping_timeout_ms));
                Beat::Ping
            }
            Self::Asked(due) if due <= now => Beat::Dead,
            Self::Quiet(_) | Self::Asked(_) => Beat::Wait,
        }
    }

    pub(super) fn due(self) -> Timestamp {
        match self {
            Self::Quiet(due) | Self::Asked(due) => due,
        }
    }
}
