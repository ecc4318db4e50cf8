//! Log lines on their way to the file.
//!
//! # Decision
//! `tracing_appender::non_blocking` wakes its thread and writes to the file once for every line; on two cores that cost as
//! much as answering the request. Lines are gathered in memory instead, and a thread writes what has gathered every tenth of
//! a second. A process that is killed loses at most that much of its log, never data.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How often what has gathered is written.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that may gather; when the disk is slower than that, further lines are dropped.
const BYTES_MAX: usize = 8 << 20;

/// Where lines gather.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    gathered: Mutex<Vec<u8>>,
    stopped: Mutex<bool>,
    wake: Condvar,
}

/// Writes the last lines when it is dropped.
pub struct LinesGuard {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Starts the thread that writes to `file`.
    pub fn start(mut file: impl Write + Send + 'static) -> io::Result<(Self, LinesGuard)> {
        let lines = Self::default();
        let shared = lines.0.clone();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            loop {
                let stopped = shared.pause();
                std::mem::swap(&mut batch, &mut *shared.gathered.lock().unwrap_or_else(PoisonError::into_inner));
                // There is nowhere to tell that the log can't be written; the next lines may find room again.
                drop(file.write_all(&batch));
                batch.clear();
                if stopped {
                    return;
                }
            }
        })?;
        Ok((lines.clone(), LinesGuard { lines, thread: Some(thread) }))
    }
}

impl Shared {
    /// Waits for the interval, or less when told to stop; whether it was.
    fn pause(&self) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stopped, INTERVAL, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for LinesGuard {
    fn drop(&mut self) {
        *self.lines.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.lines.0.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to write.
            drop(thread.join());
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Gather<'a>;

    fn make_writer(&'a self) -> Gather<'a> {
        Gather(&self.0)
    }
}

/// Takes one line.
pub struct Gather<'a>(&'a Shared);

impl Write for Gather<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.len() + line.len() <= BYTES_MAX {
            gathered.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct File(Arc<Mutex<Vec<u8>>>);

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics with it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_in_the_file_when_the_guard_is_gone() {
        let file = File::default();
        let (lines, guard) = Lines::start(file.clone()).expect("a thread");
        for number in 0..1000 {
            writeln!(lines.make_writer(), "{number}").expect("gathers");
        }
        drop(guard);
        let text = String::from_utf8(file.0.lock().expect("not poisoned").clone()).expect("text");
        assert!(text.lines().map(str::to_owned).eq((0..1000).map(|number| number.to_string())));
    }
}
