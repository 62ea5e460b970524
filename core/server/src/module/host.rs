//! One module's way from a file to a loaded build, and its orderly end.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use koukan_abi::{Status, id, status};
use sha2::{Digest, Sha256};

use super::border::{App, HostContext, Object, OpenError};
use super::call::{Caller, Grants};
use super::copy::{Copies, PrivateCopy};
use super::desk::Desk;
use super::interpose::Watched;
use super::jobs::Jobs;
use super::maps;
use super::metrics::Metrics;
use super::preflight::{self, PreflightError, preflight};
use super::shelf::Shelf;
use super::sink::{self, SinkTable, Sinks};
use super::source::{self, Exchange, SourceTable};
use crate::api::ModuleMetric;
use crate::config::ModuleConfig;
use crate::limits;

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file: configuration.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file.
    #[error("is larger than {} bytes", limits::MODULE_FILE_BYTES)]
    TooLarge,
    /// What the file says before anything of it runs.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// It is another file than the configuration means.
    #[error("has the SHA-256 {found}, not what `sha256` says")]
    Digest {
        /// In hexadecimal digits.
        found: String,
    },
    /// The private copy: resource.
    #[error("cannot be copied to the data directory: {0}")]
    Copy(io::Error),
    /// The system's loader refused it.
    #[error("cannot be loaded: {0}")]
    Loader(String),
    /// Its entry is not whole.
    #[error("has an incomplete entry: {0} is missing")]
    Incomplete(&'static str),
    /// An extension that it cannot do without is known, but not granted: configuration.
    #[error("needs {id}: add \"{grant}\" to its `grants`")]
    NotGranted {
        /// The extension.
        id: String,
        /// The word of the configuration for it.
        grant: &'static str,
    },
    /// An extension that it cannot do without is not known here.
    #[error("needs {id}, which this server does not have")]
    NoExtension {
        /// The extension.
        id: String,
    },
    /// It is built on a draft, whose functions may be others tomorrow.
    #[error("is built on {id}: a draft of the module border, which this server does not run")]
    Draft {
        /// The draft.
        id: &'static str,
    },
    /// Its `init` refused.
    #[error("refused to start: {}", status::words(*.0))]
    Init(Status),
}

impl From<OpenError> for ModuleError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Loader(words) => Self::Loader(words),
            OpenError::Entry(error) => Self::Preflight(error),
            OpenError::Missing(what) => Self::Incomplete(what),
        }
    }
}

/// Makes builds of modules, on any thread.
#[derive(Debug)]
pub struct Loader {
    data: PathBuf,
    copies: Mutex<Option<Arc<Copies>>>,
    desk: Arc<Desk>,
    shelf: Arc<Shelf>,
    /// None in a server that keeps no records: no module can carry them out.
    sinks: Option<Arc<Sinks>>,
    exchange: Exchange,
    jobs: Arc<Jobs>,
    next: AtomicUsize,
}

/// A build that was loaded and started. Dropping it ends it in its order: `deinit`, its keys, the
/// library; one that threads or wakers hold stays mapped.
#[derive(Debug)]
pub struct LoadedModule {
    /// A number that no other build of this process has.
    pub(crate) number: usize,
    pub(crate) config: ModuleConfig,
    pub(crate) version: String,
    pub(crate) app: Option<App>,
    /// What it does without a call.
    pub(crate) task: Option<App>,
    /// Its sink, and the thread of it once it is in service.
    sink: Option<(SinkTable, Arc<Sinks>)>,
    worker: Option<sink::Worker>,
    /// The same of its source.
    source: Option<(SourceTable, Exchange)>,
    answerer: Option<source::Worker>,
    /// None once it is closed.
    object: Option<Object>,
    /// Its `deinit` has run.
    retired: bool,
    watched: Option<Watched>,
    context: Option<&'static HostContext>,
    copy: PrivateCopy,
}

