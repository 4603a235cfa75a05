//! The header `Retry-After`: seconds or a date (RFC 9110, section 10.2.3), and what Graph makes of it.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::{civil::DateTime, fmt::rfc2822, tz::TimeZone};
use tidings_domain::Timestamp;

/// Nobody is obeyed for longer than this: whoever asks for more is asked again after a day.
pub const LONGEST: Duration = Duration::from_hours(24);

/// How long a server asks us to wait.
///
/// Graph sends whole seconds and also decimals (`2.128`). A negative number, like a date that has passed, means now.
/// What is longer than [`LONGEST`] is cut to it. Anything else counts as nothing said.
///
/// ```
/// use std::time::Duration;
/// use http::HeaderMap;
/// use tidings_domain::Timestamp;
/// use tidings_graph::retry_after;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", "2.128".parse().unwrap());
/// let now = Timestamp::from_millis(0);
/// assert_eq!(retry_after::parse(&headers, now), Some(Duration::from_millis(2_128)));
/// ```
pub fn parse(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match seconds(text) {
        Some(wait) => wait,
        None => now.until(date(text)?),
    };
    Some(wait.min(LONGEST))
}

/// Seconds, rounded up to milliseconds. Exponents, `inf` and the like are no numbers of a header.
fn seconds(text: &str) -> Option<Duration> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    if negative {
        return Some(Duration::ZERO);
    }
    // What does not fit is more than the longest wait anyway.
    let whole = whole.parse().unwrap_or(LONGEST.as_secs());
    let millis: u64 = format!("{:0<3}", &fraction[..fraction.len().min(3)])
        .parse()
        .ok()?;
    let rest = fraction.bytes().skip(3).any(|digit| digit != b'0');
    Some(Duration::from_secs(whole).saturating_add(Duration::from_millis(millis + u64::from(rest))))
}

/// A date in one of the three forms that RFC 9110, section 5.6.7 has every recipient read.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(time) = rfc2822::parse(text) {
        return Some(time.timestamp().into());
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| DateTime::strptime(form, text).ok())
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .map(|time| time.timestamp().into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn wait(text: &str) -> Option<Duration> {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).ok()?);
        parse(&headers, now)
    }

    #[test]
    fn seconds_are_read_with_and_without_a_fraction() {
        assert_eq!(wait("10"), Some(Duration::from_secs(10)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("2.5"), Some(Duration::from_millis(2_500)));
        assert_eq!(wait("0.0001"), Some(Duration::from_millis(1)));
    }

    #[test]
    fn all_three_forms_of_dates_are_read() {
        for text in [
            "Sun, 22 Nov 2026 10:01:30 GMT",
            "Sunday, 22-Nov-26 10:01:30 GMT",
            "Sun Nov 22 10:01:30 2026",
        ] {
            assert_eq!(wait(text), Some(Duration::from_secs(90)), "{text}");
        }
    }

    #[test]
    fn what_lies_in_the_past_means_now() {
        assert_eq!(wait("-5"), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 22 Nov 2020 10:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_huge_is_cut_and_garbage_says_nothing() {
        assert_eq!(wait("99999999999999999999999999"), Some(LONGEST));
        assert_eq!(wait("Fri, 22 Nov 2126 10:00:00 GMT"), Some(LONGEST));
        for text in [
            "", "soon", "1e3", "inf", "NaN", "+5", "1.", ".5", "0x10", "1 2", "--1",
        ] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_wait_for_ever(text in "[ -~]{0,40}") {
            prop_assert!(wait(&text).is_none_or(|wait| wait <= LONGEST));
        }
    }
}
