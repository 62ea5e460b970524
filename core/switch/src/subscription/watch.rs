//! A subscription as the journal keeps it (RFC 6665, 4.2.2: tags, CSeq and version go on after a
//! restart, never back).

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use koukan_sip::subscription::{Member, Package, SubscriptionRecord, Target};
use koukan_sip::{Flow, ListenerId, Transport};
use serde::{Deserialize, Serialize};

use crate::action::Now;
use crate::registration::{date_of, text};

/// A subscription of a phone. Bytes that are not UTF-8 are replaced: what dialogs are told apart by
/// is ASCII.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Our tag, which does not repeat.
    pub key: String,
    /// The event package.
    pub package: String,
    /// The `id` parameter of its Event header.
    pub event_id: Option<String>,
    /// Who subscribed.
    pub user: String,
    /// The URI that documents name.
    pub entity: String,
    /// What is watched: resource, URI and name of each; one without a name, unless it is a list.
    pub members: Vec<(String, String, String)>,
    /// Whether it is a list.
    pub list: bool,
    /// The dialog's Call-ID.
    pub call_id: String,
    /// The subscriber's tag.
    pub remote_tag: String,
    /// Our name-addr.
    pub local: String,
    /// The subscriber's, with its tag.
    pub remote: String,
    /// The subscriber's Contact.
    pub remote_target: String,
    /// The route set, topmost first.
    pub routes: Vec<String>,
    /// `udp`, `tcp`, `tls`.
    pub transport: String,
    /// The listener's number in the configuration.
    pub listener: u16,
    /// Where the subscriber is.
    pub source: SocketAddr,
    /// The subscriber's last CSeq.
    pub remote_cseq: u32,
    /// No NOTIFY so far had a higher CSeq or version.
    pub reserved: u32,
    /// When it ends.
    pub expires: Timestamp,
}

pub(crate) fn stored(now: Now, record: &SubscriptionRecord) -> Watch {
    let (entity, members, list) = match &record.target {
        Target::One { resource, entity } => {
            (entity, vec![(resource.to_string(), String::new(), String::new())], false)
        }
        Target::List { entity, members } => {
            let member = |m: &Member| (m.resource.to_string(), text(&m.uri), text(&m.name));
            (entity, members.iter().map(member).collect(), true)
        }
    };
    Watch {
        key: text(&record.local_tag),
        package: record.package.name().to_owned(),
        event_id: record.event_id.as_deref().map(text),
        user: record.user.to_string(),
        entity: text(entity),
        members,
        list,
        call_id: text(&record.call_id),
        remote_tag: text(&record.remote_tag),
        local: text(&record.local),
        remote: text(&record.remote),
        remote_target: text(&record.remote_target),
        routes: record.routes.iter().map(|route| text(route)).collect(),
        transport: record.flow.transport.param_name().to_owned(),
        listener: record.flow.listener.0,
        source: record.flow.remote,
        remote_cseq: record.remote_cseq,
        reserved: record.reserved,
        expires: date_of(now, record.expires),
    }
}

/// `None` when it has ended, or when a later version wrote what this one does not know.
pub(crate) fn restored(now: Now, watch: &Watch) -> Option<SubscriptionRecord> {
    let left = Duration::try_from(watch.expires.duration_since(now.date)).ok()?;
    let bytes = |text: &String| text.clone().into_bytes();
    let entity = bytes(&watch.entity);
    let target = if watch.list {
        let member = |(resource, uri, name): &(String, String, String)| Member {
            resource: resource.as_str().into(),
            uri: bytes(uri),
            name: bytes(name),
        };
        Target::List { entity, members: watch.members.iter().map(member).collect() }
    } else {
        Target::One { resource: watch.members.first()?.0.as_str().into(), entity }
    };
    let transport = match watch.transport.as_str() {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => Transport::Udp,
    };
    Some(SubscriptionRecord {
        package: Package::from_name(watch.package.as_bytes())?,
        event_id: watch.event_id.as_ref().map(bytes),
        user: watch.user.as_str().into(),
        target,
        call_id: bytes(&watch.call_id),
        local_tag: bytes(&watch.key),
        remote_tag: bytes(&watch.remote_tag),
        local: bytes(&watch.local),
        remote: bytes(&watch.remote),
        remote_target: bytes(&watch.remote_target),
        routes: watch.routes.iter().map(bytes).collect(),
        // A connection does not survive the process; the phone's own address is tried anew.
        flow: Flow {
            transport,
            listener: ListenerId(watch.listener),
            remote: watch.source,
            connection: 0,
        },
        remote_cseq: watch.remote_cseq,
        reserved: watch.reserved,
        expires: now.time + left,
    })
}
