//! Numbers, dates, times and amounts as lists of prompts, in Japanese and English.
//!
//! The words stand in `conf/prompts/LANGUAGE/say/`, made from `conf/prompts/spoken.toml`. A
//! language that is neither is spoken to in English.

use crate::Prompt;

/// What is said, in order.
pub type Words = Vec<Prompt>;

/// A moment as clocks on a wall show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// Days since 1970.
    pub days: i64,
}

impl WallTime {
    /// The wall's time of a date (ms since 1970) where clocks are `utc_offset_s` ahead of UTC.
    #[must_use]
    pub fn new(date_ms: i64, utc_offset_s: i32) -> Self {
        let seconds = date_ms.div_euclid(1_000).saturating_add(i64::from(utc_offset_s));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (month, day) = month_and_day(days);
        let small = |number: i64| u8::try_from(number).unwrap_or(0);
        let (hour, minute) = (small(second / 3_600), small(second / 60 % 60));
        Self { month, day, hour, minute, days }
    }
}

/// The civil calendar from the days since 1970: years are counted from March, so that the leap day
/// comes last, in eras of 400 years.
fn month_and_day(days: i64) -> (u8, u8) {
    let of_era = days.saturating_add(719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

fn is_japanese(language: &str) -> bool {
    language == "ja"
}

fn word(language: &str, name: &str) -> Prompt {
    Prompt::new(if is_japanese(language) { "ja" } else { "en" }, &format!("say/{name}"))
}

/// Digits one by one; anything else in the text is passed over.
#[must_use]
pub fn digits(language: &str, text: &str) -> Words {
    let digit = |letter: char| letter.to_digit(10).map(|d| word(language, &format!("d-{d}")));
    text.chars().filter_map(digit).collect()
}

/// A whole number; one that there are no words for (above 99,999,999 in Japanese, 999,999,999 in
/// English) by its digits, which is never a wrong one.
#[must_use]
pub fn number(language: &str, number: u32) -> Words {
    let most = if is_japanese(language) { 99_999_999 } else { 999_999_999 };
    if number > most {
        return digits(language, &number.to_string());
    }
    let names = if is_japanese(language) { japanese(number) } else { english(number) };
    names.iter().map(|name| word(language, name)).collect()
}

/// How many things of a list there are.
#[must_use]
pub fn count(language: &str, count: u32) -> Words {
    if !is_japanese(language) {
        return number(language, count);
    }
    if count <= 30 {
        return vec![word(language, &format!("count-{count}"))];
    }
    let mut words = number(language, count);
    words.push(word(language, "items"));
    words
}

/// An amount of yen.
#[must_use]
pub fn yen(language: &str, amount: u32) -> Words {
    let mut words = number(language, amount);
    words.push(word(language, "yen"));
    words
}

/// A day: today, yesterday, or month and day.
#[must_use]
pub fn day(language: &str, day: WallTime, now: WallTime) -> Words {
    let near = match now.days.saturating_sub(day.days) {
        0 => Some("today"),
        1 => Some("yesterday"),
        _ => None,
    };
    if let Some(near) = near {
        return vec![word(language, near)];
    }
    vec![
        word(language, &format!("month-{}", day.month)),
        word(language, &format!("day-{}", day.day)),
    ]
}

/// A time of day.
#[must_use]
pub fn time(language: &str, at: WallTime) -> Words {
    let WallTime { hour, minute, .. } = at;
    if is_japanese(language) {
        let mut words = vec![word(language, &format!("hour-{hour}"))];
        if minute > 0 {
            words.push(word(language, &format!("minute-{minute}")));
        }
        return words;
    }
    let twelve = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    let mut words = number(language, u32::from(twelve));
    match minute {
        0 => words.push(word(language, "oclock")),
        1..=9 => {
            words.push(word(language, "oh"));
            words.extend(number(language, u32::from(minute)));
        }
        _ => words.extend(number(language, u32::from(minute))),
    }
    words.push(word(language, if hour < 12 { "am" } else { "pm" }));
    words
}

fn japanese(number: u32) -> Vec<String> {
    if number == 0 {
        return vec!["n-0".to_owned()];
    }
    let mut names = Vec::new();
    if number >= 10_000 {
        names.extend(below_ten_thousand(number / 10_000));
        names.push("man".to_owned());
    }
    names.extend(below_ten_thousand(number % 10_000));
    names
}

/// The digits of a Japanese number with their places, which change each other's sound.
fn below_ten_thousand(number: u32) -> Vec<String> {
    let place = |unit: u32| (number / unit % 10) * unit;
    let places = [1_000, 100, 10, 1].map(place);
    places.iter().filter(|value| **value > 0).map(|value| format!("n-{value}")).collect()
}

fn english(number: u32) -> Vec<String> {
    if number == 0 {
        return vec!["n-0".to_owned()];
    }
    let mut names = Vec::new();
    for (unit, name) in [(1_000_000, "million"), (1_000, "thousand")] {
        let count = number / unit % 1_000;
        if count > 0 {
            names.extend(below_thousand(count));
            names.push(name.to_owned());
        }
    }
    names.extend(below_thousand(number % 1_000));
    names
}

fn below_thousand(number: u32) -> Vec<String> {
    let mut names = Vec::new();
    if number >= 100 {
        names.push(format!("n-{}", number / 100));
        names.push("hundred".to_owned());
    }
    match number % 100 {
        0 => {}
        small @ 1..=19 => names.push(format!("n-{small}")),
        rest => {
            names.push(format!("n-{}", rest / 10 * 10));
            if rest % 10 > 0 {
                names.push(format!("n-{}", rest % 10));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &Words) -> Vec<&str> {
        words.iter().map(|word| word.name.trim_start_matches("say/")).collect()
    }

    #[test]
    fn numbers_are_put_together_as_each_language_says_them() {
        let ja = |n| names(&number("ja", n)).join(" ");
        assert_eq!(ja(0), "n-0");
        assert_eq!(ja(21), "n-20 n-1");
        assert_eq!(ja(3_658), "n-3000 n-600 n-50 n-8");
        assert_eq!(ja(12_340_005), "n-1000 n-200 n-30 n-4 man n-5");
        let en = |n| names(&number("en", n)).join(" ");
        assert_eq!(en(0), "n-0");
        assert_eq!(en(15), "n-15");
        assert_eq!(en(342), "n-3 hundred n-40 n-2");
        assert_eq!(en(1_200_019), "n-1 million n-2 hundred thousand n-19");
        assert_eq!(en(999_999_999).split(' ').count(), 14);
        assert_eq!(ja(100_000_000), "d-1 d-0 d-0 d-0 d-0 d-0 d-0 d-0 d-0", "no word, no other one");
        assert_eq!(en(1_000_000_001), "d-1 d-0 d-0 d-0 d-0 d-0 d-0 d-0 d-0 d-1");
        assert_eq!(names(&yen("ja", 800)), ["n-800", "yen"]);
        assert_eq!(names(&yen("ja", 1_234)), ["n-1000", "n-200", "n-30", "n-4", "yen"]);
        assert_eq!(names(&yen("en", 10_050)), ["n-10", "thousand", "n-50", "yen"]);
        assert_eq!(names(&count("ja", 12)), ["count-12"]);
        assert_eq!(names(&count("ja", 31)), ["n-30", "n-1", "items"]);
        assert_eq!(names(&digits("en", "03-12")), ["d-0", "d-3", "d-1", "d-2"]);
    }

    #[test]
    fn dates_and_times_are_those_of_the_wall() {
        // 2026-07-01T12:05:00+09:00
        let at = WallTime::new(1_782_875_100_000, 9 * 3_600);
        assert_eq!((at.month, at.day, at.hour, at.minute), (7, 1, 12, 5));
        let leap = WallTime::new(1_709_164_800_000, 0);
        assert_eq!((leap.month, leap.day), (2, 29));
        assert_eq!(WallTime::new(-1, 0).hour, 23);
        assert_eq!(names(&time("ja", at)), ["hour-12", "minute-5"]);
        assert_eq!(names(&time("en", at)), ["n-12", "oh", "n-5", "pm"]);
        let midnight = WallTime { hour: 0, minute: 0, ..at };
        assert_eq!(names(&time("en", midnight)), ["n-12", "oclock", "am"]);
        assert_eq!(names(&day("en", at, at)), ["today"]);
        assert_eq!(names(&day("en", at, WallTime { days: at.days + 1, ..at })), ["yesterday"]);
        let later = WallTime { days: at.days + 2, ..at };
        assert_eq!(names(&day("ja", at, later)), ["month-7", "day-1"]);
    }

    #[test]
    fn every_word_has_its_file() {
        let prompts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/prompts");
        let mut all = Vec::new();
        for language in ["ja", "en"] {
            all.extend(digits(language, "0123456789"));
            for n in (0..=120).chain((1..=9).flat_map(|n| [n * 1_000, n * 100])).chain([1_000_000])
            {
                all.extend(number(language, n));
                all.extend(count(language, n));
            }
            all.extend(yen(language, 8));
            for days in 0..400 {
                let at = WallTime::new(days * 86_400_000, 0);
                all.extend(day(language, at, at));
                all.extend(day(language, at, WallTime { days: days + 1, ..at }));
                all.extend(day(language, at, WallTime { days: days + 2, ..at }));
            }
            for minute in 0..1_440 {
                all.extend(time(language, WallTime::new(minute * 60_000, 0)));
            }
        }
        for prompt in all {
            let file = prompts.join(&prompt.language).join(format!("{}.wav", prompt.name));
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}
