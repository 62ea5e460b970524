//! `[sip.tls]`: certificates, and whose certificates of others are taken. The files are read here,
//! so that what is wrong with them is said beside the line that names them.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;

use super::file::Base;
use super::reader::{Item, Table};
use crate::transport::certificate::{self, Validity};
use crate::transport::{Tls, TlsMaterial, provider};

/// What became of `[sip.tls]`.
pub(super) enum TlsSection {
    /// There is none.
    Absent,
    /// There is one, and it has been noted what is wrong with it.
    Wrong,
    /// It can be used.
    Ready(Tls),
}

impl TlsSection {
    pub(super) fn is_configured(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Wrong | Self::Ready(_) => true,
        }
    }

    pub(super) fn ready(self) -> Option<Tls> {
        match self {
            Self::Absent | Self::Wrong => None,
            Self::Ready(tls) => Some(tls),
        }
    }
}

pub(super) fn tls(item: Option<Item<'_>>, base: &Base) -> TlsSection {
    let Some(item) = item else { return TlsSection::Absent };
    let Some(table) = item.table() else { return TlsSection::Wrong };
    let certificate = pair(&item, &table, base);
    let names = names(table.item("name"), base);
    let client_ca = anchors(table.item("client_ca"), base);
    let require = table.item("require_client_certificate");
    let require_client_certificate = require.as_ref().and_then(Item::boolean).unwrap_or_default();
    if let (true, None, Some(item)) = (require_client_certificate, &client_ca, &require) {
        item.note::<()>(
            "certificates of clients are required and none can be verified".to_owned(),
            "expected `client_ca` beside it".to_owned(),
        );
    }
    let peer_ca = anchors(table.item("peer_ca"), base);
    let (Some(certificate), Some(names)) = (certificate, names) else { return TlsSection::Wrong };
    let material =
        TlsMaterial { certificate, names, client_ca, require_client_certificate, peer_ca };
    match Tls::new(material) {
        Ok(tls) => TlsSection::Ready(tls),
        Err(why) => {
            item.note_key(format!("`sip.tls` cannot be used: {why}"), String::new());
            TlsSection::Wrong
        }
    }
}

/// `certificate` and `key` of a table.
fn pair(owner: &Item<'_>, table: &Table<'_>, base: &Base) -> Option<Arc<CertifiedKey>> {
    let (certificate, key) = (table.item("certificate"), table.item("key"));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        let hint = "expected `certificate = \"FILE\"` and `key = \"FILE\"`".to_owned();
        owner.note_key(format!("`{}` has no certificate with its key", owner.path), hint);
        return None;
    };
    let (certificate_path, key_path) = (path(&certificate, base)?, path(&key, base)?);
    let provider = provider();
    match certificate::read_pair(&provider, &certificate_path, &key_path) {
        Ok(pair) => {
            warn_of_dates(&certificate, certificate::validity(&provider, &pair, Timestamp::now()));
            Some(pair)
        }
        Err(error) => {
            let item = if error.is_about_key(&key_path) { key } else { certificate };
            item.note(error.to_string(), "expected PEM files that belong together".to_owned())
        }
    }
}

fn warn_of_dates(item: &Item<'_>, validity: Validity) {
    let hint = "renew it, then `koukan ctl reload`";
    let message = match validity {
        Validity::Good => return,
        Validity::Ends(end) => format!("the certificate ends on {end}"),
        Validity::Ended(end) => format!("the certificate ended on {end}: phones will refuse it"),
        Validity::NotYet(begin) => {
            format!("the certificate begins only on {begin}: phones will refuse it")
        }
    };
    item.warn(message, hint.to_owned());
}

/// `[sip.tls.name."sip.example.jp"]`: the certificate for peers that ask for this name.
fn names(item: Option<Item<'_>>, base: &Base) -> Option<Vec<(String, Arc<CertifiedKey>)>> {
    let Some(table) = item.as_ref().and_then(Item::table) else { return Some(Vec::new()) };
    let mut names = Vec::new();
    let mut whole = true;
    for (name, item) in table.entries() {
        let Some(keys) = item.table() else {
            whole = false;
            continue;
        };
        if !is_server_name(name) {
            let hint = "expected a host name, or \"*.\" and a host name".to_owned();
            item.note_key(format!("\"{name}\" is no server name"), hint);
            whole = false;
        }
        match pair(&item, &keys, base) {
            Some(pair) => names.push((name.to_ascii_lowercase(), pair)),
            None => whole = false,
        }
    }
    table.open();
    whole.then_some(names)
}

fn is_server_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn anchors(item: Option<Item<'_>>, base: &Base) -> Option<RootCertStore> {
    let item = item?;
    match certificate::read_anchors(&path(&item, base)?) {
        Ok(anchors) => Some(anchors),
        Err(error) => {
            let hint = "expected a PEM file with the certificates of authorities".to_owned();
            item.note(error.to_string(), hint)
        }
    }
}

fn path(item: &Item<'_>, base: &Base) -> Option<PathBuf> {
    item.parsed("a path", |text| (!text.is_empty()).then(|| base.join(text)))
}
