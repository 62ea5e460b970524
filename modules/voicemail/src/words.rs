//! The prompts of this module, in the language of the office.

use koukan_sdk::Prompt;
use koukan_sdk::say::{self, WallTime, Words};

use crate::Message;

/// One of the module's own prompts.
pub(crate) fn prompt(language: &str, name: &str) -> Prompt {
    Prompt::new(language_of(language), name)
}

/// The languages that the prompts are spoken in.
pub(crate) fn language_of(language: &str) -> &'static str {
    if language == "ja" { "ja" } else { "en" }
}

/// How many messages there are.
pub(crate) fn summary(language: &str, new: u32, old: u32) -> Words {
    let mut words = vec![prompt(language, "vm/new")];
    words.extend(say::count(language, new));
    words.push(prompt(language, "vm/old"));
    words.extend(say::count(language, old));
    words
}

/// Which message, when it was left and by whom.
pub(crate) fn head(language: &str, number: u32, message: &Message, now: WallTime) -> Words {
    let at = WallTime::new(message.date_ms, message.utc_offset_s);
    let mut words = vec![prompt(language, "vm/message")];
    words.extend(say::number(language, number));
    words.extend(say::day(language, at, now));
    words.extend(say::time(language, at));
    let caller = match say::digits(language, &message.caller) {
        digits if digits.is_empty() => vec![prompt(language, "vm/unknown")],
        digits => digits,
    };
    // "From" stands before a name in English, and behind it in Japanese.
    let from = prompt(language, "vm/from");
    if language == "ja" {
        words.extend(caller);
        words.push(from);
    } else {
        words.push(from);
        words.extend(caller);
    }
    words
}
