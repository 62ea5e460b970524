//! A running server: start in the right order, the threads, and the orderly end.
//!
//! The order is that of what an operator needs to hear first: wrong configuration, data in use,
//! ports in use, then everything that takes its time. The SIP sockets are bound early, so that what
//! phones send meanwhile waits in the kernel instead of being refused.

mod build;
mod setup;
mod shards;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use koukan_base::{COMMON_SHARD, Shards};
use koukan_dialplan::Plans;
use koukan_store::CdrReader;
use koukan_switch::Directory;
use mio::{Poll, Waker};
use tokio::sync::watch;

use self::build::{Builder, Common};
use self::setup::bind;
use crate::backup::Places;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::control::fleet::Fleet;
use crate::control::handle::Line;
use crate::control::hosted::Apps;
use crate::control::link::Wires;
use crate::control::{Control, ControlHandle, Core, MemoryWatch, Overload, Request, WAKER};
use crate::explain::{Archive, ArchiveReader};
use crate::fax::Inbox;
use crate::fax::sending::Tray;
use crate::generations::Generations;
use crate::http::{self, Listeners, ServeError, Service};
use crate::journal::SharedJournal;
use crate::mail::MailError;
use crate::media::MediaError;
use crate::module::Loader;
use crate::modules::ModulesError;
use crate::os::{self, DataLock, LockError};
use crate::recordings::Recordings;
use crate::resolver::{self, NameLookup};
use crate::transport::{BindError, ListenAddress, Transports};
use crate::{api, limits};

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
    threads: Threads,
    service: Option<JoinHandle<()>>,
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
        let own = Loop::new()?;
        let registry = own.poll.registry().try_clone().map_err(system("a poll"))?;
        let (tls, started) = (config.sip.tls.clone(), clock.date());
        let transports = bind(&config, tls, registry)?;
        let sockets = Listeners::bind(&config.control)?;
        let http = sockets.http_address();
        let listeners: Vec<_> = transports.listeners().map(|(_, bound)| bound).collect();
        let (finished, ended) = bounded(1);
        let Started { control, known, threads } = match config.shards.is_one() {
            true => start_one((&config, &clock), own, transports, finished)?,
            false => shards::start((&config, &clock), own, transports, finished)?,
        };
        let service = Service {
            control: control.clone(),
            places: Places::of(&config),
            realm: config.sip.realm.clone(),
            clock,
            test_clock: config.test_clock,
            archive: known.archive,
            recordings: known.recordings,
            modules: known.loader,
            faxes: known.inbox,
            tray: known.tray,
            cdrs: known.cdrs,
            generations: tokio::sync::Mutex::new(Generations::new(
                Arc::clone(&known.directory),
                started,
            )),
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
            plans: Arc::clone(&known.directory.plans),
            report: known.report,
            control,
            ended,
            end_service,
            threads,
            service: Some(service_thread),
            _lock: lock,
        })
    }
}

/// A loop's poll and who wakes it.
struct Loop {
    poll: Poll,
    waker: Arc<Waker>,
}

impl Loop {
    fn new() -> Result<Self, StartError> {
        let poll = Poll::new().map_err(system("a poll"))?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(system("a waker"))?);
        Ok(Self { poll, waker })
    }
}

/// The loops run.
struct Started {
    control: ControlHandle,
    known: Known,
    threads: Threads,
}

/// The threads, in the order in which they end.
#[derive(Debug, Default)]
struct Threads {
    shards: Vec<JoinHandle<()>>,
    /// What stands beside several shards, and the journal that they share.
    beside: Vec<JoinHandle<()>>,
    journal: Option<SharedJournal>,
    archive: Option<Archive>,
}

/// What the service knows of the shards.
struct Known {
    archive: ArchiveReader,
    recordings: Recordings,
    loader: Arc<Loader>,
    inbox: Inbox,
    tray: Tray,
    cdrs: Arc<CdrReader>,
    directory: Arc<Directory>,
    report: api::CheckReport,
}

/// What a loop has told of its end.
type Finished = Sender<io::Result<()>>;

/// The only shard has everything on its own thread.
fn start_one(
    (config, clock): (&Config, &Clock),
    own: Loop,
    transports: Transports,
    finished: Finished,
) -> Result<Started, StartError> {
    let listeners: Vec<_> = transports.listeners().map(|(_, bound)| bound).collect();
    let mut common = Common::open(config, clock, &own.waker, std::slice::from_ref(&own.waker))?;
    let (mut builder, archive) = Builder::new((config, clock), &listeners, &mut common)?;
    let (parts, known) = common.parted(archive);
    let apps = Apps::Here(Box::new(parts.modules));
    let core = builder.build(COMMON_SHARD, &own.waker, (apps, Some(parts.sweeper)))?;
    drop((builder, parts.journal));
    let (queue, requests) = bounded(limits::CONTROL_QUEUE);
    let line = Line { queue, waker: own.waker };
    let wires = Wires::Own(Box::new(transports));
    let fleet = Fleet::of(1).remove(0);
    let control = control((config, clock), own.poll, (wires, core), (requests, fleet));
    let thread = spawn("control-0", move || {
        // Nobody listens any more when the server is being dropped.
        let _ = finished.send(control.run());
    })?;
    let control = ControlHandle::new(Shards::ONE, vec![line], None);
    let threads = Threads { shards: vec![thread], ..Threads::default() };
    Ok(Started { control, known, threads })
}

/// A shard's loop before its first turn.
fn control(
    (config, clock): (&Config, &Clock),
    poll: Poll,
    (wires, core): (Wires, Core),
    (requests, fleet): (Receiver<Request>, Fleet),
) -> Control {
    Control {
        poll,
        wires,
        core,
        requests,
        clock: clock.clone(),
        slowest_turn: Duration::ZERO,
        stopping: None,
        drain: None,
        fleet,
        housekeeping: clock.time(),
        memory: MemoryWatch::default(),
        overload: Overload::new(config.limits.value(limits::OVERLOAD_MS)),
    }
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
        self.control.shut_down();
        let _ = self.end_service.send(true);
        let Threads { shards, beside, journal, archive } = std::mem::take(&mut self.threads);
        join(shards);
        self.control.end_beside();
        join(beside);
        drop(archive);
        if let Some(journal) = journal {
            journal.lock().close();
        }
        join(self.service.take().into_iter().collect());
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread ended by a panic");
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
