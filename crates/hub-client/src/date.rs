//! Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`.

use documents::UtcTime;
use documents::date::decimal;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 of a `Date` header; `None` when it is not of the form servers must use.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = decimal(parts.next()?)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|known| *known == month)? as u64 + 1;
    let year = decimal(parts.next()?)?;
    let mut clock = parts.next()?.split(':').map(decimal);
    let mut next = || clock.next().flatten();
    let (hour, minute, second) = (next()?, next()?, next()?);
    (parts.next() == Some("GMT")).then_some(())?;
    UtcTime { year, month, day, hour, minute, second }.seconds_since_1970()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates_of_servers_become_seconds() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for wrong in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Now 1994 08:49:37 GMT"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
