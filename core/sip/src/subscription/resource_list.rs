//! Lists of resources (RFC 4662): one subscription for all lamps of a phone. A NOTIFY carries
//! `rlmi+xml` and the documents of those members that have changed, in `multipart/related`.

use std::sync::Arc;

use super::state::State;
use super::xml::{push_attribute, push_text};
use crate::Body;

/// One member of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The resource's name in this notifier.
    pub resource: Box<str>,
    /// Its URI, as the phone knows it.
    pub uri: Vec<u8>,
    /// The name shown; empty for none.
    pub name: Vec<u8>,
}

/// Stands before every part. No line of a document begins with it: what others wrote holds no line
/// ends any more.
const BOUNDARY: &str = "koukan-part-of-list";
const CONTENT_TYPE: &str = "multipart/related;type=\"application/rlmi+xml\";\
    start=\"<rlmi@koukan>\";boundary=\"koukan-part-of-list\"";

/// Bytes of documents in one NOTIFY; what does not fit goes with the next one.
const DOCUMENT_BYTES: usize = 24_000;

/// A member's place in its list and what is known of it.
pub(super) struct Entry<'a> {
    pub(super) index: u16,
    pub(super) member: &'a Member,
    /// Named without a document when `None`: nothing is known yet, or nothing is new.
    pub(super) state: Option<&'a Arc<State>>,
}

/// The body of one NOTIFY, and the members whose documents did not fit.
pub(super) fn render(
    list: &[u8],
    version: u32,
    full: bool,
    entries: &[Entry<'_>],
) -> (Body, Vec<u16>) {
    let mut index = String::with_capacity(512);
    index.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
    index.push_str("<list xmlns=\"urn:ietf:params:xml:ns:rlmi\"");
    push_attribute(&mut index, "uri", list);
    index.push_str(&format!(" version=\"{version}\" fullState=\"{full}\">\r\n"));
    let (mut parts, mut left) = (Vec::new(), Vec::new());
    for entry in entries {
        index.push_str("<resource");
        push_attribute(&mut index, "uri", &entry.member.uri);
        index.push('>');
        if !entry.member.name.is_empty() {
            index.push_str("<name>");
            push_text(&mut index, &entry.member.name);
            index.push_str("</name>");
        }
        if let Some(state) = entry.state {
            if parts.len() < DOCUMENT_BYTES {
                let (place, id) = (entry.index, "active");
                index.push_str(&format!(
                    "<instance id=\"{place}\" state=\"{id}\" cid=\"{place}@koukan\"/>"
                ));
                push_part(&mut parts, place, state, &entry.member.uri, version);
            } else {
                left.push(entry.index);
            }
        }
        index.push_str("</resource>\r\n");
    }
    index.push_str("</list>\r\n");
    let mut bytes = part_head("rlmi@koukan", "application/rlmi+xml;charset=\"UTF-8\"").into_bytes();
    bytes.extend_from_slice(index.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.append(&mut parts);
    bytes.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (Body { content_type: CONTENT_TYPE, bytes }, left)
}

fn push_part(parts: &mut Vec<u8>, place: u16, state: &State, entity: &[u8], version: u32) {
    let head = part_head(&format!("{place}@koukan"), state.package().content_type());
    parts.extend_from_slice(head.as_bytes());
    parts.extend_from_slice(&state.render(entity, version));
    parts.extend_from_slice(b"\r\n");
}

fn part_head(id: &str, content_type: &str) -> String {
    format!(
        "--{BOUNDARY}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{id}>\r\n\
         Content-Type: {content_type}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::MessageSummary;

    fn member(number: u16) -> Member {
        let uri = format!("sip:{number}@a").into_bytes();
        Member { resource: number.to_string().into(), uri, name: b"<A>".to_vec() }
    }

    #[test]
    fn a_list_names_its_members_and_holds_the_documents_that_are_new() {
        let state = Arc::new(State::Messages(MessageSummary::default()));
        let members = [member(801), member(802)];
        let entries = [
            Entry { index: 0, member: &members[0], state: Some(&state) },
            Entry { index: 1, member: &members[1], state: None },
        ];
        let (body, left) = render(b"sip:lamps@a", 3, true, &entries);
        let text = String::from_utf8(body.bytes).unwrap();
        assert!(left.is_empty());
        assert_eq!(text.matches("\r\n--koukan-part-of-list").count(), 2);
        assert!(text.contains(
            "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:lamps@a\" version=\"3\" \
             fullState=\"true\">\r\n<resource uri=\"sip:801@a\"><name>&lt;A&gt;</name>\
             <instance id=\"0\" state=\"active\" cid=\"0@koukan\"/></resource>\r\n\
             <resource uri=\"sip:802@a\"><name>&lt;A&gt;</name></resource>\r\n</list>"
        ));
        assert!(text.contains(
            "Content-ID: <0@koukan>\r\nContent-Type: application/simple-message-summary\r\n\r\n\
             Messages-Waiting: no"
        ));
        assert!(text.ends_with("\r\n--koukan-part-of-list--\r\n"));
    }

    #[test]
    fn documents_beyond_the_bound_wait_for_the_next_notify() {
        let account = Some(vec![b'a'; 2000]);
        let summary = MessageSummary { account, ..MessageSummary::default() };
        let state = Arc::new(State::Messages(summary));
        let members: Vec<Member> = (0..40).map(member).collect();
        let entries: Vec<Entry<'_>> = members
            .iter()
            .zip(0..)
            .map(|(member, index)| Entry { index, member, state: Some(&state) })
            .collect();
        let (body, left) = render(b"sip:l@a", 0, true, &entries);
        assert!(body.bytes.len() < 40_000);
        assert_eq!(left.first().copied(), Some(11));
        assert_eq!(left.len(), 29);
    }
}
