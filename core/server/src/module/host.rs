//! One module's way from a file to a loaded build, and its orderly end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use koukan_abi::{Status, id, status};

use super::border::{App, HostContext, Object, OpenError};
use super::copy::{Copies, PrivateCopy};
use super::desk::Desk;
use super::preflight::{PreflightError, preflight};
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

/// A module in service. Dropping it runs its `deinit`; its instances are gone by then.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) role: Option<String>,
    pub(crate) app: Option<App>,
    object: Object,
    context: &'static HostContext,
    _copy: PrivateCopy,
}

/// The word of the configuration that grants an extension.
const CALL_GRANT: &str = "call";

impl LoadedModule {
    pub(crate) fn load(
        config: &ModuleConfig,
        index: usize,
        copies: &Copies,
        desk: &Arc<Desk>,
    ) -> Result<Self, ModuleError> {
        let bytes = read(&config.path)?;
        preflight(&bytes)?;
        // What was looked at is what is loaded: the file may change meanwhile, these bytes do not.
        let copy = copies.write(&config.name, &bytes).map_err(ModuleError::Copy)?;
        drop(bytes);
        let object = Object::open(copy.path())?;
        let grants_call = config.grants.iter().any(|grant| grant == CALL_GRANT);
        for id in object.required() {
            match id.as_str() {
                id::LOG_1 | id::WAKE_1 => {}
                id::CALL_1 if grants_call => {}
                id::CALL_1 => return Err(ModuleError::NotGranted { id, grant: CALL_GRANT }),
                _ => return Err(ModuleError::NoExtension { id }),
            }
        }
        let context = HostContext::leak(&config.name, index, grants_call, Arc::clone(desk));
        match object.init(context) {
            status::OK => {}
            refused => return Err(ModuleError::Init(refused)),
        }
        let (app, version, toolchain) = (object.app(), object.version(), object.toolchain());
        let is = object.name();
        tracing::info!(module = config.name, is, version, toolchain, "module loaded");
        Ok(Self {
            name: config.name.clone(),
            version,
            role: config.role.clone(),
            app,
            object,
            context,
            _copy: copy,
        })
    }

    /// Whether the dialplan means this module by `name`.
    pub(crate) fn fills(&self, name: &str) -> bool {
        self.role.as_deref() == Some(name)
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        self.object.deinit();
        let wakers = self.context.retained();
        if wakers > 0 {
            tracing::warn!(module = self.name, wakers, "the module ends and holds wakers still");
        }
    }
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
