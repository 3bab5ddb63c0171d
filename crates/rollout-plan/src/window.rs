//! Times of the week in which targets may be addressed.

use std::fmt;
use std::str::FromStr;

const DAY_MINUTES: u64 = 24 * 60;
const WEEK_MINUTES: u64 = 7 * DAY_MINUTES;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// 1 January 1970 was a Thursday.
const EPOCH_DAY: u64 = 3;
/// How far a clock of this world is from UTC at most, in minutes.
const OFFSET_MINUTES_MAX: i32 = 14 * 60;

/// A span of time on some days of each week: `Mon-Fri 20:00-06:00 UTC`.
///
/// The days are those on which it begins. An end that is not after the beginning is on the next day. The
/// clock has a fixed distance from UTC, as in `UTC+02:00`: no summer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Place of the first day, from Monday, and how many follow.
    first: u8,
    days: u8,
    from: u16,
    minutes: u16,
    offset: i32,
}

/// The text is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window is written as `Mon-Fri 20:00-06:00 UTC` or `Sat 08:00-12:00 UTC+02:00`")]
pub struct ParseWindowError;

impl Window {
    /// Whether a time in unix seconds is in it.
    #[must_use]
    pub fn is_open(&self, now: u64) -> bool {
        let minute = self.minute_of_week(now);
        self.openings()
            .any(|from| (minute + WEEK_MINUTES - from) % WEEK_MINUTES < u64::from(self.minutes))
    }

    /// When it opens next; `now` if it is open.
    #[must_use]
    pub fn opens(&self, now: u64) -> u64 {
        if self.is_open(now) {
            return now;
        }
        let minute = self.minute_of_week(now);
        let wait = self.openings().map(|from| (from + WEEK_MINUTES - minute) % WEEK_MINUTES).min();
        (now / 60 + wait.expect("there is at least one day")).saturating_mul(60)
    }

    /// Minutes of the week at which it opens, by UTC.
    fn openings(&self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.days)).map(|day| {
            let day = (u64::from(self.first) + day) % 7;
            let local = day * DAY_MINUTES + u64::from(self.from);
            let local = i64::try_from(local).expect("a week has few minutes");
            let utc = (local - i64::from(self.offset)).rem_euclid(WEEK_MINUTES as i64);
            utc.unsigned_abs()
        })
    }

    fn minute_of_week(&self, now: u64) -> u64 {
        (now / 60 + EPOCH_DAY * DAY_MINUTES) % WEEK_MINUTES
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: u8| DAYS[usize::from(day % 7)];
        f.write_str(day(self.first))?;
        if self.days > 1 {
            write!(f, "-{}", day(self.first + self.days - 1))?;
        }
        let until = (u64::from(self.from) + u64::from(self.minutes)) % DAY_MINUTES;
        let (hour, minute) = (self.from / 60, self.from % 60);
        write!(f, " {hour:02}:{minute:02}-{:02}:{:02} UTC", until / 60, until % 60)?;
        if self.offset != 0 {
            let sign = if self.offset < 0 { '-' } else { '+' };
            let offset = self.offset.abs();
            write!(f, "{sign}{:02}:{:02}", offset / 60, offset % 60)?;
        }
        Ok(())
    }
}

impl FromStr for Window {
    type Err = ParseWindowError;

    fn from_str(text: &str) -> Result<Self, ParseWindowError> {
        parse(text).ok_or(ParseWindowError)
    }
}

fn parse(text: &str) -> Option<Window> {
    let mut words = text.split_ascii_whitespace();
    let (days, hours, zone) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (day(first)?, day(last)?);
    let (from, until) = hours.split_once('-')?;
    let (from, until) = (minute_of_day(from)?, minute_of_day(until)?);
    let day_minutes = DAY_MINUTES as u16;
    let minutes = if until > from { until - from } else { until + day_minutes - from };
    let offset = match zone.strip_prefix("UTC")? {
        "" => 0,
        offset => {
            let (sign, offset) = match offset.split_at_checked(1)? {
                ("+", offset) => (1, offset),
                ("-", offset) => (-1, offset),
                _ => return None,
            };
            sign * i32::from(minute_of_day(offset)?)
        }
    };
    let is_possible = offset.abs() <= OFFSET_MINUTES_MAX;
    is_possible.then_some(Window { first, days: (last + 7 - first) % 7 + 1, from, minutes, offset })
}

