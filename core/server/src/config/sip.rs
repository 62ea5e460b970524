//! `[sip]`: listeners, registrations, keep-alives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use koukan_sip::Transport;
use koukan_sip::registrar::{KeepaliveBy, KeepaliveConfig, KeepaliveTo};

use super::SipConfig;
use super::file::Base;
use super::reader::{Item, Table};
use super::tls::tls;
use crate::transport::{Advertise, ListenAddress};

pub(super) fn sip(table: &Table<'_>, base: &Base) -> SipConfig {
    let tls = tls(table.item("tls"), base);
    let listen = table.item("listen").map_or_else(default_listen, |item| {
        let entries = item.list().unwrap_or_default();
        if entries.is_empty() {
            item.note::<()>("`sip.listen` is empty".to_owned(), "expected at least one".to_owned());
        }
        entries.iter().filter_map(|entry| listen_entry(entry, tls.is_configured())).collect()
    });
    let seconds = |key, default| {
        let item = table.item(key).and_then(|item| item.duration(1..=86_400));
        item.unwrap_or(Duration::from_secs(default))
    };
    let (min_expires, max_expires) = (seconds("min_expires", 60), seconds("max_expires", 3_600));
    let default_expires = seconds("default_expires", 3_600).max(min_expires).min(max_expires);
    if min_expires > max_expires
        && let Some(item) = table.item("min_expires")
    {
        let message = "`sip.min_expires` is longer than `sip.max_expires`".to_owned();
        item.note::<()>(message, format!("expected at most {}s", max_expires.as_secs()));
    }
    let realm = table.item("realm").and_then(|item| {
        let plain = |text: &str| {
            let fits = text.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\'));
            (fits && !text.is_empty()).then(|| text.to_owned())
        };
        item.parsed("a text without quotes and backslashes", plain)
    });
    SipConfig {
        listen,
        advertise: advertise(table.item("advertise")),
        tls: tls.ready(),
        realm: realm.unwrap_or_else(|| "koukan".to_owned()),
        min_expires,
        max_expires,
        default_expires,
        flow_timer: seconds("flow_timer", 120),
        keepalive: keepalive(&table.table("keepalive")),
        nameservers: nameservers(table.item("nameservers")),
    }
}

/// `["192.0.2.53", "[2001:db8::53]:5353"]`
fn nameservers(item: Option<Item<'_>>) -> Vec<SocketAddr> {
    let entries = item.and_then(|item| item.list()).unwrap_or_default();
    let parse = |text: &str| {
        let alone = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
        text.parse().ok().or_else(alone)
    };
    let read = |entry: &Item<'_>| entry.parsed("the address of a name server", parse);
    entries.iter().filter_map(read).collect()
}

/// `[sip.keepalive]`.
fn keepalive(table: &Table<'_>) -> KeepaliveConfig {
    let default = KeepaliveConfig::default();
    let to = table.item("to").and_then(|item| {
        item.parsed("\"nat\", \"all\" or \"none\"", |text| match text {
            "nat" => Some(KeepaliveTo::Nat),
            "all" => Some(KeepaliveTo::All),
            "none" => Some(KeepaliveTo::None),
            _ => None,
        })
    });
    let by = table.item("by").and_then(|item| {
        item.parsed("\"options\" or \"crlf\"", |text| match text {
            "options" => Some(KeepaliveBy::Options),
            "crlf" => Some(KeepaliveBy::LineEnds),
            _ => None,
        })
    });
    let interval = table.item("interval").and_then(|item| item.duration(5..=3_600));
    let misses = table.item("misses").and_then(|item| item.integer(1..=100));
    KeepaliveConfig {
        to: to.unwrap_or(default.to),
        by: by.unwrap_or(default.by),
        interval: interval.unwrap_or(default.interval),
        misses: misses.and_then(|misses| u32::try_from(misses).ok()).unwrap_or(default.misses),
    }
}

fn default_listen() -> Vec<ListenAddress> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5060);
    [Transport::Udp, Transport::Tcp].map(|transport| ListenAddress::new(transport, address)).into()
}

/// `"udp:0.0.0.0:5060"`, or `{ at = "udp:0.0.0.0:5060", advertise = "203.0.113.7" }`.
fn listen_entry(item: &Item<'_>, certificate: bool) -> Option<ListenAddress> {
    if !item.is_table() {
        return listen_address(item, certificate);
    }
    let keys = item.table()?;
    let Some(at) = keys.item("at") else {
        return item.note(
            "a listener without `at`".to_owned(),
            "expected { at = \"udp:ADDRESS:PORT\", advertise = \"ADDRESS\" }".to_owned(),
        );
    };
    let advertise = keys.item("advertise");
    let listener = listen_address(&at, certificate)?;
    Some(ListenAddress { advertise: advertise.and_then(|item| shown(&item, listener)), ..listener })
}

fn listen_address(item: &Item<'_>, certificate: bool) -> Option<ListenAddress> {
    let listener = item.parsed("\"udp:\", \"tcp:\" or \"tls:\" and ADDRESS:PORT", |text| {
        let (transport, address) = text.split_once(':')?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return None,
        };
        address.parse().ok().map(|address| ListenAddress::new(transport, address))
    })?;
    if listener.transport == Transport::Tls && !certificate {
        let hint = "expected [sip.tls] with `certificate` and `key`".to_owned();
        return item.note("a TLS listener needs a certificate".to_owned(), hint);
    }
    Some(listener)
}

/// What one listener shows: an address of its own family, with a port when it is another one.
fn shown(item: &Item<'_>, listener: ListenAddress) -> Option<Advertise> {
    let shown = item.parsed("\"auto\", an address, or an address with a port", parse)?;
    let family = match shown {
        Advertise::Auto => return Some(shown),
        Advertise::Address(address) => address.is_ipv4(),
        Advertise::Socket(address) => address.is_ipv4(),
    };
    if family == listener.address.is_ipv4() {
        return Some(shown);
    }
    let wanted = if listener.address.is_ipv4() { "IPv4" } else { "IPv6" };
    let message = "an address of another family than the listener's".to_owned();
    item.note(message, format!("expected an {wanted} address"))
}

fn parse(text: &str) -> Option<Advertise> {
    if text == "auto" {
        return Some(Advertise::Auto);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return (!address.is_unspecified()).then_some(Advertise::Address(address));
    }
    let fits = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
    text.parse().ok().filter(fits).map(Advertise::Socket)
}

pub(super) fn advertise(item: Option<Item<'_>>) -> Advertise {
    item.and_then(|item| {
        item.parsed("\"auto\" or an address", |text| {
            parse(text).filter(|shown| !matches!(shown, Advertise::Socket(_)))
        })
    })
    .unwrap_or_default()
}
