//! Points in time as clients read them: ISO 8601 in UTC with milliseconds, `2026-03-01T12:00:00.000Z`.

use cota_core::ids::Timestamp;
use serde::Serializer;

const MS_PER_SECOND: u64 = 1000;
const MS_PER_DAY: u64 = 24 * 60 * 60 * MS_PER_SECOND;
const DAYS_PER_400_YEARS: u64 = 146_097;
/// From the first of March of year 0, where leap days fall at the end of a year, to the first of January of 1970.
const DAYS_BEFORE_EPOCH: u64 = 719_468;

/// Writes a point in time as ISO 8601 in UTC. Years have at least four digits.
#[must_use]
pub fn iso8601(at: Timestamp) -> String {
    let Date { year, month, day } = date(at.0 / MS_PER_DAY);
    let ms = at.0 % MS_PER_DAY;
    let seconds = ms / MS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % MS_PER_SECOND)
}

/// For `#[serde(serialize_with)]`: a timestamp as ISO 8601.
pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso8601(*at))
}

struct Date {
    year: u64,
    month: u64,
    day: u64,
}

/// The date in the Gregorian calendar, `days` after the first of January of 1970.
///
/// Years are counted from March, so that the leap day is a year's last and the months before it have a fixed pattern:
/// five months take 153 days.
fn date(days: u64) -> Date {
    let days = days + DAYS_BEFORE_EPOCH;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era + year_of_era / 100 - year_of_era / 4 - 365 * year_of_era;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    Date { year: era * 400 + year_of_era + next_year, month, day }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_in_time() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (1_772_366_400_000, "2026-03-01T12:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso8601(Timestamp(ms)), text);
        }
        assert!(iso8601(Timestamp(u64::MAX)).ends_with('Z'));
    }

    #[test]
    fn every_day_of_eight_hundred_years_follows_the_one_before() {
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = |year, month| match month {
            2 => 28 + u64::from(leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..2 * DAYS_PER_400_YEARS {
            let found = date(days);
            assert_eq!((found.year, found.month, found.day), (year, month, day), "{days} days after the epoch");
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