/// What became of a build that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is gone from the process.
    Unmapped {
        /// pthread keys that it left behind and that were deleted.
        keys: usize,
    },
    /// The loader let it go, and keeps it mapped for the destructors of a thread's variables.
    Mapped,
    /// It was to be kept: `unload = "keep"`.
    Kept,
}

/// Why a build cannot be closed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A thread that serves it, of its sink or its source, runs still.
    Worker,
    /// Threads that it made run still.
    Threads(usize),
    /// Something holds wakers of it.
    Wakers(usize),
}

/// The words of the configuration that grant extensions, and which.
const GRANTS: [(&str, &[&str]); 7] = [
    ("call", &[id::CALL_1, id::LAMP_1]),
    ("store", &[id::STORE_1]),
    ("mail", &[id::MAIL_1]),
    ("records", &[id::SINK_1]),
    ("lookups", &[id::SOURCE_1]),
    ("worker", &[id::WORKER_1]),
    ("audio", &[id::AUDIO_1]),
];

impl Loader {
    pub(crate) fn new(
        data: PathBuf,
        desk: Arc<Desk>,
        shelf: Arc<Shelf>,
        (sinks, exchange): (Option<Sinks>, Exchange),
    ) -> Self {
        let (copies, sinks) = (Mutex::default(), sinks.map(Arc::new));
        let (jobs, next) = (Arc::default(), AtomicUsize::new(1));
        Self { data, copies, desk, shelf, sinks, exchange, jobs, next }
    }

    /// The directory of the copies, taken when the first is made.
    fn copies(&self) -> Result<Arc<Copies>, ModuleError> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copies) = &*copies {
            return Ok(Arc::clone(copies));
        }
        let opened = Arc::new(Copies::open(&self.data).map_err(ModuleError::Copy)?);
        *copies = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Loads and starts a build of a module; nothing of it is called yet but `init`.
    ///
    /// # Errors
    /// The file, the configuration or the system stands against it; nothing of it stays.
    pub fn load(&self, config: &ModuleConfig) -> Result<LoadedModule, ModuleError> {
        let bytes = read(&config.path)?;
        if let Some(wanted) = &config.sha256 {
            let found = digest(&bytes);
            if found != *wanted {
                return Err(ModuleError::Digest { found });
            }
        }
        preflight(&bytes)?;
        // What was looked at is what is loaded: the file may change meanwhile, these bytes do not.
        let copies = self.copies()?;
        let copy = copies.write(&config.name, &bytes).map_err(ModuleError::Copy)?;
        drop(bytes);
        let object = Object::open(copy.path())?;
        let watched = maps::range(copy.path()).and_then(Watched::begin);
        let granted = |word: &str| config.is_granted(word);
        let refusal = object.required().into_iter().find_map(|id| refused(id, granted));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (version, toolchain) = (object.version(), object.toolchain());
        let mut loaded = LoadedModule {
            number,
            config: config.clone(),
            version,
            app: None,
            task: None,
            sink: None,
            worker: None,
            source: None,
            answerer: None,
            object: Some(object),
            // Nothing of it has run yet.
            retired: true,
            watched,
            context: None,
            copy,
        };
        match refusal {
            Some(refusal) => Err(refusal),
            None => {
                loaded.start(self.context(config, number))?;
                loaded.take_sink(self.sinks.as_ref())?;
                loaded.take_source(&self.exchange)?;
                let is = loaded.object.as_ref().map(Object::name);
                let version = &*loaded.version;
                tracing::info!(
                    module = config.name,
                    number,
                    is,
                    version,
                    toolchain,
                    "module loaded"
                );
                Ok(loaded)
            }
        }
    }

    fn context(&self, config: &ModuleConfig, number: usize) -> &'static HostContext {
        let granted = |word: &str| config.is_granted(word);
        let grants = Grants {
            call: granted("call"),
            store: granted("store"),
            mail: granted("mail"),
            worker: granted("worker"),
            audio: granted("audio"),
        };
        let caller = Caller {
            desk: Arc::clone(&self.desk),
            module: number,
            name: config.name.clone(),
            options: config.options.clone(),
            shelf: Arc::clone(&self.shelf),
            jobs: Arc::clone(&self.jobs),
            metrics: Metrics::default(),
        };
        HostContext::leak(&config.name, grants, caller)
    }
}

