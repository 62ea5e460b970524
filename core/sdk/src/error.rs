//! Why an operation or an application did not do what was asked.

use koukan_abi::{Status, status};

/// What operations and applications return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operation was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The call ended first: nobody's fault.
    #[error("the call has ended")]
    HangUp,
    /// Nothing came in time (digits).
    #[error("nothing came in time")]
    TimedOut,
    /// The thing named does not exist: the configuration's fault.
    #[error("{0} was not found")]
    NotFound(String),
    /// The host does not do this, or does not grant it to this module.
    #[error("the host does not {0}")]
    Unsupported(&'static str),
    /// The arguments of the application are not what it takes.
    #[error("the arguments are wrong: {0}")]
    Arguments(#[source] serde_json::Error),
    /// It went wrong; the text says what.
    #[error("{0}")]
    Failed(String),
    /// The host refused the request itself.
    #[error("the host refused to {what}: {}", status::words(*status))]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        status: Status,
    },
}

impl Error {
    /// What the border says for it.
    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Cancelled => status::CANCELLED,
            Self::HangUp => status::HANGUP,
            Self::TimedOut => status::TIMEOUT,
            Self::NotFound(_) => status::NOT_FOUND,
            Self::Unsupported(_) => status::UNSUPPORTED,
            Self::Arguments(_) => status::ARGUMENT,
            Self::Failed(_) => status::FAILED,
            // A host that refuses with a status of success would be taken for one.
            Self::Refused { status, .. } if *status < 0 => *status,
            Self::Refused { .. } => status::FAILED,
        }
    }
}
