//! What the kernel says of threads and processes, and where threads run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// The calling thread's number.
pub(crate) fn thread_id() -> io::Result<u32> {
    let link = fs::read_link("/proc/thread-self")?;
    let number = link.file_name().and_then(|name| name.to_str()?.parse().ok());
    number.ok_or_else(|| io::Error::other("/proc/thread-self names no thread"))
}

/// The thread of this process that has this name.
pub(crate) fn thread_named(wanted: &str) -> io::Result<u32> {
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm"))?;
        if name.trim_end() == wanted
            && let Some(number) = entry.file_name().to_str().and_then(|text| text.parse().ok())
        {
            return Ok(number);
        }
    }
    Err(io::Error::other(format!("no thread is called {wanted}")))
}

/// CPU time of a thread of this process, in nanoseconds.
pub(crate) fn cpu_ns(thread: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| io::Error::other("schedstat is empty"))
}

/// How long a thread of this process has waited for a core, in nanoseconds.
pub(crate) fn waited_ns(thread: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let second = text.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    second.ok_or_else(|| io::Error::other("schedstat has no second number"))
}

/// Pins a thread to a core with util-linux's `taskset`, which every Debian has.
pub(crate) fn pin(thread: u32, core: u32) -> io::Result<()> {
    let status = Command::new("taskset")
        .args(["-cp", &core.to_string(), &thread.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("taskset cannot pin the thread")) }
}

/// Pins every thread of a process to a core.
pub(crate) fn pin_process(process: u32, core: u32) -> io::Result<()> {
    let status = Command::new("taskset")
        .args(["-acp", &core.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("taskset cannot pin the process")) }
}

/// CPU time of each thread of a process, in nanoseconds, by the threads' names.
pub(crate) fn threads_cpu_ns(process: u32) -> io::Result<BTreeMap<String, u64>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = task?.path();
        let name = fs::read_to_string(path.join("comm"))?.trim_end().to_owned();
        let text = fs::read_to_string(path.join("schedstat"))?;
        let spent: Option<u64> = text.split_whitespace().next().and_then(|word| word.parse().ok());
        let sum = threads.entry(name).or_insert(0_u64);
        *sum = sum.saturating_add(spent.unwrap_or(0));
    }
    Ok(threads)
}

/// Every process of the system with its parent; one that ends meanwhile is left out.
pub(crate) fn parents() -> io::Result<BTreeMap<u32, u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|text| text.parse().ok()) else { continue };
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in brackets may hold anything, spaces and brackets too.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        if let Some(parent) = fields.and_then(|mut fields| fields.nth(1)?.parse().ok()) {
            parents.insert(process, parent);
        }
    }
    Ok(parents)
}

/// Time that the host took a core away, in its clock's ticks since the start.
pub(crate) fn stolen_ticks(core: u32) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core}");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name.as_str()));
    let stolen = line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok());
    stolen.ok_or_else(|| io::Error::other(format!("no {name} in /proc/stat")))
}

/// Resident memory of a process, in kB.
pub(crate) fn rss_kb(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("no VmRSS"))
}