fn day(text: &str) -> Option<u8> {
    let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))?;
    u8::try_from(at).ok()
}

/// `HH:MM`
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday, 21 November 2026, 00:00 UTC.
    const SATURDAY: u64 = 1_795_219_200;
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[track_caller]
    fn check(window: &str, at: u64, opens: u64) {
        let window: Window = window.parse().expect("a window");
        assert_eq!(window.opens(at), opens, "{window}");
        assert_eq!(window.is_open(at), opens == at, "{window}");
    }

    #[test]
    fn opens_on_its_days_and_stays_open_over_midnight() {
        let friday = SATURDAY - DAY;
        check("Mon-Fri 20:00-06:00 UTC", friday + 19 * HOUR, friday + 20 * HOUR);
        check("Mon-Fri 20:00-06:00 UTC", friday + 20 * HOUR, friday + 20 * HOUR);
        // It began on Friday.
        check("Mon-Fri 20:00-06:00 UTC", SATURDAY + 6 * HOUR - 1, SATURDAY + 6 * HOUR - 1);
        check("Mon-Fri 20:00-06:00 UTC", SATURDAY + 6 * HOUR, SATURDAY + 2 * DAY + 20 * HOUR);
        check("Sat 00:00-00:00 UTC", SATURDAY, SATURDAY);
        check("Sat 00:00-00:00 UTC", SATURDAY + DAY - 1, SATURDAY + DAY - 1);
        check("Sat 00:00-00:00 UTC", SATURDAY + DAY, SATURDAY + 7 * DAY);
        check("Sat-Mon 01:00-02:00 UTC", SATURDAY + 2 * HOUR, SATURDAY + DAY + HOUR);
        check("Sun 12:00-13:00 UTC", SATURDAY + 7, SATURDAY + DAY + 12 * HOUR);
    }

    #[test]
    fn its_clock_may_be_elsewhere() {
        // Midnight in Berlin is 22:00 in Greenwich, the day before.
        check("Sat 00:00-01:00 UTC+02:00", SATURDAY - 2 * HOUR, SATURDAY - 2 * HOUR);
        check("Sat 00:00-01:00 UTC+02:00", SATURDAY - HOUR, SATURDAY + 7 * DAY - 2 * HOUR);
        check("Fri 23:00-23:30 UTC-01:30", SATURDAY, SATURDAY + HOUR / 2);
        check("Mon 01:00-02:00 UTC+03:00", SATURDAY, SATURDAY + DAY + 22 * HOUR);
    }

    #[test]
    fn shows_itself_as_it_is_read() {
        for text in [
            "Mon-Fri 20:00-06:00 UTC",
            "Sat-Mon 00:00-00:00 UTC+05:30",
            "Sun 01:59-02:00 UTC-12:00",
        ] {
            assert_eq!(text.parse::<Window>().expect("a window").to_string(), text);
        }
        for text in [
            "",
            "Mon",
            "Mon 20:00 UTC",
            "Mon 20:00-24:00 UTC",
            "Mon 2:00-3:00 UTC",
            "Mon 20:00-21:00",
            "Mon 20:00-21:00 CET",
            "Mon 20:00-21:00 UTC+15:00",
            "Mon 20:00-21:00 UTC 1",
            "Day 20:00-21:00 UTC",
            "Mon 20:00-21:00 UTC+é",
            "Mon +1:00-21:00 UTC",
            "Mon-Fri-Sat 20:00-21:00 UTC",
        ] {
            assert_eq!(text.parse::<Window>(), Err(ParseWindowError), "{text}");
        }
    }
}
