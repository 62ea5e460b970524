//! Why each call went as it did. The lines of a running call are kept in memory; when it ends they
//! go to the archive on disk, where `koukan why CALL` finds them long after, also after a restart.

mod archive;
mod log;

pub use archive::{Archive, ArchiveReader};
pub(crate) use log::ExplainLog;
