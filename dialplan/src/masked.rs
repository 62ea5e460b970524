//! Lines of files as findings show them: whoever writes a secret where only its place may stand
//! must not find it in a log, in a mail or on a colleague's screen.

use std::borrow::Cow;
use std::ops::Range;

use crate::source::is_wide;

/// A line in which every secret that stands there itself is stars, as many as it has characters.
/// A place of a secret (`file:PATH`, `env:NAME`) stays, and so does everything else.
///
/// Secrets are what a key named `secret`, `pin` or `password` is given (or one that ends so), the
/// password of a URL, and 32 or more hexadecimal digits in quotes.
#[must_use]
pub fn masked_line(line: &str) -> Cow<'_, str> {
    let mut secrets: Vec<Range<usize>> = Vec::new();
    secrets.extend(keys(line).filter_map(|end| value(line, end)));
    secrets.extend(passwords(line));
    secrets.extend(digits(line));
    if secrets.is_empty() {
        return Cow::Borrowed(line);
    }
    let within = |at: usize| secrets.iter().any(|range| range.contains(&at));
    let star = |(at, c): (usize, char)| match c {
        _ if !within(at) => c,
        // As wide as what it hides, so that carets under it stand right.
        c if is_wide(c) => '＊',
        _ => '*',
    };
    Cow::Owned(line.char_indices().map(star).collect())
}

/// Where keys of secrets end.
fn keys(line: &str) -> impl Iterator<Item = usize> + '_ {
    KEYS.into_iter().flat_map(move |key| {
        let ends = line.match_indices(key).map(move |(at, _)| at + key.len());
        ends.filter(move |end| {
            let next = line.get(*end..).and_then(|rest| rest.chars().next());
            next.is_some_and(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-'))
        })
    })
}

const KEYS: [&str; 3] = ["secret", "pin", "password"];

/// The value behind a key that ends at `end`, unless it says where the secret stands.
fn value(line: &str, end: usize) -> Option<Range<usize>> {
    let rest = line.get(end..)?;
    let equals = rest.trim_start_matches(['"', '\'']).trim_start();
    let text = equals.strip_prefix('=')?.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inner = quote.map_or(text, |quote| text.trim_start_matches(quote));
    // A text of nothing hides nothing.
    let empty = text.len() - inner.len() == 2;
    let places = ["file:", "env:"];
    if empty || inner.is_empty() || places.iter().any(|place| inner.starts_with(place)) {
        return None;
    }
    let start = line.len() - inner.len();
    let stop = match quote {
        Some(quote) => closing(inner, quote),
        None => inner.find([',', '}', ']', '#', ' ', '\t']),
    };
    Some(start..start + stop.unwrap_or(inner.len()))
}

/// Where a quoted text ends: a backslash in double quotes takes the character behind it along.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && quote == '"' && !escaped;
        ends.then_some(at)
    })
}

/// Passwords of URLs: `smtp://user:PASSWORD@host`.
fn passwords(line: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    line.match_indices("://").filter_map(move |(at, mark)| {
        let start = at + mark.len();
        let rest = line.get(start..)?;
        let rest = rest.get(..rest.find(['"', '\'', '/', ' ']).unwrap_or(rest.len()))?;
        let user = rest.get(..rest.rfind('@')?)?;
        let colon = user.find(':')?;
        (colon + 1 < user.len()).then_some(start + colon + 1..start + user.len())
    })
}

/// Long runs of hexadecimal digits in quotes: keys of recordings.
fn digits(line: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    line.split(['"', '\'']).filter_map(move |part| {
        let start = at;
        at += part.len() + 1;
        let key = part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        key.then_some(start..start + part.len())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_stars_and_its_place_is_not() {
        let key = "0123456789abcdef0123456789abcdef";
        let wanted = [
            ("secret = \"hunter2\"", "secret = \"*******\""),
            ("register = { user = \"a\", secret = 'x y', expires = \"1h\" }", ""),
            ("secret = \"file:secrets/A\" # ok", "secret = \"file:secrets/A\" # ok"),
            ("pin = 1234, max = 3", "pin = ****, max = 3"),
            ("moderator_pin = \"77\"", "moderator_pin = \"**\""),
            ("\"secret\" = \"a\\\"b\" # c", "\"secret\" = \"****\" # c"),
            ("secret = \"\"\"open", "secret = \"\"\"****"),
            ("secret = \"日本", "secret = \"＊＊"),
            ("smtp = \"smtp://me:pa:ss@mail.example\"", "smtp = \"smtp://me:*****@mail.example\""),
            ("smtp = \"smtp://127.0.0.1:25\"", "smtp = \"smtp://127.0.0.1:25\""),
            ("secret = \"\" # none", "secret = \"\" # none"),
            ("spinning = \"x\"", "spinning = \"x\""),
            ("secrets = \"x\"", "secrets = \"x\""),
        ];
        for (line, shown) in wanted {
            let shown = if shown.is_empty() {
                "register = { user = \"a\", secret = '***', expires = \"1h\" }"
            } else {
                shown
            };
            assert_eq!(masked_line(line), shown);
        }
        let line = format!("key = \"{key}\"");
        assert_eq!(masked_line(&line), format!("key = \"{}\"", "*".repeat(32)));
    }

    proptest! {
        #[test]
        fn no_secret_is_left_and_every_line_keeps_its_length(
            lead in "[ \\t]{0,4}",
            secret in "[a-z0-9!?%&$日本é]{1,20}",
            tail in ".{0,20}",
        ) {
            prop_assume!(!secret.starts_with("file") && !secret.starts_with("env"));
            for quote in ["\"", "'"] {
                let line = format!("{lead}secret = {quote}{secret}{quote} {tail}");
                let shown = masked_line(&line).into_owned();
                prop_assert_eq!(shown.chars().count(), line.chars().count());
                let value = shown.split(quote).nth(1).unwrap_or_default();
                prop_assert!(value.chars().all(|c| matches!(c, '*' | '＊')), "{}", shown);
            }
        }

        #[test]
        fn any_line_at_all_is_shown(line in ".{0,80}") {
            prop_assert_eq!(masked_line(&line).chars().count(), line.chars().count());
        }
    }
}
