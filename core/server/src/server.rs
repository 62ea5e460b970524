//! A running server: start in the right order, the threads, and the orderly end.
//!
//! The order is that of what an operator needs to hear first: wrong configuration, data in use,
//! ports in use, then everything that takes its time. The SIP sockets are bound early, so that what
//! phones send meanwhile waits in the kernel instead of being refused.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use jiff::Timestamp;
use koukan_base::{Rng, ShardId};
use koukan_dialplan::Plans;
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{Listener, ListenerId};
use koukan_store::CdrReader;
use koukan_switch::{Directory, ListenerMedia, Switch, SwitchConfig};
use mio::{Poll, Registry, Waker};
use tokio::sync::watch;

use crate::backup::Places;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::control::{Control, ControlHandle, Core, MemoryWatch, Overload, Parts, Request, WAKER};
use crate::explain::{Archive, ArchiveReader, ExplainLog};
use crate::fax::sending::Tray;
use crate::fax::{Faxes, Inbox};
use crate::generations::Generations;
use crate::http::{self, Listeners, ServeError, Service};
use crate::journal::Journal;
use crate::mail::{MailError, Post};
use crate::media::{Media, MediaError};
use crate::module::Loader;
use crate::module::shelf::Shelf;
use crate::modules::{Modules, ModulesError};
use crate::os::{self, DataLock, LockError};
use crate::recordings::{Recordings, Sweeper};
use crate::resolver::{self, NameLookup};
use crate::trace::{Collector, Trace};
use crate::transport::{
    Advertise, BindError, ConnectionLimits, ListenAddress, Tls, Transports, advertised_address,
    advertised_socket,
};
use crate::{api, limits, plans, sounds};

