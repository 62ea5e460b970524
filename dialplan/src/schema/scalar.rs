//! The notations of values: durations, sizes, money, times of the half-hour grid.

use std::time::Duration;

/// `20s`, `3m`, `2h`, `7d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (digits, factor) = match text.as_bytes() {
        [.., b's'] => (text.strip_suffix('s')?, 1),
        [.., b'm'] => (text.strip_suffix('m')?, 60),
        [.., b'h'] => (text.strip_suffix('h')?, 3600),
        [.., b'd'] => (text.strip_suffix('d')?, 86_400),
        _ => return None,
    };
    number(digits)?.checked_mul(factor).map(Duration::from_secs)
}

/// `10MB`, `64kB`, `512B`: bytes by powers of ten.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (digits, factor) = if let Some(digits) = text.strip_suffix("GB") {
        (digits, 1_000_000_000)
    } else if let Some(digits) = text.strip_suffix("MB") {
        (digits, 1_000_000)
    } else if let Some(digits) = text.strip_suffix("kB") {
        (digits, 1_000)
    } else {
        (text.strip_suffix('B')?, 1)
    };
    number(digits)?.checked_mul(factor)
}

/// An exact amount with at most four decimals, in ten-thousandths.
#[must_use]
pub fn money(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 4 {
        return None;
    }
    let scale = 10u64.checked_pow(4u32.checked_sub(u32::try_from(fraction.len()).ok()?)?)?;
    let fraction = number(fraction)?.checked_mul(scale)?;
    number(whole)?.checked_mul(10_000)?.checked_add(fraction)
}

/// `HH:MM` on the grid of half hours, as the number of its cell; `24:00` is 48.
#[must_use]
pub fn cell(text: &str) -> Option<u8> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let half = match minutes {
        "00" => 0,
        "30" => 1,
        _ => return None,
    };
    let cell = u8::try_from(number(hours)?).ok()?.checked_mul(2)?.checked_add(half)?;
    (cell <= 48).then_some(cell)
}

/// What can be dialled: digits, `*`, `#`, one leading `+`.
#[must_use]
pub fn digits(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    !rest.is_empty()
        && rest.len() <= 32
        && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'))
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_mean_what_they_say_and_nothing_else_is_one() {
        assert_eq!(duration("20s"), Some(Duration::from_secs(20)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(money("17.5"), Some(175_000));
        assert_eq!((cell("00:00"), cell("09:30"), cell("24:00")), (Some(0), Some(19), Some(48)));
        for wrong in ["", "s", "20", "-1s", "1.5s", "20 s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for wrong in ["9:00", "09:15", "24:30", "25:00", "ab:00"] {
            assert_eq!(cell(wrong), None, "{wrong}");
        }
        assert_eq!((money("1."), money("1.23456"), size("10")), (None, None, None));
        assert!(digits("*97") && digits("+8133") && !digits("12a") && !digits(""));
    }
}
