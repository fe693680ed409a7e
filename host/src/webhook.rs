//! Tells a server of the operator's of security events, as they are recorded: bans, failures of
//! the audit log, anomalies, storms of caps.
//!
//! The audit log hands over the events that are wanted, into a queue with an end; one task sends
//! them, one after the other, signed in the form of Standard Webhooks, and tries again for a
//! bounded time. Nothing waits for it: what finds no room, or nobody who takes it, is counted.

mod config;
mod message;
mod secret;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::Method;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::audit::{EventKind, EventListener, Told, WantedEvents};
use crate::clock::Clock;
use crate::outgoing::{Outgoing, OutgoingError, pause};
use crate::telemetry::metrics;
use crate::traces::TraceContext;
pub use config::{Config, InvalidUrl, UnknownEvent, WebhookEvent, WebhookUrl};
use message::Message;
pub(crate) use secret::SECRETS_MAX;
pub use secret::{InvalidSecret, WebhookSecret};

/// The time for which a stop goes on sending what is queued.
const STOP_MAX: Duration = Duration::from_secs(2);

/// The status of an answer that wants no more messages.
const GONE: u16 = 410;

/// The webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file of the secret.
    #[error("the secret of the webhook cannot be read from {path}: {source}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// What the file holds.
    #[error("the secret of the webhook in {path} is none: {source}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidSecret,
    },
    /// The client.
    #[error("the client of the webhook cannot be set up: {0}")]
    Client(#[from] OutgoingError),
}

/// What sends events to the operator's server.
pub struct Webhook {
    settings: WebhookSettings,
    clock: Clock,
    queue: mpsc::Receiver<Told>,
}

/// Where messages go and which, as it holds now. Cheap to clone.
#[derive(Clone)]
pub struct WebhookSettings(Arc<Shared>);

struct Shared {
    target: ArcSwapOption<Target>,
    wanted: WantedEvents,
}

/// Settings that can be used: the secrets were read, the client is set up.
pub struct PreparedWebhook {
    target: Option<Target>,
    kinds: Vec<EventKind>,
}

/// Where messages go, and how.
struct Target {
    http: Outgoing,
    url: WebhookUrl,
    secrets: Vec<WebhookSecret>,
    retry_first: Duration,
    retry_time: Duration,
}

/// What became of an attempt.
enum Attempt {
    Taken,
    /// It may be taken another time.
    Failed(&'static str),
    /// The server wants no more.
    Gone,
}

impl Webhook {
    /// Sets up the webhook, and what the audit log is to hand events to: none while no address is
    /// set.
    ///
    /// # Errors
    ///
    /// When the secret cannot be read.
    pub fn open(config: &Config, clock: Clock) -> Result<(EventListener, Self), WebhookError> {
        let settings = WebhookSettings(Arc::new(Shared {
            target: ArcSwapOption::empty(),
            wanted: WantedEvents::default(),
        }));
        settings.take_up(PreparedWebhook::of(config)?);
        let (sender, queue) = mpsc::channel(config.queue_max);
        let listener = EventListener::new(settings.0.wanted.clone(), sender);
        let webhook = Self {
            settings,
            clock,
            queue,
        };
        Ok((listener, webhook))
    }

    /// Where messages go and which, to be changed while they are sent.
    #[must_use]
    pub fn settings(&self) -> WebhookSettings {
        self.settings.clone()
    }