/// Why a server does not start; each names what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `koukan.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] LockError),
    /// A SIP listener.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The control socket or the HTTP port.
    #[error(transparent)]
    Control(#[from] ServeError),
    /// The journal or the database.
    #[error(transparent)]
    Journal(#[from] koukan_store::OpenError),
    /// The media workers.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// `[mail]`.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A module.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// The operating system refused something basic: resource.
    #[error("the operating system refused {what}: {error}")]
    System {
        /// What was asked.
        what: &'static str,
        /// Its words.
        error: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// A server that runs. Dropping it ends it as `stop` does.
#[derive(Debug)]
pub struct RunningServer {
    listeners: Vec<ListenAddress>,
    socket: PathBuf,
    http: Option<SocketAddr>,
    plans: Arc<Plans>,
    report: api::CheckReport,
    control: ControlHandle,
    ended: Receiver<io::Result<()>>,
    end_service: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    _lock: DataLock,
}

/// Starting a server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts a server on a checked configuration; it answers when this returns.
    ///
    /// # Errors
    /// What stands against it; nothing of it runs then.
    pub fn start(config: Config) -> Result<RunningServer, StartError> {
        let lock = DataLock::take(&config.data)?;
        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        os::raise_open_files().map_err(system("more open files"))?;
        let clock = Clock::new();
        let poll = Poll::new().map_err(system("a poll"))?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(system("a waker"))?);
        let registry = poll.registry().try_clone().map_err(system("a poll"))?;
        let (tls, started) = (config.sip.tls.clone(), clock.date());
        let transports = bind(&config, tls, registry)?;
        let sockets = Listeners::bind(&config.control)?;
        let http = sockets.http_address();
        let listeners: Vec<_> = transports.listeners().map(|(_, bound)| bound).collect();

        let Built { core, cdrs, archive, recordings, inbox, tray, modules, directory, report } =
            build(&config, &clock, &transports, &waker)?;
        let (queue, requests) = bounded(limits::CONTROL_QUEUE);
        let handle = ControlHandle::new(queue, waker);
        let control = Control {
            poll,
            transports,
            core,
            requests,
            clock: clock.clone(),
            slowest_turn: Duration::ZERO,
            stopping: None,
            drain: None,
            housekeeping: clock.time(),
            memory: MemoryWatch::default(),
            overload: Overload::new(config.limits.value(limits::OVERLOAD_MS)),
        };
        let (finished, ended) = bounded(1);
        let loop_thread = spawn("control-0", move || {
            // Nobody listens any more when the server is being dropped.
            let _ = finished.send(control.run());
        })?;
        let service = Service {
            control: handle.clone(),
            places: Places::of(&config),
            realm: config.sip.realm.clone(),
            clock,
            test_clock: config.test_clock,
            archive,
            recordings,
            modules,
            faxes: inbox,
            tray,
            cdrs,
            generations: tokio::sync::Mutex::new(Generations::new(Arc::clone(&directory), started)),
            plans_changed: tokio::sync::Notify::new(),
        };
        let lookup = lookup(&config, &listeners);
        // Texts of the dialplan and the rows of the database are read and gone.
        os::trim_memory();
        let (end_service, end) = watch::channel(false);
        let service_thread = spawn("service", move || run_service(sockets, service, lookup, end))?;
        Ok(RunningServer {
            listeners,
            socket: config.control.socket,
            http,
            plans: Arc::clone(&directory.plans),
            report,
            control: handle,
            ended,
            end_service,
            threads: vec![loop_thread, service_thread],
            _lock: lock,
        })
    }
}

/// The heart of a server and what its surroundings know of it.
struct Built {
    core: Core,
    cdrs: Arc<CdrReader>,
    archive: ArchiveReader,
    recordings: Recordings,
    modules: Arc<Loader>,
    inbox: Inbox,
    tray: Tray,
    directory: Arc<Directory>,
    report: api::CheckReport,
}

/// State, plans, media, modules, and the switch over them.
fn build(
    config: &Config,
    clock: &Clock,
    transports: &Transports,
    waker: &Arc<Waker>,
) -> Result<Built, StartError> {
    let (journal, restored) = Journal::open(config, clock)?;
    let cdrs = journal.cdrs();
    let mut outcome = plans::load(&config.directory, &config.sip.realm, clock.date());
    sounds::prepare(&mut outcome, Some(&config.data), None);
    sounds::clean(&outcome, &config.data);
    let report = outcome.report;
    for finding in &report.findings {
        tracing::error!("{finding}");
    }
    let post = config.mail.as_ref().map(|mail| {
        let post = Post::start(mail, clock.clone(), Arc::clone(waker))?;
        Ok::<_, MailError>((post, clock.clone()))
    });
    let notes = restored.notes.clone();
    let shelf = Shelf::new(config.objects.clone(), restored.notes, post.transpose()?);
    let shelf = Arc::new(shelf);
    let recordings = Recordings::new(Arc::clone(&shelf), config.seal_keys.clone());
    let kept = config.objects.join("fax");
    let inbox = Inbox::new(Arc::clone(&shelf), kept, config.fax.spool.clone(), clock.date());
    let kept = (inbox.clone(), Arc::clone(&shelf));
    let faxes = Faxes::start(config.fax.clone(), kept, clock.clone(), Arc::clone(waker));
    let faxes = faxes.map_err(system("what faxes need"))?;
    let tray = faxes.tray();
    let modules = Modules::load(config, Arc::clone(waker), shelf, Some(journal.outbox()))?;
    if !modules.fills_role(ANNOUNCEMENTS) {
        tracing::warn!("no module has role = \"{ANNOUNCEMENTS}\": callers hear none of them");
    }
    if let Some(words) = modules.missing_recorder(&outcome.directory.plans) {
        tracing::warn!("{words}");
    }
    let media = Media::start(config, Arc::clone(waker), modules.taps())?;
    let loader = modules.loader();
    let seed = os::random_seed().map_err(system("randomness"))?;
    let setup = switch_config(config, transports, media.workers(), first_number(clock.date()));
    let directory = Arc::new(outcome.directory);
    let mut switch = Switch::new(setup, Arc::clone(&directory), Rng::from_seed(seed));
    switch.restore_settings(restored.settings);
    switch.restore_charges(restored.charges);
    switch.restore_maintenance(&notes);
    switch.restore_alerts(&notes);
    for (tenant, aside) in switch.settings_aside() {
        tracing::warn!("{}", plans::aside_words(&tenant, &aside));
    }
    let now = clock.now();
    for contact in &restored.contacts {
        switch.restore_contact(now, contact);
    }
    for watch in &restored.watches {
        switch.restore_watch(now, watch);
    }
    let room = config.limits.value(limits::EXPLAIN_BYTES);
    let (explained, archive) = Archive::open(&config.data.join("explain"), room)
        .map_err(system("the archive of explain lines"))?;
    let explain = ExplainLog::new(explained, config.limits.count(limits::EXPLAIN_LINES));
    let core = Core::new(Parts {
        switch,
        media,
        modules,
        journal,
        explain,
        sweeper: Sweeper::start(recordings.clone(), Arc::clone(waker)),
        faxes,
        blocked: config.defence.blocked.clone(),
        trace: trace(config, transports)?,
    });
    Ok(Built { core, cdrs, archive, recordings, inbox, tray, modules: loader, directory, report })
}

impl RunningServer {
    /// Where it listens for SIP, in the order of the configuration.
    #[must_use]
    pub fn listeners(&self) -> &[ListenAddress] {
        &self.listeners
    }

    /// The Unix socket of the control API.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The loopback port of the control API, when there is one.
    #[must_use]
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The plans that it started with.
    #[must_use]
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// What was found in the dialplan; tenants with errors were left out.
    #[must_use]
    pub const fn report(&self) -> &api::CheckReport {
        &self.report
    }

    /// Waits until the control loop has ended by itself or `limit` has passed.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<io::Result<()>> {
        self.ended.recv_timeout(limit).ok()
    }

    /// The way to the control loop, to end it from a signal.
    #[must_use]
    pub fn control(&self) -> ControlHandle {
        self.control.clone()
    }

    /// Ends it: running calls get their BYE, records are written, threads are joined.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // An error means that the loop has ended already.
        let _ = self.control.send(Request::Shutdown);
        let _ = self.end_service.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread ended by a panic");
            }
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(system("a thread"))
}

