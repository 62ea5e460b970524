//! Structured logs on standard error. Lines go through a bounded queue to a thread of their own, so
//! that a blocked pipe never blocks a call; lines that find the queue full are counted.

use std::io::{self, Write};
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use koukan_base::Time;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::config::{LogConfig, LogFormat};
use crate::limits;

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that were dropped because nobody read the log fast enough.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Holds the log's thread; dropping it writes what still waits.
#[derive(Debug)]
pub struct LogGuard {
    lines: Option<Sender<Line>>,
    done: Receiver<()>,
}

enum Line {
    Text(Vec<u8>),
    End,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(lines) = self.lines.take() {
            // A writer that hangs on a blocked pipe is left behind after a second.
            let _ = lines.send_timeout(Line::End, Duration::from_secs(1));
            let _ = self.done.recv_timeout(Duration::from_secs(1));
        }
    }
}

/// Sets the process's subscriber. A second call keeps the first one's.
///
/// # Errors
/// The log's thread cannot be started.
pub fn start(config: &LogConfig) -> io::Result<LogGuard> {
    let (lines, queue) = bounded(limits::LOG_QUEUE);
    let (finished, done) = bounded(1);
    thread::Builder::new()
        .name("log".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || write_lines(&queue, &finished))?;
    let writer = QueueWriter { lines: lines.clone() };
    let filter: Targets = config.filter.clone();
    let registry = tracing_subscriber::registry().with(filter);
    // `Err` means that a subscriber stands already, as in tests that start several servers.
    let _ = match config.format {
        LogFormat::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
            registry.with(layer.with_target(false)).try_init()
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().with_writer(writer).json();
            registry.with(layer.flatten_event(true)).try_init()
        }
    };
    Ok(LogGuard { lines: Some(lines), done })
}

/// Lines that come within this time are written together: whoever logs next need not wake the
/// thread again.
const GATHER: Duration = Duration::from_millis(5);

fn write_lines(queue: &Receiver<Line>, finished: &Sender<()>) {
    let mut error = io::stderr();
    let mut end = false;
    while !end && let Ok(first) = queue.recv() {
        if matches!(first, Line::Text(_)) {
            thread::sleep(GATHER);
        }
        let mut texts = Vec::new();
        for line in iter::once(first).chain(queue.try_iter()) {
            match line {
                Line::Text(text) => texts.extend_from_slice(&text),
                Line::End => end = true,
            }
        }
        // Nobody is left to tell when standard error is closed.
        let _ = error.write_all(&texts);
    }
    let _ = finished.send(());
}

#[derive(Clone)]
struct QueueWriter {
    lines: Sender<Line>,
}

struct LineWriter {
    text: Vec<u8>,
    lines: Sender<Line>,
}

impl<'a> MakeWriter<'a> for QueueWriter {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { text: Vec::new(), lines: self.lines.clone() }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        match self.lines.try_send(Line::Text(text)) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Lets a few lines a second of one cause through, so that a stranger cannot fill the disk.
#[derive(Debug)]
pub struct Throttle {
    window: Time,
    lines: u32,
    suppressed: u64,
}

impl Throttle {
    const LINES_PER_SECOND: u32 = 5;

    /// A throttle that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { window: Time::ZERO, lines: 0, suppressed: 0 }
    }

    /// Whether a line may be written now; if so, how many were left out before it.
    pub fn pass(&mut self, now: Time) -> Option<u64> {
        if now.since(self.window) >= Duration::from_secs(1) {
            self.window = now;
            self.lines = 0;
        }
        if self.lines >= Self::LINES_PER_SECOND {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.lines = self.lines.saturating_add(1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_lines_a_second_pass_and_the_next_second_says_how_many_did_not() {
        let mut throttle = Throttle::new();
        let start = Time::from_millis(10_000);
        let passed = (0..20).filter(|_| throttle.pass(start).is_some()).count();
        assert_eq!(passed, 5);
        assert_eq!(throttle.pass(start + Duration::from_secs(1)), Some(15));
    }
}
