//! The thread that writes: gathers a batch, chains it, writes it to every sink and syncs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::oneshot;

use super::chain::{self, Link};
use super::cut::{self, AuditCut};
use super::file::{ChainedFile, Checkpoint};
use super::sinks::{Syslog, print};
use super::{Actor, AuditConfig, Event, EventKind, EventListener, Shared};
use crate::clock::Clock;
use crate::telemetry::metrics;

/// The time for which events that strangers cause are gathered before they are written and synced
/// together. What an administrator does is written at once, with what has come before it.
const GATHERING: Duration = Duration::from_millis(100);

/// Events of one batch.
const BATCH_MAX: usize = 1_024;

/// The time between two attempts at a log that fails, and between two looks for summaries.
const TICK: Duration = Duration::from_secs(1);

/// A message from a recorder.
#[derive(Debug)]
pub(super) enum Message {
    Event(Timestamp, Box<Event>),
    /// Answered when everything before it is on disk, or has failed.
    Flush(oneshot::Sender<()>),
    /// Answered with the log that has everything before it.
    Cut(oneshot::Sender<io::Result<AuditCut>>),
    Close,
}

pub(super) struct Writer {
    config: AuditConfig,
    path: PathBuf,
    checkpoint_path: PathBuf,
    clock: Clock,
    shared: Arc<Shared>,
    /// The file; none while it cannot be opened, and where none is wanted.
    file: Option<ChainedFile>,
    syslog: Option<Syslog>,
    /// The chain where there is no file.
    link: Link,
    /// Events about the log itself, to be written first.
    notes: Vec<Event>,
    /// Who hears of events as they are recorded.
    listener: Option<EventListener>,
    /// Whether the listener has heard that the log cannot be written.
    failure_is_told: bool,
}

impl Writer {
    pub(super) fn open(
        config: &AuditConfig,
        data_dir: &Path,
        clock: Clock,
        shared: Arc<Shared>,
        listener: Option<EventListener>,
    ) -> io::Result<Self> {
        let checkpoint_path = AuditConfig::checkpoint(data_dir);
        let syslog = config.sinks.syslog.then(|| Syslog::open(&config.syslog));
        let mut writer = Self {
            config: config.clone(),
            path: config.file(data_dir),
            link: Checkpoint::read(&checkpoint_path)
                .map_or_else(Link::genesis, |checkpoint| checkpoint.last),
            checkpoint_path,
            clock,
            shared,
            file: None,
            syslog: syslog.transpose()?,
            notes: Vec::new(),
            listener,
            failure_is_told: false,
        };
        writer.reopen()?;
        Ok(writer)
    }

    /// Opens the file, where one is wanted and none is open.
    fn reopen(&mut self) -> io::Result<()> {
        if self.file.is_some() || !self.config.sinks.file {
            return Ok(());
        }
        let (file, notes) = ChainedFile::open(
            &self.path,
            &self.checkpoint_path,
            self.config.file_bytes_max,
            self.config.files_max,
        )?;
        for note in &notes {
            tracing::warn!(event = note.kind.name(), "the audit log was not left whole");
        }
        self.link = file.link().clone();
        self.file = Some(file);
        self.notes.extend(notes);
        Ok(())
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let mut batch = Batch::default();
            match messages.recv_timeout(TICK) {
                Ok(message) => batch.add(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => batch.is_last = true,
            }
            batch.gather(messages);
            let summaries = self.shared.throttle.lock().summaries(self.clock.elapsed());
            let now = self.clock.now();
            batch
                .events
                .extend(summaries.into_iter().map(|event| (now, event)));
            self.write(&batch.events);
            for cut in batch.cuts {
                // This thread alone writes the files.
                let _ = cut.send(cut::cut(&self.path, &self.checkpoint_path));
            }
            for done in batch.waiting {
                // Whoever waited may have gone.
                let _ = done.send(());
            }
            if batch.is_last {
                return;
            }
        }
    }