    /// Sends what the audit log hands over until `stop`, and then for a moment what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let told = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                told = self.queue.recv() => told,
            };
            let Some(message) = told.map(|told| Message::of(&told)) else {
                return;
            };
            metrics::WEBHOOK_QUEUED
                .handle()
                .set(self.queue.len() as f64);
            let outcome = tokio::select! {
                outcome = self.deliver(&message) => outcome,
                () = stop.cancelled() => {
                    self.end(Some(message)).await;
                    return;
                }
            };
            count(outcome);
        }
        self.end(None).await;
    }

    /// Tries until a message is taken, or its time is over.
    async fn deliver(&self, message: &Message) -> &'static str {
        let begun = Instant::now();
        for attempt in 0.. {
            // Each attempt goes where messages go by then.
            let Some(target) = self.settings.0.target.load_full() else {
                return "dropped";
            };
            let why = match self.attempt(&target, message).await {
                Attempt::Taken => return "ok",
                Attempt::Gone => "it wants no more (410)",
                Attempt::Failed(why) => {
                    let pause = pause(attempt, target.retry_first, rand::random());
                    if begun.elapsed() + pause < target.retry_time {
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    why
                }
            };
            tracing::warn!(
                event = message.event,
                message = %message.id,
                "the webhook has not taken a message: {why}"
            );
            break;
        }
        "failed"
    }

    async fn attempt(&self, target: &Target, message: &Message) -> Attempt {
        let timestamp = self.clock.now().as_second().to_string();
        let signatures: Vec<_> = target
            .secrets
            .iter()
            .map(|secret| secret.sign(&message.id, &timestamp, &message.body))
            .collect();
        let mut request = target
            .http
            .request(Method::POST, target.url.full().clone())
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(message.body.clone());
        for (name, value) in message.trace.iter().flat_map(TraceContext::headers) {
            request = request.header(name, value);
        }
        let attempt = match request.send().await {
            // Nothing of the answer's body is read: its head says all, and it may be endless.
            Ok(answer) if answer.status().is_success() => Attempt::Taken,
            Ok(answer) if answer.status().as_u16() == GONE => Attempt::Gone,
            Ok(_) => Attempt::Failed("it answered with an error"),
            Err(error) if error.is_timeout() => Attempt::Failed("it did not answer in time"),
            // The error would name the address, which may hold a token.
            Err(_) => Attempt::Failed("it cannot be reached"),
        };
        let outcome = match attempt {
            Attempt::Taken => "ok",
            Attempt::Gone | Attempt::Failed(_) => "failed",
        };
        metrics::WEBHOOK_ATTEMPTS
            .with([("outcome", outcome.into())])
            .increment(1);
        attempt
    }

    /// Tries once with each message that is left, for a bounded time.
    async fn end(&mut self, first: Option<Message>) {
        self.queue.close();
        let deadline = Instant::now() + STOP_MAX;
        let mut next = first;
        loop {
            let message = match next.take() {
                Some(message) => message,
                None => match self.queue.try_recv() {
                    Ok(told) => Message::of(&told),
                    Err(_) => break,
                },
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let target = self.settings.0.target.load_full();
            let taken = match target {
                Some(target) => timeout(left, self.attempt(&target, &message)).await,
                None => Ok(Attempt::Gone),
            };
            match taken {
                Ok(Attempt::Taken) => count("ok"),
                _ => count("dropped"),
            }
        }
        metrics::WEBHOOK_QUEUED.handle().set(0.0);
    }
}

impl WebhookSettings {
    /// Sends messages by other settings from now on, those that wait included. Where there is no
    /// address any more, these are dropped.
    pub fn take_up(&self, prepared: PreparedWebhook) {
        let PreparedWebhook { target, kinds } = prepared;
        self.0.target.store(target.map(Arc::new));
        self.0.wanted.set(kinds);
    }
}

impl PreparedWebhook {
    /// Reads what the settings name, and takes up nothing. The length of the queue stays.
    ///
    /// # Errors
    ///
    /// When the secret cannot be read.
    pub fn of(config: &Config) -> Result<Self, WebhookError> {
        let Some(url) = config.url.clone() else {
            return Ok(Self {
                target: None,
                kinds: Vec::new(),
            });
        };
        let mut secrets = config.secrets.clone();
        if let Some(path) = &config.secret_file {
            secrets.extend(secret::read(path)?);
        }
        let http = match url.full().scheme() {
            // Nobody's certificate is looked at, and a machine without authorities will do.
            "http" => Outgoing::without_tls(config.timeout)?,
            _ => Outgoing::new(config.timeout, &[])?,
        };
        let kinds = config.events.iter().flat_map(|event| event.kinds());
        Ok(Self {
            kinds: kinds.copied().collect(),
            target: Some(Target {
                http,
                url,
                secrets,
                retry_first: config.retry_first,
                retry_time: config.retry_time,
            }),
        })
    }
}

fn count(outcome: &'static str) {
    metrics::WEBHOOK_MESSAGES
        .with([("outcome", outcome.into())])
        .increment(1);
}
