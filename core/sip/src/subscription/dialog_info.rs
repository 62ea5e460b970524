//! The `dialog` package (RFC 4235): what a line is doing, for lamps and pickup. Always full state.

use super::xml::{push_attribute, push_text};

/// Who began a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogDirection {
    /// The watched party calls.
    Initiator,
    /// It is called.
    Recipient,
}

/// How far a dialog is (RFC 4235, 3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogState {
    /// An INVITE was sent.
    Trying,
    /// A provisional response without a tag came.
    Proceeding,
    /// It rings.
    Early,
    /// It is answered.
    Confirmed,
    /// It is over.
    Terminated,
}

impl DialogState {
    const fn name(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Proceeding => "proceeding",
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }
}

/// One side of a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// The name shown; bytes of any character set, sent when they are UTF-8.
    pub display: Vec<u8>,
    /// Who it is, a URI.
    pub identity: Vec<u8>,
    /// Where it is reached, a URI.
    pub target: Vec<u8>,
}

/// One dialog of the watched party. Call-ID and tags are what a pickup puts into Replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogInfo {
    /// Its name among the watched party's dialogs.
    pub id: Vec<u8>,
    /// The Call-ID.
    pub call_id: Option<Vec<u8>>,
    /// The tag of the watched party.
    pub local_tag: Option<Vec<u8>>,
    /// The tag of the other.
    pub remote_tag: Option<Vec<u8>>,
    /// Who began it.
    pub direction: DialogDirection,
    /// How far it is.
    pub state: DialogState,
    /// The watched party.
    pub local: Participant,
    /// The other.
    pub remote: Participant,
}

/// The document of one NOTIFY.
pub(super) fn render(dialogs: &[DialogInfo], entity: &[u8], version: u32) -> Vec<u8> {
    let mut out = String::with_capacity(256 + dialogs.len() * 640);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
    out.push_str("<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"");
    out.push_str(&format!(" version=\"{version}\" state=\"full\""));
    push_attribute(&mut out, "entity", entity);
    out.push_str(">\r\n");
    for dialog in dialogs {
        push_dialog(&mut out, dialog);
    }
    out.push_str("</dialog-info>\r\n");
    out.into_bytes()
}

fn push_dialog(out: &mut String, dialog: &DialogInfo) {
    out.push_str("<dialog");
    push_attribute(out, "id", &dialog.id);
    let named = [
        ("call-id", &dialog.call_id),
        ("local-tag", &dialog.local_tag),
        ("remote-tag", &dialog.remote_tag),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            push_attribute(out, name, value);
        }
    }
    let direction = match dialog.direction {
        DialogDirection::Initiator => "initiator",
        DialogDirection::Recipient => "recipient",
    };
    push_attribute(out, "direction", direction.as_bytes());
    out.push_str(&format!(">\r\n<state>{}</state>\r\n", dialog.state.name()));
    push_participant(out, "local", &dialog.local);
    push_participant(out, "remote", &dialog.remote);
    out.push_str("</dialog>\r\n");
}

fn push_participant(out: &mut String, side: &str, participant: &Participant) {
    if participant.identity.is_empty() && participant.target.is_empty() {
        return;
    }
    out.push_str(&format!("<{side}>"));
    if !participant.identity.is_empty() {
        out.push_str("<identity");
        if !participant.display.is_empty() && std::str::from_utf8(&participant.display).is_ok() {
            push_attribute(out, "display", &participant.display);
        }
        out.push('>');
        push_text(out, &participant.identity);
        out.push_str("</identity>");
    }
    if !participant.target.is_empty() {
        out.push_str("<target");
        push_attribute(out, "uri", &participant.target);
        out.push_str("/>");
    }
    out.push_str(&format!("</{side}>\r\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ringing() -> DialogInfo {
        DialogInfo {
            id: b"d1".to_vec(),
            call_id: Some(b"c<1>@x".to_vec()),
            local_tag: Some(b"l".to_vec()),
            remote_tag: None,
            direction: DialogDirection::Recipient,
            state: DialogState::Early,
            local: Participant { identity: b"sip:801@a".to_vec(), ..Participant::default() },
            remote: Participant {
                display: "\u{6f22}\u{5b57} & co".as_bytes().to_vec(),
                identity: b"sip:0312@a".to_vec(),
                target: b"sip:0312@192.0.2.1;x=\"1\"".to_vec(),
            },
        }
    }

    #[test]
    fn a_ringing_line_shows_what_a_pickup_needs() {
        let body = String::from_utf8(render(&[ringing()], b"sip:801@a", 7)).unwrap();
        assert_eq!(
            body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<dialog-info \
             xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" state=\"full\" \
             entity=\"sip:801@a\">\r\n<dialog id=\"d1\" call-id=\"c&lt;1&gt;@x\" local-tag=\"l\" \
             direction=\"recipient\">\r\n<state>early</state>\r\n<local><identity>sip:801@a\
             </identity></local>\r\n<remote><identity display=\"\u{6f22}\u{5b57} &amp; co\">\
             sip:0312@a</identity><target uri=\"sip:0312@192.0.2.1;x=&quot;1&quot;\"/></remote>\r\n\
             </dialog>\r\n</dialog-info>\r\n"
        );
    }

    #[test]
    fn an_idle_line_is_an_empty_document_and_odd_names_are_left_out() {
        let body = String::from_utf8(render(&[], b"sip:801@a", 0)).unwrap();
        assert!(body.ends_with("entity=\"sip:801@a\">\r\n</dialog-info>\r\n"));
        let mut dialog = ringing();
        dialog.remote.display = b"\x8a\xbf\x8e\x9a".to_vec();
        let body = String::from_utf8(render(&[dialog], b"", 0)).unwrap();
        assert!(body.contains("<identity>sip:0312@a</identity>"));
    }
}
