//! What a SUBSCRIBE asks for (RFC 6665, 4.2.1), and why it is refused.

use std::sync::Arc;

use thiserror::Error;

use super::resource_list::Member;
use super::state::Package;
use crate::header::{EventType, split_list};
use crate::{Flow, Header, Message, Response};

/// Whom a subscription is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One resource.
    One {
        /// Its name in this notifier.
        resource: Box<str>,
        /// Its URI in documents.
        entity: Vec<u8>,
    },
    /// A list of resources (RFC 4662).
    List {
        /// The list's URI.
        entity: Vec<u8>,
        /// Its members, as they are now.
        members: Arc<[Member]>,
    },
}

/// A SUBSCRIBE that opens a subscription, with what its server knows about it.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// The request.
    pub message: &'a Message,
    /// Where it came from.
    pub flow: Flow,
    /// Our tag in the response: [`crate::UserAgent::response_tag`].
    pub local_tag: &'a [u8],
    /// Who subscribes, for the bound of subscriptions.
    pub user: &'a str,
    /// Whom it is about.
    pub target: Target,
}

/// Why a SUBSCRIBE is refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A header that is needed cannot be read: 400.
    #[error("the request cannot be read")]
    Malformed,
    /// Its Accept permits none of our bodies: 406.
    #[error("no body of the package is accepted")]
    NotAcceptable,
    /// A list for a phone that knows no lists: 421.
    #[error("lists of resources need eventlist")]
    ListUnsupported,
    /// Too short: 423.
    #[error("the subscription is shorter than {min} s")]
    TooBrief {
        /// Min-Expires.
        min: u32,
    },
    /// No such subscription: 481.
    #[error("no such subscription")]
    Unknown,
    /// No such package: 489.
    #[error("the event package is not served")]
    BadEvent,
    /// An older CSeq than the last: 500 (RFC 3261, 12.2.2).
    #[error("the request is older than the last one")]
    OutOfOrder,
    /// The user has too many, or everybody together: 503.
    #[error("too many subscriptions")]
    TooMany,
}

impl SubscribeError {
    /// The response's status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NotAcceptable => 406,
            Self::ListUnsupported => 421,
            Self::TooBrief { .. } => 423,
            Self::Unknown => 481,
            Self::BadEvent => 489,
            Self::OutOfOrder => 500,
            Self::TooMany => 503,
        }
    }

    /// The response.
    #[must_use]
    pub fn response(self) -> Response {
        let mut response = Response::new(self.status());
        match self {
            Self::TooBrief { min } => {
                response.headers.push(("Min-Expires", min.to_string().into_bytes()));
            }
            Self::BadEvent => {
                let known = Package::ALLOW_EVENTS.as_bytes().to_vec();
                response.headers.push(("Allow-Events", known));
            }
            Self::ListUnsupported => response.headers.push(("Require", b"eventlist".to_vec())),
            Self::TooMany => response.headers.push(("Retry-After", b"60".to_vec())),
            Self::Malformed | Self::NotAcceptable | Self::Unknown | Self::OutOfOrder => {}
        }
        response
    }
}

/// The package that a SUBSCRIBE names.
pub(super) fn package(message: &Message) -> Result<(Package, EventType<'_>), SubscribeError> {
    let event = message.event().ok_or(SubscribeError::BadEvent)?;
    let package = Package::from_name(event.package).ok_or(SubscribeError::BadEvent)?;
    Ok((package, event))
}

/// How long it is to last, in seconds; 0 is a fetch or its end.
pub(super) fn expires(
    message: &Message,
    package: Package,
    min: u32,
    max: u32,
) -> Result<u32, SubscribeError> {
    let Some(value) = message.header(Header::Expires) else {
        return Ok(package.default_expires().min(max));
    };
    let wish = match crate::header::number(value.trim_ascii()) {
        Some(wish) => wish,
        // A number beyond 32 bits is a very long time; anything else is none.
        None if value.iter().all(u8::is_ascii_digit) && !value.is_empty() => u32::MAX,
        None => return Err(SubscribeError::Malformed),
    };
    // RFC 6665, 4.2.1.1: only what is shorter than an hour may be too brief.
    if wish > 0 && wish < min && wish < 3600 {
        return Err(SubscribeError::TooBrief { min });
    }
    Ok(wish.min(max))
}

/// RFC 6665, 4.1.2.1: without Accept the package's own type goes.
pub(super) fn accepts(message: &Message, package: Package, list: bool) -> bool {
    if message.header(Header::Accept).is_none() {
        return true;
    }
    let wanted = if list { "multipart/related" } else { package.content_type() };
    message.headers(Header::Accept).flat_map(split_list).any(|range| {
        let range = range.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let (kind, _) = wanted.split_once('/').unwrap_or_default();
        range == b"*/*"
            || range.eq_ignore_ascii_case(wanted.as_bytes())
            || range
                .strip_suffix(b"/*")
                .is_some_and(|own| own.eq_ignore_ascii_case(kind.as_bytes()))
    })
}
