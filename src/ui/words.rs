//! Numbers, sizes and dates as people read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Bytes in the units of file managers (powers of 1000).
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A count with separators between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Parameters of a model: `2.6 million`, `1.7 billion`.
pub fn parameters(number: u64) -> String {
    match number {
        0..1_000_000 => format!("{} thousand parameters", number / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} million parameters", number as f64 / 1e6),
        _ => format!("{:.1} billion parameters", number as f64 / 1e9),
    }
}

/// A duration in seconds, short.
pub fn seconds(secs: f64) -> String {
    if secs < 1.0 {
        format!("{:.0} ms", secs * 1000.0)
    } else if secs < 60.0 {
        format!("{secs:.1} s")
    } else {
        format!("{} min {:02} s", (secs / 60.0) as u64, secs as u64 % 60)
    }
}

/// One thing or several: `1 token`, `2 tokens`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The heading a moment stands under in a list, seen from now.
pub fn day_group(moment_ms: i64, now_ms: i64, zone: &TimeZone) -> String {
    let date =
        |ms: i64| Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone.clone()).date();
    let (day, today) = (date(moment_ms), date(now_ms));
    let since = |days: i32| today.checked_sub(days.days()).unwrap_or(today);
    if day >= today {
        "Today".to_owned()
    } else if day >= since(1) {
        "Yesterday".to_owned()
    } else if day >= since(7) {
        "Last 7 days".to_owned()
    } else if day >= since(30) {
        "Last 30 days".to_owned()
    } else if day.year() == today.year() {
        day.strftime("%B").to_string()
    } else {
        day.strftime("%B %Y").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(26_400_000_000), "26 GB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "token", "tokens"), "1 token");
        assert_eq!(plural(2_048, "token", "tokens"), "2,048 tokens");
        assert_eq!(seconds(0.042), "42 ms");
        assert_eq!(seconds(75.0), "1 min 15 s");
    }

    #[test]
    fn days_are_counted_on_the_calendar_not_in_hours() {
        let zone = TimeZone::UTC;
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let now = at("2026-03-10T00:30:00Z");
        let group = |text: &str| day_group(at(text), now, &zone);
        assert_eq!(group("2026-03-10T00:01:00Z"), "Today");
        assert_eq!(group("2026-03-11T00:01:00Z"), "Today", "a clock that was set back");
        assert_eq!(group("2026-03-09T23:59:00Z"), "Yesterday");
        assert_eq!(group("2026-03-08T23:59:00Z"), "Last 7 days");
        assert_eq!(group("2026-03-02T12:00:00Z"), "Last 30 days");
        assert_eq!(group("2026-01-15T12:00:00Z"), "January");
        assert_eq!(group("2025-12-31T12:00:00Z"), "December 2025");
    }
}
