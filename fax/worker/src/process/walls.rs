//! Walls around a process that reads what strangers send: a bound on its memory and files
//! (setrlimit), no file but those below one directory (Landlock), no system call but those that
//! sessions need (seccomp). What a kernel does not have is said, not demanded.

use std::collections::BTreeMap;
use std::path::Path;

use koukan_fax::protocol::Walls;
use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use thiserror::Error;

/// Bytes of memory that a worker may map: a thousand sessions of a tenth of a megabyte, and the
/// pages that they hold, many times over.
pub const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Open files: two sockets and a file for each of a thousand sessions.
pub const FILES: u64 = 4_096;

/// Why walls cannot be raised: the machine's fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WallError {
    /// A bound.
    #[error("a bound cannot be set: {0}")]
    Bound(#[from] rustix::io::Errno),
    /// The directory.
    #[error("the directory cannot be opened: {0}")]
    Directory(#[from] PathFdError),
    /// Landlock is there and refuses.
    #[error("Landlock refuses: {0}")]
    Files(#[from] RulesetError),
    /// The filter of system calls.
    #[error("the filter of system calls is refused: {0}")]
    Calls(String),
}

/// Raises them around the calling thread and all that it starts; for good.
///
/// # Errors
/// Which cannot be raised. A kernel without one of them is no error.
pub fn raise(directory: &Path) -> Result<Walls, WallError> {
    bound(Resource::Core, 0)?;
    bound(Resource::As, MEMORY_BYTES)?;
    bound(Resource::Nofile, FILES)?;
    let files = files(Some(directory))?;
    Ok(Walls { files, calls: calls()? })
}

/// The same around a process that draws one document and ends: no file at all, and a bound on the
/// time that it computes, in seconds.
///
/// # Errors
/// Which cannot be raised. A kernel without one of them is no error.
pub fn raise_around_rendering(seconds: u64) -> Result<Walls, WallError> {
    bound(Resource::Core, 0)?;
    bound(Resource::As, MEMORY_BYTES)?;
    bound(Resource::Cpu, seconds)?;
    let files = files(None)?;
    // What is open stays so; nothing can be opened beside it.
    bound(Resource::Nofile, 3)?;
    Ok(Walls { files, calls: calls()? })
}

fn bound(what: Resource, most: u64) -> Result<(), rustix::io::Errno> {
    setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Whether files are walled off from now on.
fn files(directory: Option<&Path>) -> Result<bool, WallError> {
    // What is newer than this is handled where the kernel knows it.
    let abi = ABI::V6;
    let within = AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    if let Some(directory) = directory {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(directory)?, within))?;
    }
    let status = rules.restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Whether system calls are walled off from now on.
fn calls() -> Result<bool, WallError> {
    let Ok(arch) = std::env::consts::ARCH.try_into() else { return Ok(false) };
    let refused = |error: &dyn std::fmt::Display| WallError::Calls(error.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        // Memory that is written is never run.
        let exec = u64::try_from(libc::PROT_EXEC).unwrap_or(4);
        let operator = SeccompCmpOp::MaskedEq(exec);
        let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, operator, 0)
            .map_err(|error| refused(&error))?;
        let rule = SeccompRule::new(vec![condition]).map_err(|error| refused(&error))?;
        rules.insert(call, vec![rule]);
    }
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch)
        .map_err(|error| refused(&error))?;
    let program: BpfProgram =
        filter.try_into().map_err(|error: seccompiler::BackendError| refused(&error))?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(true),
        // A kernel that was built without it.
        Err(seccompiler::Error::Prctl(_)) => Ok(false),
        Err(error) => Err(refused(&error)),
    }
}

/// What the loop, the C library and the TIFF library ask of the kernel. Nothing that opens a
/// socket, starts a program or a thread, or looks at another process.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_unlinkat,
    libc::SYS_fcntl,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The older names of some of them.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_unlink,
    libc::SYS_epoll_wait,
    libc::SYS_time,
    libc::SYS_gettimeofday,
];

/// The older names of some of them.
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[libc::SYS_gettimeofday];
