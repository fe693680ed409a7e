//! The writer behind all log lines: callers append to a buffer in memory, a thread writes it out
//! a few milliseconds later, many lines in one write.
//!
//! Waking a thread and writing for each line cost a busy server a good part of what it spent on a
//! request. Lines that wait are bounded in bytes: a stuck pipe must neither stop the server nor
//! fill its memory, so what does not fit is dropped and counted.

use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bytes that wait to be written.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// How long lines are gathered before they are written together.
const GATHERING: Duration = Duration::from_millis(5);

/// The entrance for lines. One `write` is one line, whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    is_thread_idle: bool,
    is_closed: bool,
}

/// Writes out what is still waiting when dropped.
#[derive(Debug)]
pub(super) struct LinesGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Starts the thread that writes to `out`.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<(Self, LinesGuard)> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("log".into())
            .spawn(move || write_out(&seen, out))?;
        let guard = LinesGuard {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        Ok((Self(shared), guard))
    }

    /// Lines that found no room so far.
    pub(super) fn dropped(&self) -> u64 {
        self.0.waiting.lock().dropped
    }
}

impl Lines {
    /// Adds one line, or counts it as dropped.
    pub(super) fn append(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len().saturating_add(line.len()) > WAITING_BYTES_MAX {
            waiting.dropped = waiting.dropped.saturating_add(1);
        } else {
            waiting.bytes.extend_from_slice(line);
            if std::mem::take(&mut waiting.is_thread_idle) {
                drop(waiting);
                self.0.changed.notify_all();
            }
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(shared: &Shared, mut out: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut waiting = shared.waiting.lock();
        while waiting.bytes.is_empty() && !waiting.is_closed {
            waiting.is_thread_idle = true;
            shared.changed.wait(&mut waiting);
        }
        if !waiting.is_closed {
            // Ends early when the log is closed, which is when somebody waits for it.
            shared.changed.wait_for(&mut waiting, GATHERING);
        }
        std::mem::swap(&mut batch, &mut waiting.bytes);
        let is_last = waiting.is_closed;
        drop(waiting);
        // A log that cannot be written has nowhere to say so.
        let _ = out.write_all(&batch).and_then(|()| out.flush());
        batch.clear();
        if is_last {
            return;
        }
    }
}

impl Drop for LinesGuard {
    fn drop(&mut self) {
        self.shared.waiting.lock().is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that were written, and in how many pieces.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<(Vec<u8>, u32)>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut paper = self.0.lock();
            paper.0.extend_from_slice(bytes);
            paper.1 += 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_there_at_the_end_in_few_writes() {
        let paper = Paper::default();
        let (lines, guard) = Lines::to(paper.clone()).unwrap();
        let mut expected = Vec::new();
        for number in 0..10_000 {
            let line = format!("line {number}\n");
            lines.clone().write_all(line.as_bytes()).unwrap();
            expected.extend_from_slice(line.as_bytes());
        }
        drop(guard);
        let paper = paper.0.lock();
        assert!(paper.0 == expected, "each line once, in order");
        assert!(paper.1 < 5_000, "{} writes", paper.1);
        assert_eq!(lines.dropped(), 0);
    }

    #[test]
    fn a_stuck_reader_costs_a_bounded_buffer_and_the_lost_are_counted() {
        /// Blocks until it is let go.
        struct Stuck(Arc<Mutex<()>>);

        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                drop(self.0.lock());
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock();
        let (lines, guard) = Lines::to(Stuck(Arc::clone(&gate))).unwrap();
        let line = vec![b'x'; 1 << 20];
        // One buffer may be in the writer's hands, one full, and the rest finds no room.
        for _ in 0..40 {
            lines.clone().write_all(&line).unwrap();
        }
        assert!(lines.dropped() >= 40 - 2 * 8);
        drop(held);
        drop(guard);
    }
}
