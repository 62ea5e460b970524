//! Event and Subscription-State (RFC 6665, sections 8.2.1 and 8.2.3).

use super::Params;

/// An event package, and which of several subscriptions to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType<'a> {
    /// The package with its templates (`dialog`, `presence.winfo`).
    pub package: &'a [u8],
    /// The `id` parameter.
    pub id: Option<&'a [u8]>,
    /// Every parameter.
    pub params: Params<'a>,
}

impl<'a> EventType<'a> {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (package, params) = head(value)?;
        Some(Self { package, id: params.value(b"id").filter(|id| !id.is_empty()), params })
    }
}

/// What a Subscription-State says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// The notifier has accepted it.
    Active,
    /// The notifier has not decided.
    Pending,
    /// It is over.
    Terminated,
}

/// A Subscription-State value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// The state; one that we do not know stands as active (RFC 6665, 4.1.3).
    pub status: SubscriptionStatus,
    /// Why it is over.
    pub reason: Option<&'a [u8]>,
    /// Seconds that it still lives.
    pub expires: Option<u32>,
    /// Seconds until a new attempt makes sense.
    pub retry_after: Option<u32>,
}

impl<'a> SubscriptionState<'a> {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (word, params) = head(value)?;
        let status = match word {
            _ if word.eq_ignore_ascii_case(b"terminated") => SubscriptionStatus::Terminated,
            _ if word.eq_ignore_ascii_case(b"pending") => SubscriptionStatus::Pending,
            _ => SubscriptionStatus::Active,
        };
        let number = |name: &[u8]| super::number(params.value(name)?);
        Some(Self {
            status,
            reason: params.value(b"reason").filter(|reason| !reason.is_empty()),
            expires: number(b"expires"),
            retry_after: number(b"retry-after"),
        })
    }
}

/// The word before the first semicolon, and the parameters behind it.
fn head(value: &[u8]) -> Option<(&[u8], Params<'_>)> {
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    let (word, params) = value.split_at_checked(end)?;
    let word = word.trim_ascii();
    let sound = !word.is_empty() && !word.iter().any(u8::is_ascii_whitespace);
    sound.then_some((word, Params::new(params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_keep_their_templates_and_ids() {
        let event = EventType::parse(b"presence.winfo ; id=7;x").unwrap();
        assert_eq!((event.package, event.id), (b"presence.winfo".as_slice(), Some(&b"7"[..])));
        assert!(event.params.has(b"x"));
        assert_eq!(EventType::parse(b"refer").unwrap().id, None);
        assert_eq!(EventType::parse(b";id=7"), None);
        assert_eq!(EventType::parse(b"a b"), None);
    }

    #[test]
    fn a_state_tells_how_long_and_why() {
        let active = SubscriptionState::parse(b"active;expires=600").unwrap();
        assert_eq!((active.status, active.expires), (SubscriptionStatus::Active, Some(600)));
        let over = SubscriptionState::parse(b"terminated;reason=noresource;retry-after=5").unwrap();
        assert_eq!(over.status, SubscriptionStatus::Terminated);
        assert_eq!((over.reason, over.retry_after), (Some(&b"noresource"[..]), Some(5)));
        let new = SubscriptionState::parse(b"suspended").unwrap();
        assert_eq!(new.status, SubscriptionStatus::Active);
    }
}