fn lookup(config: &Config, listeners: &[ListenAddress]) -> NameLookup {
    NameLookup {
        nameservers: config.sip.nameservers.clone(),
        v4: listeners.iter().any(|listener| listener.address.is_ipv4()),
        v6: listeners.iter().any(|listener| listener.address.is_ipv6()),
    }
}

fn run_service(
    sockets: Listeners,
    service: Service,
    lookup: NameLookup,
    end: watch::Receiver<bool>,
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build();
    let outcome = runtime.and_then(|runtime| {
        let service = Arc::new(service);
        // It ends with the runtime.
        drop(runtime.spawn(resolver::run(Arc::clone(&service), lookup)));
        let outcome = runtime.block_on(http::serve(sockets, service, end));
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    });
    if let Err(error) = outcome {
        tracing::error!(%error, "the control API has ended");
    }
}

/// The SIP listeners, behind the networks that nothing is taken from.
fn bind(config: &Config, tls: Option<Tls>, registry: Registry) -> Result<Transports, BindError> {
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
fn trace(config: &Config, transports: &Transports) -> Result<Trace, StartError> {
    let collector = config.hep.map(Collector::open).transpose();
    let collector = collector.map_err(system("a socket for `[trace] hep`"))?;
    let shown = |bound: ListenAddress| {
        advertised_socket(bound.advertise.unwrap_or(config.sip.advertise), bound.address)
    };
    let listeners = transports.listeners().map(|(_, bound)| shown(bound)).collect();
    Ok(Trace::new(config.limits.count(limits::TRACE_BYTES), collector, listeners))
}

/// The first of the numbers that calls and legs get: beyond every one of an earlier start, so that
/// no record of a call takes the place of another's: a life takes less than 128 numbers each
/// millisecond.
fn first_number(date: Timestamp) -> u64 {
    u64::try_from(date.as_millisecond()).unwrap_or(0) << 7
}

fn switch_config(
    config: &Config,
    transports: &Transports,
    workers: u16,
    first_number: u64,
) -> SwitchConfig {
    let listeners: Vec<Listener> = transports
        .listeners()
        .map(|(id, bound)| {
            let shown = bound.advertise.unwrap_or(config.sip.advertise);
            let advertised = advertised_socket(shown, bound.address);
            Listener { id, transport: bound.transport, advertised }
        })
        .collect();
    let media = |v4: bool| media_address(config, transports, v4);
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    SwitchConfig {
        shard: ShardId(0),
        first_number,
        workers,
        media: listener_media(config, transports),
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
        max_calls: config.limits.count(koukan_switch::limits::CALLS),
        rtp_timeout: config.media.rtp_timeout,
        room_part: config.media.room_part,
        interim_cdr: INTERIM_CDR,
    }
}

/// The media address of a family: that of the family's first SIP listener.
fn media_address(config: &Config, transports: &Transports, v4: bool) -> Option<IpAddr> {
    let mut listeners = transports.listeners().map(|(_, bound)| bound);
    let bound = listeners.find(|bound| bound.address.is_ipv4() == v4)?;
    Some(media_bound(config, bound.address.ip()))
}

/// Where media is bound for the peers of each listener, and what they are shown: the set address,
/// else what the listener shows of itself.
fn listener_media(config: &Config, transports: &Transports) -> Vec<ListenerMedia> {
    let media = |(listener, address): (ListenerId, ListenAddress)| {
        let bound = media_bound(config, address.address.ip());
        let set = match config.media.address {
            Advertise::Auto => address.advertise.unwrap_or(config.sip.advertise),
            set @ (Advertise::Address(_) | Advertise::Socket(_)) => set,
        };
        ListenerMedia { listener, bound, shown: advertised_address(set, bound) }
    };
    transports.listeners().map(media).collect()
}

/// Where the media of a listener is bound: to the set address when this machine has it, else where
/// the listener is. A NAT's outside is no address of this machine.
fn media_bound(config: &Config, listener: IpAddr) -> IpAddr {
    let set = advertised_address(config.media.address, listener);
    let is_own = UdpSocket::bind(SocketAddr::new(set, 0)).is_ok();
    if is_own { set } else { advertised_address(Advertise::Auto, listener) }
}

/// The role that the switch has announcements played by.
const ANNOUNCEMENTS: &str = "announcements";

/// A `kill -9` loses at most this much of a running call's duration.
const INTERIM_CDR: Duration = Duration::from_secs(60);