/// Why an extension that a module requires is not there.
fn refused(id: String, granted: impl Fn(&str) -> bool) -> Option<ModuleError> {
    match GRANTS.iter().find(|(_, ids)| ids.contains(&id.as_str())) {
        Some((grant, _)) if !granted(grant) => Some(ModuleError::NotGranted { id, grant }),
        Some(_) => None,
        None if matches!(id.as_str(), id::LOG_1 | id::WAKE_1 | id::CONFIG_1 | id::METRICS_1) => {
            None
        }
        None => Some(ModuleError::NoExtension { id }),
    }
}

impl LoadedModule {
    /// Runs `init` and takes its tables.
    fn start(&mut self, context: &'static HostContext) -> Result<(), ModuleError> {
        self.context = Some(context);
        let Some(object) = &self.object else { return Ok(()) };
        if let Some(id) = object.draft() {
            return Err(ModuleError::Draft { id });
        }
        match object.init(context) {
            status::OK => {
                self.retired = false;
                (self.app, self.task) = (object.app(id::APP_1), object.app(id::TASK_1));
                Ok(())
            }
            refused => Err(ModuleError::Init(refused)),
        }
    }

    /// Takes its sink, which needs a grant.
    fn take_sink(&mut self, sinks: Option<&Arc<Sinks>>) -> Result<(), ModuleError> {
        let Some(table) = self.object.as_ref().and_then(Object::sink) else { return Ok(()) };
        let id = id::SINK_1.to_owned();
        if !self.config.is_granted("records") {
            return Err(ModuleError::NotGranted { id, grant: "records" });
        }
        let Some(sinks) = sinks else { return Err(ModuleError::NoExtension { id }) };
        self.sink = Some((table, Arc::clone(sinks)));
        Ok(())
    }

    /// Takes its source, which needs a grant.
    fn take_source(&mut self, exchange: &Exchange) -> Result<(), ModuleError> {
        let Some(table) = self.object.as_ref().and_then(Object::source) else { return Ok(()) };
        if !self.config.is_granted("lookups") {
            return Err(ModuleError::NotGranted { id: id::SOURCE_1.to_owned(), grant: "lookups" });
        }
        self.source = Some((table, exchange.clone()));
        Ok(())
    }

    /// It is in service: its sink and its source begin.
    pub(crate) fn begin_workers(&mut self) {
        let (name, options) = (self.config.name.clone(), &self.config.options);
        let no_thread = |error| tracing::error!(module = name, %error, "no thread for the module");
        if let Some((table, sinks)) = &self.sink {
            let worker = sink::Worker::start(sinks, &name, options, *table);
            self.worker = worker.map_err(no_thread).ok();
        }
        if let Some((table, exchange)) = &self.source {
            let build = (self.number, &*name);
            let worker = source::Worker::start(exchange, build, options, *table);
            self.answerer = worker.map_err(no_thread).ok();
        }
    }

    /// Its sink and its source are to end, which they do when the module returns from them.
    pub(crate) fn stop_workers(&self) {
        if let Some(worker) = &self.worker {
            worker.stop();
        }
        if let Some(answerer) = &self.answerer {
            answerer.stop();
        }
    }

    /// What answers questions about callers.
    pub(crate) const fn answerer(&self) -> Option<&source::Worker> {
        self.answerer.as_ref()
    }

    /// Records that its sink has taken; none when it is no sink.
    pub(crate) fn taken(&self) -> Option<u64> {
        self.worker.as_ref().map(sink::Worker::taken)
    }

