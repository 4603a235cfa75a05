//! Points in time in the forms that Graph writes.

use std::time::Duration;

use tidings_domain::Timestamp;

/// `2026-11-22T10:00:00Z`: members such as `createdDateTime`, in whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    jiff(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-22T10:00:00`: `innerError.date`, which has no zone.
pub(crate) fn bare(time: Timestamp) -> String {
    jiff(time).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2026-11-22 10:00:00Z`: the sign-in's form.
pub(crate) fn blank(time: Timestamp) -> String {
    jiff(time).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `2026-11-22T10:00:00.1234567+00:00`: the form inside messages of workloads.
pub(crate) fn seven_digits(time: Timestamp, offset_minutes: Option<i32>) -> String {
    let Some(minutes) = offset_minutes else {
        return jiff(time).strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string();
    };
    // Offsets beyond a day do not exist; they are cut rather than refused, since a switch sets them.
    let minutes = minutes.clamp(-1_439, 1_439);
    let sign = if minutes < 0 { '-' } else { '+' };
    let shift = Duration::from_secs(u64::from(minutes.unsigned_abs()) * 60);
    let local = if minutes < 0 {
        time - shift
    } else {
        time + shift
    };
    let absolute = minutes.unsigned_abs();
    format!(
        "{}{sign}{:02}:{:02}",
        jiff(local).strftime("%Y-%m-%dT%H:%M:%S.%7f"),
        absolute / 60,
        absolute % 60
    )
}

/// `Sun, 22 Nov 2026 10:00:00 GMT`: HTTP dates (RFC 9110 §5.6.7).
pub(crate) fn http_date(time: Timestamp) -> String {
    jiff(time).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `-5.23:59:55.5782571`: a span as .NET writes it, where the message of a workload holds one.
pub(crate) fn dotnet_span(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let total = millis.unsigned_abs();
    let (days, rest) = (total / 86_400_000, total % 86_400_000);
    let (hours, rest) = (rest / 3_600_000, rest % 3_600_000);
    let (minutes, rest) = (rest / 60_000, rest % 60_000);
    let (seconds, fraction) = (rest / 1_000, rest % 1_000);
    let days = if days == 0 {
        String::new()
    } else {
        format!("{days}.")
    };
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:03}0000")
    };
    format!("{sign}{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}

fn jiff(time: Timestamp) -> jiff::Timestamp {
    // Only times outside the years -9999 to 9999 fail, and no clock shows those.
    jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Timestamp = Timestamp::from_millis(1_795_341_600_123);

    #[test]
    fn every_form_is_written_as_graph_writes_it() {
        assert_eq!(seconds(TIME), "2026-11-22T10:00:00Z");
        assert_eq!(bare(TIME), "2026-11-22T10:00:00");
        assert_eq!(blank(TIME), "2026-11-22 10:00:00Z");
        assert_eq!(http_date(TIME), "Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(seven_digits(TIME, None), "2026-11-22T10:00:00.1230000Z");
        assert_eq!(
            seven_digits(TIME, Some(0)),
            "2026-11-22T10:00:00.1230000+00:00"
        );
        assert_eq!(
            seven_digits(TIME, Some(330)),
            "2026-11-22T15:30:00.1230000+05:30"
        );
        assert_eq!(
            seven_digits(TIME, Some(-480)),
            "2026-11-22T02:00:00.1230000-08:00"
        );
    }

    #[test]
    fn an_offset_date_is_the_same_moment() {
        for offset in [Some(0), Some(330), Some(-480), None] {
            assert_eq!(seven_digits(TIME, offset).parse(), Ok(TIME));
        }
    }

    #[test]
    fn spans_are_written_as_dotnet_does() {
        assert_eq!(dotnet_span(3 * 86_400_000), "3.00:00:00");
        assert_eq!(dotnet_span(3_600_000), "01:00:00");
        assert_eq!(
            dotnet_span(-(5 * 86_400_000 + 86_395_578)),
            "-5.23:59:55.5780000"
        );
    }
}
