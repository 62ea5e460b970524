//! One module's way from a file to a loaded build, and its orderly end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use koukan_abi::{Status, id, status};

use super::border::{App, Grants, HostContext, Object, OpenError};
use super::call::Caller;
use super::copy::{Copies, PrivateCopy};
use super::desk::Desk;
use super::preflight::{PreflightError, preflight};
use super::shelf::Shelf;
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
    /// What it does without a call.
    pub(crate) task: Option<App>,
    object: Object,
    context: &'static HostContext,
    _copy: PrivateCopy,
}

/// The words of the configuration that grant extensions, and which.
const GRANTS: [(&str, &[&str]); 3] =
    [("call", &[id::CALL_1, id::LAMP_1]), ("store", &[id::STORE_1]), ("mail", &[id::MAIL_1])];

impl LoadedModule {
    pub(crate) fn load(
        config: &ModuleConfig,
        index: usize,
        copies: &Copies,
        desk: &Arc<Desk>,
        shelf: &Arc<Shelf>,
    ) -> Result<Self, ModuleError> {
        let bytes = read(&config.path)?;
        preflight(&bytes)?;
        // What was looked at is what is loaded: the file may change meanwhile, these bytes do not.
        let copy = copies.write(&config.name, &bytes).map_err(ModuleError::Copy)?;
        drop(bytes);
        let object = Object::open(copy.path())?;
        let granted = |word: &str| config.grants.iter().any(|grant| grant == word);
        for id in object.required() {
            let known = GRANTS.iter().find(|(_, ids)| ids.contains(&id.as_str()));
            match known {
                Some((grant, _)) if !granted(grant) => {
                    return Err(ModuleError::NotGranted { id, grant });
                }
                Some(_) => {}
                None if matches!(id.as_str(), id::LOG_1 | id::WAKE_1) => {}
                None => return Err(ModuleError::NoExtension { id }),
            }
        }
        let grants =
            Grants { call: granted("call"), store: granted("store"), mail: granted("mail") };
        let (desk, shelf) = (Arc::clone(desk), Arc::clone(shelf));
        let caller = Caller { desk, module: index, name: config.name.clone(), shelf };
        let context = HostContext::leak(&config.name, grants, caller);
        match object.init(context) {
            status::OK => {}
            refused => return Err(ModuleError::Init(refused)),
        }
        let (version, toolchain) = (object.version(), object.toolchain());
        let (app, task) = (object.app(id::APP_1), object.app(id::TASK_1));
        let is = object.name();
        tracing::info!(module = config.name, is, version, toolchain, "module loaded");
        Ok(Self {
            name: config.name.clone(),
            version,
            role: config.role.clone(),
            app,
            task,
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
