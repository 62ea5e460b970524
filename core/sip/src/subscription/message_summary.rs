//! The `message-summary` package (RFC 3842): whether messages wait, and how many.

use super::state::Package;
use crate::{Body, Flow, Method, Request};

/// Messages of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCount {
    /// Not heard yet.
    pub new: u32,
    /// Heard and kept.
    pub old: u32,
    /// Urgent ones among the new.
    pub new_urgent: u32,
    /// Urgent ones among the old.
    pub old_urgent: u32,
}

/// What a mailbox holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageSummary {
    /// The URI that a phone calls to hear them.
    pub account: Option<Vec<u8>>,
    /// Voice messages.
    pub voice: MessageCount,
    /// Faxes, when the mailbox takes any.
    pub fax: Option<MessageCount>,
}

impl MessageSummary {
    /// The body.
    pub(super) fn render(&self) -> Vec<u8> {
        let waits = self.voice.new > 0 || self.fax.is_some_and(|fax| fax.new > 0);
        let mut text = format!("Messages-Waiting: {}\r\n", if waits { "yes" } else { "no" });
        if let Some(account) = &self.account {
            let line: String = String::from_utf8_lossy(account)
                .chars()
                .filter(|letter| !letter.is_control())
                .collect();
            text.push_str(&format!("Message-Account: {line}\r\n"));
        }
        let mut count = |kind: &str, count: MessageCount| {
            let MessageCount { new, old, new_urgent, old_urgent } = count;
            text.push_str(&format!("{kind}: {new}/{old} ({new_urgent}/{old_urgent})\r\n"));
        };
        count("Voice-Message", self.voice);
        if let Some(fax) = self.fax {
            count("Fax-Message", fax);
        }
        text.into_bytes()
    }
}

/// A NOTIFY for a phone that never subscribed, as RFC 3842 does not have it and many phones want
/// it: outside any dialog, to a registered contact.
#[must_use]
pub fn unsolicited(
    flow: Flow,
    contact: &[u8],
    path: &[Vec<u8>],
    identity: &[u8],
    summary: &MessageSummary,
) -> Request {
    Request {
        method: Method::Notify,
        flow,
        request_uri: contact.to_vec(),
        from: identity.to_vec(),
        to: identity.to_vec(),
        route: path.to_vec(),
        max_forwards: 70,
        headers: vec![
            ("Event", Package::MessageSummary.name().as_bytes().to_vec()),
            ("Subscription-State", b"active".to_vec()),
        ],
        body: Some(Body {
            content_type: Package::MessageSummary.content_type(),
            bytes: summary.render(),
        }),
        credentials: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_waits() {
        let voice = MessageCount { new: 2, old: 8, old_urgent: 2, ..MessageCount::default() };
        let account = Some(b"sip:*97@example.jp\r\nX: y".to_vec());
        let summary = MessageSummary { account, voice, fax: None };
        assert_eq!(
            summary.render(),
            b"Messages-Waiting: yes\r\nMessage-Account: sip:*97@example.jpX: y\r\n\
              Voice-Message: 2/8 (0/2)\r\n"
        );
        let fax = Some(MessageCount::default());
        let empty = MessageSummary { fax, ..MessageSummary::default() };
        assert_eq!(
            empty.render(),
            b"Messages-Waiting: no\r\nVoice-Message: 0/0 (0/0)\r\nFax-Message: 0/0 (0/0)\r\n"
        );
    }
}
