//! Classes of outside numbers: exact, or by longest prefix and digit count, with dates of validity.

use std::sync::Arc;

use jiff::civil::Date;

/// One rule of a class.
#[derive(Clone, Debug, Default)]
pub struct ClassRule {
    /// The class's name.
    pub class: Arc<str>,
    /// Numbers that belong to it as they are.
    pub exact: Vec<Arc<str>>,
    /// Beginnings that belong to it.
    pub prefix: Vec<Arc<str>>,
    /// How many digits such a number has.
    pub digits: Option<usize>,
    /// The first day on which it is valid.
    pub valid_from: Option<Date>,
    /// The last day on which it is valid.
    pub valid_until: Option<Date>,
}

/// The class of a number on a day: an exact match, else the longest prefix with the right count.
#[must_use]
pub(crate) fn class_of<'r>(
    rules: &'r [ClassRule],
    number: &str,
    day: Date,
) -> Option<&'r Arc<str>> {
    let valid = |rule: &&ClassRule| {
        rule.valid_from.is_none_or(|from| from <= day)
            && rule.valid_until.is_none_or(|until| day <= until)
    };
    let rules = || rules.iter().filter(valid);
    if let Some(rule) = rules().find(|rule| rule.exact.iter().any(|exact| **exact == *number)) {
        return Some(&rule.class);
    }
    rules()
        .filter(|rule| rule.digits.is_none_or(|digits| digits == number.len()))
        .flat_map(|rule| rule.prefix.iter().map(move |prefix| (prefix, rule)))
        .filter(|(prefix, _)| number.starts_with(&***prefix))
        .max_by_key(|(prefix, rule)| (prefix.len(), rule.digits.is_some()))
        .map(|(_, rule)| &rule.class)
}
