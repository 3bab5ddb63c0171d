//! When a certificate is asked for, and how long after that nothing is asked. Pure: time is an
//! argument.

use std::time::Duration;

use documents::Validity;

/// Pauses after failures: the first soon, for a name that has just been set up; then no more
/// often than authorities allow failures (five an hour).
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_mins(5),
    Duration::from_mins(20),
    Duration::from_hours(1),
];

/// How often a certificate is looked at. Clocks may be set, and machines sleep. Also the pause after
/// a success: with a clock that is years ahead every new certificate is due at once, and authorities
/// count orders.
const LOOK_INTERVAL: Duration = Duration::from_hours(1);

/// No pause is longer than this part of a certificate's time: the third in which it is renewed then
/// holds four attempts, even for one of an authority that gives them for minutes. Those that give
/// them for days are asked no more often because of it.
const PAUSES_IN_ITS_TIME: u64 = 12;

/// Whether a certificate is to be asked for.
pub(super) fn is_due(now: u64, current: Option<Validity>) -> bool {
    current.is_none_or(|current| current.renewal() <= now)
}

/// How long nothing is done after so many failures in a row; none when a certificate has just come,
/// or was not due.
pub(super) fn pause_after(failures: usize, current: Option<Validity>) -> Duration {
    let pause = match failures.checked_sub(1) {
        None => LOOK_INTERVAL,
        Some(before) => RETRY_PAUSES[before.min(RETRY_PAUSES.len() - 1)],
    };
    let longest = current.map_or(LOOK_INTERVAL, |current| {
        let lifetime = current.ends.saturating_sub(current.begins);
        Duration::from_secs((lifetime / PAUSES_IN_ITS_TIME).max(1))
    });
    pause.min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn lasting(seconds: u64) -> Validity {
        Validity { begins: 1_000_000, ends: 1_000_000 + seconds }
    }

    #[test]
    fn a_certificate_is_asked_for_when_a_third_of_its_time_is_left() {
        assert!(is_due(0, None), "there is none");
        let current = lasting(90 * DAY);
        let renewal = current.ends - 30 * DAY;
        assert!(!is_due(current.begins, Some(current)));
        assert!(!is_due(renewal - 1, Some(current)));
        assert!(is_due(renewal, Some(current)));
        assert!(is_due(current.ends + DAY, Some(current)), "and when it has ended");
    }

    #[test]
    fn no_order_follows_another_at_once() {
        for current in [None, Some(lasting(90 * DAY)), Some(lasting(6 * DAY))] {
            assert_eq!(pause_after(0, current), LOOK_INTERVAL);
            let pauses: Vec<_> = (1..=6).map(|failures| pause_after(failures, current)).collect();
            assert_eq!(pauses[..4], RETRY_PAUSES);
            assert_eq!(pauses[4..], [RETRY_PAUSES[3]; 2]);
        }
        assert_eq!(pause_after(0, Some(lasting(0))), Duration::from_secs(1));
    }

    /// Plays the time of a certificate through, with an authority that fails all along.
    #[test]
    fn a_short_certificate_is_tried_for_several_times_before_it_ends() {
        for lifetime in [60, 3600, DAY, 6 * DAY, 90 * DAY] {
            let current = lasting(lifetime);
            let (mut now, mut failures, mut orders) = (current.begins, 0, 0);
            while now < current.ends {
                if is_due(now, Some(current)) {
                    orders += 1;
                    failures += 1;
                }
                now += pause_after(failures, Some(current)).as_secs();
            }
            assert!(orders >= 4, "{orders} in {lifetime} s");
            let hours = lifetime.div_ceil(3600);
            assert!(lifetime < DAY || orders <= 3 + hours, "{orders} in {hours} hours");
        }
    }
}
