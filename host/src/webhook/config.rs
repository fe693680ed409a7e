//! The settings of the webhook.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

use super::secret::WebhookSecret;
use crate::audit::EventKind;
use crate::outgoing::{address_in, is_this_machine};

/// The settings of the webhook.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where messages go; none for no webhook.
    pub url: Option<WebhookUrl>,
    /// What messages are signed with: with each, so that it can be exchanged.
    pub secrets: Vec<WebhookSecret>,
    /// A file with such secrets, a line each.
    pub secret_file: Option<PathBuf>,
    /// What is told.
    pub events: Vec<WebhookEvent>,
    /// Whether messages may go to another machine over plain HTTP.
    pub allow_http: bool,
    /// The longest time that one attempt may take.
    pub timeout: Duration,
    /// The pause after the first attempt that has failed.
    pub retry_first: Duration,
    /// The time after which a message is given up.
    pub retry_time: Duration,
    /// Messages that wait; more are dropped and counted.
    pub queue_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            secrets: Vec::new(),
            secret_file: None,
            events: WebhookEvent::ALL.to_vec(),
            allow_http: false,
            timeout: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            retry_time: Duration::from_mins(10),
            queue_max: 1_000,
        }
    }
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookEvent {
    /// Somebody was banned.
    Ban,
    /// The audit log cannot be written, or is not whole.
    AuditFailure,
    /// A caller's conduct is unlike what it has been.
    Anomaly,
    /// Many runs of one model were ended by one cap.
    CapStorm,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ban, Self::AuditFailure, Self::Anomaly, Self::CapStorm];

    /// The name in the settings and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::AuditFailure => "audit_failure",
            Self::Anomaly => "anomaly",
            Self::CapStorm => "cap_storm",
        }
    }

    /// The events of the audit log that it is told for.
    pub(super) fn kinds(self) -> &'static [EventKind] {
        match self {
            Self::Ban => &[EventKind::Ban],
            Self::AuditFailure => &[
                EventKind::AuditEventsLost,
                EventKind::AuditBroken,
                EventKind::AuditTornLine,
                EventKind::AuditLinesMissing,
            ],
            Self::Anomaly => &[EventKind::Anomaly],
            Self::CapStorm => &[EventKind::CapStorm],
        }
    }
}

/// The text names nothing that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ban, audit_failure, anomaly or cap_storm")]
pub struct UnknownEvent;

impl FromStr for WebhookEvent {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let mut all = Self::ALL.into_iter();
        all.find(|event| event.name() == text.trim())
            .ok_or(UnknownEvent)
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where messages go. Its path may hold a token, so it is printed without one.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// The text is no address for a webhook. It is not repeated: it may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as `https://alerts.example/hook`, without a user or a fragment")]
pub struct InvalidUrl;

impl WebhookUrl {
    /// The whole address.
    pub(super) fn full(&self) -> &Url {
        &self.0
    }

    /// Whether what is sent there stays on this machine, or is encrypted.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let is_mapped = || address_in(&self.0).is_some_and(|ip| ip.to_canonical().is_loopback());
        self.0.scheme() == "https" || is_this_machine(&self.0) || is_mapped()
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url: Url = text.trim().parse().map_err(|_| InvalidUrl)?;
        let is_usable = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        is_usable.then_some(Self(url)).ok_or(InvalidUrl)
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (path redacted)",
            self.0.origin().ascii_serialization()
        )
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_token() {
        let url: WebhookUrl = "https://hooks.example:8443/T0/SECRET?key=SECRET"
            .parse()
            .unwrap();
        assert_eq!(
            url.to_string(),
            "https://hooks.example:8443 (path redacted)"
        );
        assert!(!format!("{url:?}").contains("SECRET"));
        for text in [
            "",
            "hooks.example",
            "ftp://hooks.example/",
            "https://",
            "https://me:SECRET@hooks.example/",
            "https://hooks.example/#SECRET",
            "file:///SECRET",
        ] {
            let refused = text.parse::<WebhookUrl>().unwrap_err();
            assert!(!refused.to_string().contains("SECRET"), "{text}");
        }
    }

    #[test]
    fn plain_http_is_private_on_this_machine_alone() {
        for (text, is_private) in [
            ("https://alerts.example/", true),
            ("http://127.0.0.1:9/", true),
            ("http://127.8.8.8/", true),
            ("http://[::1]:9/", true),
            ("http://localhost/", true),
            ("http://0x7f000001/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://10.0.0.1/", false),
            ("http://[::ffff:10.0.0.1]/", false),
        ] {
            let url: WebhookUrl = text.parse().unwrap();
            assert_eq!(url.is_private(), is_private, "{text}");
        }
    }
}
