//! Named limits: each bound has a name (those that the server lists can be set under `[limits]`), a
//! default, a permitted range and the reason why it stands there.

/// A bound with its name and its reason. Crates list theirs in `limits.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, the key under `[limits]` where it can be set.
    pub name: &'static str,
    /// The value when nobody sets it.
    pub default: u64,
    /// The least value that may be set.
    pub min: u64,
    /// The greatest value that may be set.
    pub max: u64,
    /// Why there is a bound, in one sentence for the admin.
    pub why: &'static str,
}

/// A value outside a limit's permitted range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {} must lie between {} and {}, not {value}", limit.name, limit.min, limit.max)]
pub struct LimitError {
    /// The limit that was to be set.
    pub limit: Limit,
    /// The value that was refused.
    pub value: u64,
}

impl Limit {
    /// `value` when the limit permits it.
    ///
    /// # Errors
    /// The value lies outside `min..=max`: a configuration error.
    pub const fn checked(self, value: u64) -> Result<u64, LimitError> {
        if value < self.min || value > self.max {
            return Err(LimitError { limit: self, value });
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_permits_its_ends_and_nothing_beyond() {
        let limit = Limit { name: "legs", default: 3, min: 2, max: 9, why: "memory" };
        assert_eq!(limit.checked(2), Ok(2));
        assert_eq!(limit.checked(9), Ok(9));
        assert!(limit.checked(1).is_err());
        let error = limit.checked(10).expect_err("10 is above 9");
        assert_eq!(error.to_string(), "limit legs must lie between 2 and 9, not 10");
    }
}
