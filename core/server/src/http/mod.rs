//! The service thread: one tokio runtime that serves the HTTP API over the Unix socket and, when
//! configured, on a loopback port. Nothing here sits in a call's path; what it wants to know or do
//! goes to the control loop as a request.
//!
//! The TCP listener asks for no password and is therefore bound to loopback only; the Unix socket
//! has mode 0600, or 0660 when the server's group may use it.

mod backup;
mod bans;
mod boxes;
mod cdrs;
mod drain;
mod faxes;
mod modules;
mod notices;
mod recordings;
mod reload;
mod rooms;
mod routes;
mod selftest;
mod sent_faxes;
mod serve;
mod settings;
mod trace;
mod trunks;
mod visitors;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

pub use routes::{Service, router};

use crate::config::ControlConfig;

/// The API cannot be served: configuration, or another program has the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The Unix socket.
    #[error("the control socket {} cannot be opened: {error}", path.display())]
    Socket {
        /// `[control] socket`.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The loopback port.
    #[error("cannot listen on {address} for HTTP (`[control] http`): {error}")]
    Http {
        /// `[control] http`.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
}

/// The listeners of the API, bound before the service thread starts so that errors are seen.
#[derive(Debug)]
pub struct Listeners {
    socket: std::os::unix::net::UnixListener,
    path: PathBuf,
    http: Option<std::net::TcpListener>,
}

impl Listeners {
    /// Binds the socket, open to its owner (or group) alone from its first moment, and the port.
    ///
    /// # Errors
    /// One of them cannot be bound.
    pub fn bind(control: &ControlConfig) -> Result<Self, ServeError> {
        let ControlConfig { socket: path, group, http } = control;
        let mode = if *group { 0o660 } else { 0o600 };
        let socket = bind_socket(path, mode)
            .map_err(|error| ServeError::Socket { path: path.clone(), error })?;
        let bind_http = |address| {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let http = http
            .map(|address| bind_http(address).map_err(|error| ServeError::Http { address, error }))
            .transpose()?;
        Ok(Self { socket, path: path.clone(), http })
    }

    /// The port that HTTP really has.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }
}

fn bind_socket(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::other("a file that is no socket stands in its place"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::other("another server answers on it"));
        }
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // Bound under another name and moved when its mode is set, so that nobody meets it open.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    if fresh.exists() {
        fs::remove_file(&fresh)?;
    }
    let socket = std::os::unix::net::UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    fs::rename(&fresh, path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Serves until `end` says so.
///
/// # Errors
/// The runtime refused a listener.
pub async fn serve(
    listeners: Listeners,
    service: Arc<Service>,
    end: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = router(Arc::clone(&service));
    let mut ends = end.clone();
    let waits = async {
        // Requests that wait for something to be told hold up no end.
        let _ = ends.wait_for(|end| *end).await;
        service.faxes.notices().close();
    };
    let socket = UnixListener::from_std(listeners.socket)?;
    let unix = serve::serve(socket, router.clone(), end.clone());
    let http = listeners.http.map(TcpListener::from_std).transpose()?;
    let tcp = async {
        if let Some(listener) = http {
            let router = router.layer(axum::middleware::from_fn(visitors::own_host));
            serve::serve(listener, router, end).await;
        }
    };
    tokio::join!(unix, tcp, waits);
    // Gone or taken by a successor: nothing is left to tidy then.
    let _ = fs::remove_file(&listeners.path);
    Ok(())
}
