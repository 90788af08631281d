//! How long a server asks its clients to wait.

use std::time::UNIX_EPOCH;

use cota_core::decimal;
use cota_core::ids::Timestamp;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// Longest wait that is believed: a day.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds until the server wants to be asked again, if it says so: `retry-after-ms`, or `Retry-After` (RFC 9110) in
/// seconds or as a date, which counts from the answer's own `Date` so that a wrong clock on either side does no harm.
pub(super) fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let ms = match text("retry-after-ms").and_then(decimal::read) {
        Some(ms) => whole_ms(ms),
        None => {
            let wait = text(RETRY_AFTER.as_str())?;
            match decimal::read(wait) {
                Some(seconds) => whole_ms(seconds * 1000.0),
                None => {
                    let sent = text(DATE.as_str()).and_then(unix_ms).unwrap_or(now.0);
                    unix_ms(wait)?.checked_sub(sent).or(Some(0))
                }
            }
        }
    };
    ms.map(|ms| ms.min(LONGEST_MS))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be finite and not negative; the cast saturates")]
fn whole_ms(ms: f64) -> Option<u64> {
    (ms.is_finite() && ms >= 0.0).then_some(ms.ceil() as u64)
}

fn unix_ms(date: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        // 2026-03-01T12:00:00Z
        let now = Timestamp(1_772_366_400_000);
        for (headers, wait) in [
            (&[("retry-after", "7")][..], Some(7_000)),
            (&[("retry-after", " 0.5 ")], Some(500)),
            (&[("retry-after", ".0001")], Some(1)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after-ms", "120"), ("retry-after", "7")], Some(120)),
            (&[("retry-after-ms", "12.5")], Some(13)),
            (&[("retry-after-ms", "soon"), ("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "Sun, 01 Mar 2026 12:00:30 GMT")], Some(30_000)),
            (&[("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT")], Some(0)),
            (&[("retry-after", "Sun, 01 Mar 2026 10:00:30 GMT"), ("date", "Sun, 01 Mar 2026 10:00:00 GMT")], Some(30_000)),
            (&[("retry-after", "999999999999")], Some(LONGEST_MS)),
            (&[("retry-after", "-3")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect::<Vec<(http::HeaderName, _)>>()
                .into_iter()
                .collect();
            assert_eq!(retry_after_ms(&headers, now), wait, "{headers:?}");
        }
    }
}