    /// Whether the thread of its sink or its source runs, after a moment's patience.
    pub(crate) fn workers_run(&self) -> bool {
        let until = Instant::now() + WORKER_PATIENCE;
        let runs = || {
            self.worker.as_ref().is_some_and(sink::Worker::is_running)
                || self.answerer.as_ref().is_some_and(source::Worker::is_running)
        };
        while runs() {
            if Instant::now() >= until {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Its name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// What it counts itself.
    pub(crate) fn metrics(&self) -> Vec<ModuleMetric> {
        self.context.map(|context| context.caller().metrics.list()).unwrap_or_default()
    }

    /// Whether the dialplan means this module by `name`.
    pub(crate) fn fills(&self, name: &str) -> bool {
        self.config.role.as_deref() == Some(name)
    }

    /// Wakers of it that are somewhere.
    pub(crate) fn wakers(&self) -> usize {
        self.context.map_or(0, HostContext::retained)
    }

    /// Runs its `deinit`, once; its instances are gone.
    pub(crate) fn retire(&mut self) {
        if !mem::replace(&mut self.retired, true)
            && let Some(object) = &self.object
        {
            object.deinit();
        }
    }

    /// What holds it still, after `deinit`.
    pub(crate) fn held(&self) -> Option<Held> {
        let threads = self.watched.as_ref().map_or(0, Watched::threads);
        match (threads, self.wakers()) {
            (0, 0) => None,
            (0, wakers) => Some(Held::Wakers(wakers)),
            (threads, _) => Some(Held::Threads(threads)),
        }
    }

    /// Closes the library; nothing holds it.
    pub(crate) fn close(&mut self) -> Ending {
        let Some(object) = self.object.take() else { return Ending::Kept };
        // A build that is not watched may have keys and threads that nobody knows of.
        let Some(watched) = self.watched.take().filter(|_| !self.config.keep_mapped) else {
            object.keep();
            return Ending::Kept;
        };
        let keys = watched.delete_keys();
        object.close();
        drop(watched);
        if maps::range(self.copy.path()).is_some() {
            return Ending::Mapped;
        }
        if let Some(context) = self.context.take() {
            context.free();
        }
        Ending::Unmapped { keys }
    }

    /// Whether it is in the process still, after it was closed.
    pub(crate) fn is_mapped(&self) -> bool {
        maps::range(self.copy.path()).is_some()
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        if self.object.is_none() {
            return;
        }
        self.stop_workers();
        if self.workers_run() {
            let module = self.name();
            tracing::error!(module, "a thread of the module does not end; its library is left");
            if let Some(object) = self.object.take() {
                object.keep();
            }
            mem::forget(self.watched.take());
            return;
        }
        self.retire();
        match self.held() {
            None => drop(self.close()),
            Some(held) => {
                tracing::warn!(module = self.name(), ?held, "the module ends and is held still");
                // What holds it may run at any time: neither library nor notes may go.
                if let Some(object) = self.object.take() {
                    object.keep();
                }
                mem::forget(self.watched.take());
            }
        }
    }
}

/// A sink or source that is told to end has so long before it is looked after from time to time.
const WORKER_PATIENCE: Duration = Duration::from_millis(500);

/// SHA-256 in hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a module's applications take, by its own word in its file; nothing of it runs. `None`: it
/// does not say, or it is no module.
#[must_use]
pub fn schema(path: &Path) -> Option<String> {
    preflight::schema(&read(path).ok()?)
}

fn read(path: &Path) -> Result<Vec<u8>, ModuleError> {
    let file = File::open(path).map_err(ModuleError::Unreadable)?;
    let mut bytes = Vec::new();
    let limit = limits::MODULE_FILE_BYTES;
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.map_err(ModuleError::Unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        return Ok(bytes);
    }
    Err(ModuleError::TooLarge)
}
