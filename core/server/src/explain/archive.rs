//! The lines of calls that are over, in files of one JSON object a line below the data directory.
//! A thread of its own writes and searches them: neither a slow disk nor a long search is a call's
//! business. The oldest file goes when a new one finds no room.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use koukan_base::CallId;

use crate::api::Why;
use crate::limits;

/// Where calls that end hand their lines over; dropping it writes what still waits.
#[derive(Debug)]
pub struct Archive {
    orders: Option<Sender<Order>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Where the lines of a call that is over are asked for.
#[derive(Clone, Debug)]
pub struct ArchiveReader {
    orders: Sender<Order>,
}

enum Order {
    Append(Why),
    Find(CallId, Sender<Option<Why>>),
    End,
}

/// Calls that end within this time are written by one waking.
const GATHER: Duration = Duration::from_millis(20);

/// A search reads at most the whole archive.
const PATIENCE: Duration = Duration::from_secs(20);

impl Archive {
    /// Opens the archive in `directory`, which may hold about `max_bytes`, and starts its thread.
    ///
    /// # Errors
    /// The directory cannot be made or read: resource.
    pub fn open(directory: &Path, max_bytes: u64) -> io::Result<(Self, ArchiveReader)> {
        let files = Files::open(directory, max_bytes)?;
        let (orders, queue) = bounded(limits::EXPLAIN_QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let thread = thread::Builder::new()
            .name("explain".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || run(files, &queue, &counter))?;
        let reader = ArchiveReader { orders: orders.clone() };
        Ok((Self { orders: Some(orders), lost, thread: Some(thread) }, reader))
    }

    /// Hands over the lines of a call. What a slow disk has no room for is counted, never waited
    /// for.
    pub fn append(&self, why: Why) {
        let taken =
            self.orders.as_ref().is_some_and(|orders| orders.try_send(Order::Append(why)).is_ok());
        if !taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls whose lines were lost for want of disk.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Archive {
    /// Another way in; the thread ends with the one that [`Self::open`] gave.
    #[must_use]
    pub fn way(&self) -> Self {
        Self { orders: self.orders.clone(), lost: Arc::clone(&self.lost), thread: None }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.take().filter(|_| self.thread.is_some()) {
            // A thread that hangs on its disk is left behind.
            let told = orders.send_timeout(Order::End, Duration::from_secs(1)).is_ok();
            if let (true, Some(thread)) = (told, self.thread.take()) {
                let _ = thread.join();
            }
        }
    }
}

impl ArchiveReader {
    /// The lines of a call that has ended; blocks for as long as the search takes.
    #[must_use]
    pub fn find(&self, call: CallId) -> Option<Why> {
        let (answer, found) = bounded(1);
        self.orders.send_timeout(Order::Find(call, answer), PATIENCE).ok()?;
        found.recv_timeout(PATIENCE).ok().flatten()
    }
}

fn run(mut files: Files, queue: &Receiver<Order>, lost: &AtomicU64) {
    let mut refused = false;
    while let Ok(order) = queue.recv() {
        match order {
            Order::Append(why) => match files.append(&why) {
                Ok(()) => {
                    refused = false;
                    // Whoever ends the next call need not wake this thread again.
                    if queue.is_empty() {
                        thread::sleep(GATHER);
                    }
                }
                Err(error) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut refused, true) {
                        let path = files.directory.display();
                        tracing::error!(%path, %error, "explain lines cannot be written");
                    }
                }
            },
            Order::Find(call, answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(files.find(call));
            }
            Order::End => return,
        }
    }
}

/// The files, oldest first.
#[derive(Debug)]
struct Files {
    directory: PathBuf,
    max_bytes: u64,
    /// Number and length.
    files: Vec<(u64, u64)>,
    writing: Option<File>,
}

impl Files {
    fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(number_of) {
                files.push((number, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(Self { directory: directory.to_owned(), max_bytes, files, writing: None })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:08}.jsonl"))
    }

    fn append(&mut self, why: &Why) -> io::Result<()> {
        let mut line = serde_json::to_vec(why)?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let file_bytes = (self.max_bytes / FILES).max(1);
        let full = self.files.last().is_none_or(|(_, bytes)| *bytes >= file_bytes);
        let mut file = match self.writing.take() {
            Some(file) if !full => file,
            _ => self.begin()?,
        };
        let Some((_, bytes)) = self.files.last_mut() else { return Ok(()) };
        if let Err(error) = file.write_all(&line) {
            // Half a line must not spoil the next one.
            file.set_len(*bytes)?;
            return Err(error);
        }
        *bytes = bytes.saturating_add(length);
        self.writing = Some(file);
        self.forget();
        Ok(())
    }

    /// A new file; one of an earlier life may end in half a line and is not written again.
    fn begin(&mut self) -> io::Result<File> {
        let number = self.files.last().map_or(1, |(number, _)| number.saturating_add(1));
        let file = File::options().append(true).create_new(true).open(self.path(number))?;
        self.files.push((number, 0));
        Ok(file)
    }

    fn forget(&mut self) {
        let bytes = |files: &[(u64, u64)]| files.iter().map(|(_, bytes)| bytes).sum::<u64>();
        while self.files.len() > 1 && bytes(&self.files) > self.max_bytes {
            let (oldest, _) = self.files.remove(0);
            let path = self.path(oldest);
            if let Err(error) = fs::remove_file(&path) {
                let path = path.display();
                tracing::warn!(%path, %error, "an old file of explain lines cannot be removed");
            }
        }
    }

    /// Searches the newest file first, one at a time in memory.
    fn find(&self, call: CallId) -> Option<Why> {
        let beginning = format!("{{\"call\":\"{call}\",");
        self.files.iter().rev().find_map(|(number, _)| {
            // A file that cannot be read has nothing to say; the log has the lines.
            let bytes = fs::read(self.path(*number)).ok()?;
            let at = memchr::memmem::find_iter(&bytes, beginning.as_bytes())
                .find(|&at| at == 0 || bytes.get(at.wrapping_sub(1)) == Some(&b'\n'))?;
            let rest = bytes.get(at..)?;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            serde_json::from_slice(rest.get(..end)?).ok()
        })
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".jsonl")?.parse().ok()
}

/// So many files make the archive: the oldest of them goes at once.
const FILES: u64 = 16;

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use koukan_base::ShardId;

