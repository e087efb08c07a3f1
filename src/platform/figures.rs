//! Numbers as a person reads them.

/// At most three significant digits: `0.6`, `31.4`, `454`. A share that was stored as f32 is then
/// what was asked for, and not `0.6000000238418579`.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 300) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// What an f32 is in decimals, as f64: the nearest to its shortest form, so that it is written as
/// it was given.
pub fn widened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        for (value, text) in [
            (f64::from(0.6_f32), "0.6"),
            (31.368, "31.4"),
            (453.629, "454"),
            (1234.5, "1234"),
            (0.000_123_4, "0.000123"),
            (0.9996, "1"),
            (-0.25, "-0.25"),
            (0.0, "0"),
            (100.0, "100"),
        ] {
            assert_eq!(short(value), text);
        }
        for given in [0.6_f32, 0.1, 1e-7, 123.456] {
            assert_eq!(widened(given).to_string(), given.to_string());
            assert_eq!(widened(given) as f32, given);
        }
    }
}
