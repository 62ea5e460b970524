//! Words to the service manager (sd_notify(3)): that the server is ready, lives, ends. They are
//! datagrams of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names; without one nobody
//! listens and nothing is said. What is sent does not wait: a manager that is busy hears the next.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    way: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says it.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET");
        let own = std::env::var("WATCHDOG_PID").ok();
        let for_us = own.is_none_or(|pid| pid == std::process::id().to_string());
        let period = std::env::var("WATCHDOG_USEC").ok().filter(|_| for_us);
        Self::new(socket.as_deref(), period.as_deref())
    }

    /// To a socket by its path, or its abstract name behind an `@`; `watchdog_usec` is how long the
    /// manager waits for a sign of life.
    fn new(socket: Option<&OsStr>, watchdog_usec: Option<&str>) -> Self {
        let address = socket.and_then(|name| match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            [b'/', ..] => SocketAddr::from_pathname(name).ok(),
            _ => None,
        });
        let way = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        let micros = watchdog_usec.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        Self { way, watchdog: micros.map(Duration::from_micros) }
    }

    /// How often a sign of life is wanted: three times as often as the manager must hear one.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        self.way.as_ref().and(self.watchdog).map(|watchdog| watchdog / 3)
    }

    /// The server answers.
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=takes calls");
    }

    /// The control loop has answered just now.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// What the server is at, in a line.
    pub fn status(&self, words: &str) {
        self.say(&format!("STATUS={}", words.replace('\n', " ")));
    }

    /// The server ends, by its own will or somebody's.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=ends");
    }

    fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.way {
            // A manager that takes nothing now hears the next sign of life.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_manager_hears_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(format!("koukan-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let named = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.as_os_str()), Some("30000000"));
        notifier.ready();
        assert_eq!(heard(&named), "READY=1\nSTATUS=takes calls");
        assert_eq!(notifier.period(), Some(Duration::from_secs(10)));
        std::fs::remove_file(&path).unwrap();

        let name = format!("koukan-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let named = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), None);
        notifier.alive();
        assert_eq!(heard(&named), "WATCHDOG=1");
        notifier.status("drains\nREADY=1");
        assert_eq!(heard(&named), "STATUS=drains READY=1", "one line cannot say two things");
        assert_eq!(notifier.period(), None);
    }

    #[test]
    fn without_a_manager_nothing_is_said_and_nothing_is_wanted() {
        for (socket, period) in [(None, Some("1")), (Some(""), Some("x")), (Some("x"), None)] {
            let notifier = Notifier::new(socket.map(OsStr::new), period);
            notifier.ready();
            assert_eq!(notifier.period(), None);
        }
    }
}