    use super::*;
    use crate::api::WhyLine;

    /// Removes the directory at the end of a test.
    pub(in crate::explain) struct Directory(PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn directory(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("koukan-explain-{}-{name}", std::process::id()))
    }

    pub(in crate::explain) fn archive(
        name: &str,
        max_bytes: u64,
    ) -> (Archive, ArchiveReader, Directory) {
        let directory = directory(name);
        let (archive, reader) = Archive::open(&directory, max_bytes).unwrap();
        (archive, reader, Directory(directory))
    }

    fn call(number: u64) -> CallId {
        CallId::new(ShardId(0), number)
    }

    fn why(number: u64) -> Why {
        let line = WhyLine { at: Timestamp::UNIX_EPOCH, text: format!("line of {number}") };
        Why { call: call(number).to_string(), lines: vec![line] }
    }

    #[test]
    fn a_call_of_an_earlier_life_is_found_even_behind_half_a_line() {
        let (archive, reader, directory) = archive("earlier", 1_000_000);
        archive.append(why(1));
        drop((archive, reader));
        let old = directory.0.join("00000001.jsonl");
        File::options().append(true).open(&old).unwrap().write_all(b"{\"call\":\"00").unwrap();
        let (archive, reader) = Archive::open(&directory.0, 1_000_000).unwrap();
        archive.append(why(2));
        for number in [1, 2] {
            assert_eq!(reader.find(call(number)).unwrap().lines, why(number).lines);
        }
        assert!(reader.find(call(3)).is_none());
    }

    #[test]
    fn the_oldest_calls_make_room() {
        let (archive, reader, directory) = archive("room", 4_000);
        for number in 0..200 {
            archive.append(why(number));
        }
        assert!(reader.find(call(199)).is_some());
        assert!(reader.find(call(0)).is_none());
        let kept: u64 = fs::read_dir(&directory.0)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!((2_000..=4_000).contains(&kept), "{kept} bytes");
        assert_eq!(archive.lost(), 0);
    }

    #[test]
    fn a_text_that_looks_like_another_call_does_not_mislead() {
        let (archive, reader, _directory) = archive("mislead", 1_000_000);
        let mut first = why(1);
        first.lines[0].text = format!("{{\"call\":\"{}\",", call(2));
        archive.append(first);
        assert!(reader.find(call(2)).is_none());
    }

    #[test]
    fn a_directory_that_vanishes_loses_lines_and_nothing_else() {
        let (archive, reader, directory) = archive("vanishes", 100);
        fs::remove_dir_all(&directory.0).unwrap();
        archive.append(why(1));
        assert!(reader.find(call(1)).is_none());
        assert_eq!(archive.lost(), 1);
    }
}
