//! The calendar: seconds since 1970 to a date in UTC and back.
//!
//! Certificates and HTTP write dates, documents and people's machines count seconds. Both
//! directions count years from March, so that the leap day is the last of its year
//! (`days_from_civil` and `civil_from_days`, Howard Hinnant).

const DAY_S: u64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;
/// Days from the first of March of year 0 to 1970.
const DAYS_TO_1970: u64 = 719_468;

/// A second of the Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcTime {
    /// The year, as in 1970.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, 1 to 31.
    pub day: u64,
    /// The hour, 0 to 23.
    pub hour: u64,
    /// The minute, 0 to 59.
    pub minute: u64,
    /// The second, 0 to 59, or 60 for a leap second.
    pub second: u64,
}

impl UtcTime {
    /// The second that is so many after the beginning of 1970.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        let (days, rest) = (seconds / DAY_S + DAYS_TO_1970, seconds % DAY_S);
        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds since 1970; `None` for a second before that, after the year 9999, or with a part
    /// that is out of range. The 31st of a shorter month is taken for the first of the next.
    #[must_use]
    pub fn seconds_since_1970(&self) -> Option<u64> {
        let fits = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60;
        if !fits {
            return None;
        }
        let year = self.year - u64::from(self.month <= 2);
        let (era, year_of_era) = (year / 400, year % 400);
        let from_march = (self.month + 9) % 12;
        let day_of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * ERA_DAYS + day_of_era).checked_sub(DAYS_TO_1970)?;
        Some(days * DAY_S + self.hour * 3_600 + self.minute * 60 + self.second)
    }
}

/// A number written in decimal digits and nothing else: no sign, no space.
#[must_use]
pub fn decimal(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates_and_dates_seconds() {
        let of = |year, month, day| UtcTime { year, month, day, hour: 0, minute: 0, second: 0 };
        for (seconds, date) in [
            (0, of(1970, 1, 1)),
            (951_782_400, of(2000, 2, 29)),
            (951_868_800, of(2000, 3, 1)),
            (978_307_200, of(2001, 1, 1)),
            (4_107_456_000, of(2100, 2, 28)),
            (4_107_542_400, of(2100, 3, 1)),
        ] {
            assert_eq!(UtcTime::at(seconds), date);
            assert_eq!(date.seconds_since_1970(), Some(seconds));
        }
        for seconds in (0..253_402_300_800).step_by(86_399 * 97).chain([253_402_300_799]) {
            assert_eq!(UtcTime::at(seconds).seconds_since_1970(), Some(seconds));
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_and_nothing_panics() {
        let good = UtcTime::at(951_782_400);
        for wrong in [
            UtcTime { year: 1969, ..good },
            UtcTime { year: u64::MAX, ..good },
            UtcTime { month: 0, ..good },
            UtcTime { month: 13, ..good },
            UtcTime { day: 0, ..good },
            UtcTime { day: 32, ..good },
            UtcTime { hour: 24, ..good },
            UtcTime { minute: 60, ..good },
            UtcTime { second: 61, ..good },
        ] {
            assert_eq!(wrong.seconds_since_1970(), None, "{wrong:?}");
        }
        assert_eq!(UtcTime::at(u64::MAX).seconds_since_1970(), None);
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(["0", "007", "+1", "-1", " 1", "", "1a"].map(decimal), {
            [Some(0), Some(7), None, None, None, None, None]
        });
        assert_eq!(decimal("99999999999999999999"), None);
    }
}
