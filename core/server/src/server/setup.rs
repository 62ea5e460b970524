//! What the parts of a server are set up with, as `koukan.toml` says it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::{ShardId, Shards};
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{Listener, ListenerId};
use koukan_switch::{ListenerMedia, SwitchConfig, neighbours_listener, neighbours_media};
use mio::Registry;

use super::{StartError, system};
use crate::config::Config;
use crate::limits;
use crate::trace::{Collector, Trace};
use crate::transport::{
    Advertise, BindError, ConnectionLimits, ListenAddress, Tls, Transports, advertised_address,
    advertised_socket,
};

/// The SIP listeners, behind the networks that nothing is taken from.
pub(super) fn bind(
    config: &Config,
    tls: Option<Tls>,
    registry: Registry,
) -> Result<Transports, BindError> {
    let limits = connection_limits(config);
    let mut transports = Transports::bind(&config.sip.listen, limits, tls, registry)?;
    transports.block(config.defence.blocked.clone());
    Ok(transports)
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    let limits = &config.limits;
    let seconds = |limit| Duration::from_secs(limits.value(limit));
    ConnectionLimits {
        connections: limits.count(limits::TCP_CONNECTIONS),
        per_address: limits.count(limits::TCP_CONNECTIONS_PER_ADDRESS),
        message: seconds(limits::TCP_MESSAGE_SECONDS),
        idle: seconds(limits::TCP_IDLE_SECONDS),
        write_bytes: limits.count(limits::TCP_WRITE_BYTES),
        handshake: seconds(limits::TLS_HANDSHAKE_SECONDS),
        handshakes: limits.count(limits::TLS_HANDSHAKES),
    }
}

/// What keeps SIP messages, and who gets a copy.
pub(super) fn trace(
    config: &Config,
    listeners: &[ListenAddress],
    shards: Shards,
) -> Result<Trace, StartError> {
    let collector = config.hep.map(Collector::open).transpose();
    let collector = collector.map_err(system("a socket for `[trace] hep`"))?;
    let shown = |bound: ListenAddress| {
        advertised_socket(bound.advertise.unwrap_or(config.sip.advertise), bound.address)
    };
    let listeners = listeners.iter().copied().map(shown).collect();
    // Each keeps what is said to it.
    let bytes = config.limits.count(limits::TRACE_BYTES) / usize::from(shards.count());
    Ok(Trace::new(bytes, collector, listeners))
}

/// The first of the numbers that calls and legs get: beyond every one of an earlier start, so that
/// no record of a call takes the place of another's: a life takes less than 128 numbers each
/// millisecond.
pub(super) fn first_number(date: Timestamp) -> u64 {
    u64::try_from(date.as_millisecond()).unwrap_or(0) << 7
}

pub(super) fn switch_config(
    config: &Config,
    listening: &[ListenAddress],
    workers: u16,
    (shard, shards): (ShardId, Shards),
    first_number: u64,
) -> SwitchConfig {
    let listeners: Vec<Listener> = numbered(listening)
        .map(|(id, bound)| {
            let shown = bound.advertise.unwrap_or(config.sip.advertise);
            let advertised = advertised_socket(shown, bound.address);
            Listener { id, transport: bound.transport, advertised }
        })
        .collect();
    let mut media_of = listener_media(config, listening);
    let mut listeners = listeners;
    if !shards.is_one() {
        listeners.push(neighbours_listener());
        media_of.push(neighbours_media());
    }
    let media = |v4: bool| media_address(config, listening, v4);
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    SwitchConfig {
        shard,
        // Whatever bears a number of the switch bears its shard, too: applications, faxes.
        first_number: u64::from(shard.0) << 48 | first_number,
        workers,
        media: media_of,
        media_v4: media(true),
        media_v6: media(false),
        codecs: config.media.codecs.clone(),
        listeners,
        recordings: config.objects.join("recording"),
        seals_recordings: config.seal_key.is_some(),
        realm: config.sip.realm.clone(),
        server_name: concat!("Koukan/", env!("CARGO_PKG_VERSION")).to_owned(),
        registrar: RegistrarConfig {
            min_expires: seconds(config.sip.min_expires),
            max_expires: seconds(config.sip.max_expires),
            default_expires: seconds(config.sip.default_expires),
            flow_timer: seconds(config.sip.flow_timer),
            keepalive: config.sip.keepalive,
        },
        trusted: config.defence.trusted.clone(),
        // Each has its share, and the whole server no more than it may.
        max_calls: config
            .limits
            .count(koukan_switch::limits::CALLS)
            .div_ceil(usize::from(shards.count())),
        rtp_timeout: config.media.rtp_timeout,
        room_part: config.media.room_part,
        interim_cdr: INTERIM_CDR,
    }
}

/// The media address of a family: that of the family's first SIP listener.
fn media_address(config: &Config, listening: &[ListenAddress], v4: bool) -> Option<IpAddr> {
    let bound = listening.iter().find(|bound| bound.address.is_ipv4() == v4)?;
    Some(media_bound(config, bound.address.ip()))
}

/// Where media is bound for the peers of each listener, and what they are shown: the set address,
/// else what the listener shows of itself.
fn listener_media(config: &Config, listening: &[ListenAddress]) -> Vec<ListenerMedia> {
    let media = |(listener, address): (ListenerId, ListenAddress)| {
        let bound = media_bound(config, address.address.ip());
        let set = match config.media.address {
            Advertise::Auto => address.advertise.unwrap_or(config.sip.advertise),
            set @ (Advertise::Address(_) | Advertise::Socket(_)) => set,
        };
        ListenerMedia { listener, bound, shown: advertised_address(set, bound) }
    };
    numbered(listening).map(media).collect()
}

/// Where the media of a listener is bound: to the set address when this machine has it, else where
/// the listener is. A NAT's outside is no address of this machine.
fn media_bound(config: &Config, listener: IpAddr) -> IpAddr {
    let set = advertised_address(config.media.address, listener);
    let is_own = UdpSocket::bind(SocketAddr::new(set, 0)).is_ok();
    if is_own { set } else { advertised_address(Advertise::Auto, listener) }
}

/// The listeners with their numbers.
fn numbered(listening: &[ListenAddress]) -> impl Iterator<Item = (ListenerId, ListenAddress)> + '_ {
    (0..).map(ListenerId).zip(listening.iter().copied())
}

/// A `kill -9` loses at most this much of a running call's duration.
const INTERIM_CDR: Duration = Duration::from_secs(60);
