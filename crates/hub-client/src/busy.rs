//! Coming again when a hub says that it is busy.

use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// How often a busy hub is asked again. It lets a request wait for some 20 s by itself before it
/// says so, so this is patience for minutes.
pub(crate) const ASKED_AGAIN_MAX: usize = 4;

/// Longest pause that is waited for. A hub that names a longer one is not busy but closed: then
/// its answer is the result, and whoever asked decides.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long to wait before the same request may be taken; `None` when the response does not ask
/// for that.
pub(crate) fn asked_pause<B>(response: &Response<B>) -> Option<Duration> {
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            retry_after(response.headers()).filter(|pause| *pause <= PAUSE_MAX)
        }
        _ => None,
    }
}

/// The header in seconds. Hubs do not name dates, and a date needs clocks that agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // Asking at once would not be waiting.
    Some(Duration::from_secs(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_from_refusals_that_name_one() {
        let pause = |status: u16, text: &str| {
            let response = Response::builder().status(status).header(RETRY_AFTER, text).body(());
            asked_pause(&response.expect("a response")).map(|pause| pause.as_secs())
        };
        assert_eq!(pause(503, "5"), Some(5));
        assert_eq!(pause(429, " 30 "), Some(30));
        assert_eq!(pause(503, "0"), Some(1));
        for (status, text) in [
            (200, "5"),
            (500, "5"),
            (503, "31"),
            (503, "-1"),
            (503, "99999999999999999999999"),
            (503, "Wed, 21 Oct 2026 07:28:00 GMT"),
        ] {
            assert_eq!(pause(status, text), None, "{status} {text}");
        }
        assert_eq!(asked_pause(&Response::builder().status(503).body(()).expect("one")), None);
    }
}