    /// Writes a batch to all sinks, with what is to be noted about the log itself before it.
    fn write(&mut self, events: &[(Timestamp, Event)]) {
        let now = self.clock.now();
        // Also what the log itself may lose.
        self.tell(events);
        if let Err(error) = self.reopen() {
            tracing::error!("the audit log cannot be opened: {error}");
            self.fail(now, events.len() as u64);
            return;
        }
        let mut notes: Vec<(Timestamp, Event)> =
            self.notes.iter().map(|note| (now, note.clone())).collect();
        let lost = self.shared.lost.load(Ordering::Acquire);
        if lost > 0 || self.shared.is_failing.load(Ordering::Acquire) {
            let about = [("events", json!(lost))];
            notes.push((
                now,
                Event::new(EventKind::AuditEventsLost, Actor::default(), &about),
            ));
        }
        let mut link = self.link.clone();
        let mut lines = Vec::new();
        for (time, event) in notes.iter().chain(events) {
            let (line, next) = chain::line(&link, *time, event);
            link = next;
            lines.push((*time, line));
        }
        if lines.is_empty() {
            return;
        }
        let mut text = Vec::new();
        for (_, line) in &lines {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        if !self.write_file(&text, &link) {
            self.fail(now, events.len() as u64);
            return;
        }
        self.tell(&notes);
        self.failure_is_told = false;
        self.link = link;
        self.notes.clear();
        self.shared.lost.fetch_sub(lost, Ordering::AcqRel);
        self.shared.is_failing.store(false, Ordering::Release);
        for (_, event) in notes.iter().chain(events) {
            metrics::AUDIT_EVENTS
                .with([("event", event.kind.name().into())])
                .increment(1);
        }
        self.tell_others(&text, &lines);
    }

    fn tell(&self, events: &[(Timestamp, Event)]) {
        if let Some(listener) = &self.listener {
            for (time, event) in events {
                listener.tell(*time, event);
            }
        }
    }

    /// Counts events that could not be written, and tells of it once.
    fn fail(&mut self, now: Timestamp, events: u64) {
        self.shared.lose(events, "file");
        if !std::mem::replace(&mut self.failure_is_told, true) {
            let about = [("events", json!(events))];
            let lost = Event::new(EventKind::AuditEventsLost, Actor::default(), &about);
            self.tell(&[(now, lost)]);
        }
    }

    /// Whether what has to be on disk is.
    fn write_file(&mut self, text: &[u8], link: &Link) -> bool {
        let outcome = match &mut self.file {
            Some(file) => file.append(text, link.clone()),
            // Without a file the checkpoint alone says where the next start goes on.
            None => Checkpoint {
                last: link.clone(),
                base: Link::genesis(),
            }
            .write(&self.checkpoint_path),
        };
        if let Err(error) = outcome {
            tracing::error!("the audit log cannot be written: {error}");
            // What has got through is found out when it is opened again.
            self.file = None;
            return false;
        }
        true
    }

    /// The other sinks: a failure there is counted, and the file has it all.
    fn tell_others(&self, text: &[u8], lines: &[(Timestamp, String)]) {
        let failed = |sink: &'static str, count: usize| {
            metrics::AUDIT_FAILURES
                .with([("sink", sink.into())])
                .increment(count as u64);
        };
        if self.config.sinks.stdout && print(text).is_err() {
            failed("stdout", lines.len());
        }
        if let Some(syslog) = &self.syslog {
            let sent = |(time, line): &&(Timestamp, String)| syslog.send(*time, line).is_err();
            let lost = lines.iter().filter(sent).count();
            if lost > 0 {
                failed("syslog", lost);
            }
        }
    }
}

/// The events that are written together.
#[derive(Default)]
struct Batch {
    events: Vec<(Timestamp, Event)>,
    waiting: Vec<oneshot::Sender<()>>,
    cuts: Vec<oneshot::Sender<io::Result<AuditCut>>>,
    is_urgent: bool,
    is_last: bool,
}

impl Batch {
    fn add(&mut self, message: Message) {
        match message {
            Message::Event(time, event) => {
                self.is_urgent |= !event.kind.is_from_strangers();
                self.events.push((time, *event));
            }
            Message::Flush(done) => {
                self.is_urgent = true;
                self.waiting.push(done);
            }
            Message::Cut(made) => {
                self.is_urgent = true;
                self.cuts.push(made);
            }
            Message::Close => self.is_last = true,
        }
    }

    /// Takes what else is there, and waits a moment for more where nothing is urgent.
    fn gather(&mut self, messages: &Receiver<Message>) {
        let begun = Instant::now();
        while self.events.len() < BATCH_MAX && !self.is_last {
            let patience = if self.is_urgent || self.events.is_empty() {
                Duration::ZERO
            } else {
                GATHERING.saturating_sub(begun.elapsed())
            };
            match messages.recv_timeout(patience) {
                Ok(message) => self.add(message),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.is_last = true,
            }
        }
    }
}
