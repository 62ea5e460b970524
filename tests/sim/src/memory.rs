//! The memory of this process, as the system counts it.

/// Resident memory in kB (`VmRSS`); 0 where the system does not say.
#[must_use]
pub fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|rest| rest.split_whitespace().next());
    words.and_then(|number| number.parse().ok()).unwrap_or(0)
}
