//! The settings of traces.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{self, HeaderName, HeaderValue};

use crate::net::NetworkList;
use crate::outgoing::{address_in, is_this_machine};

/// The settings of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where spans go; none for no traces.
    pub endpoint: Option<CollectorUrl>,
    /// What goes with them, such as a token.
    pub headers: Vec<CollectorHeader>,
    /// Files with the authorities that vouch for the collector.
    pub authorities: Vec<PathBuf>,
    /// Whether spans may go to another machine over plain HTTP.
    pub allow_http: bool,
    /// The share of requests whose spans are kept.
    pub sample: SampleRatio,
    /// Networks whose word holds that a request's spans are kept.
    pub parent_networks: NetworkList,
    /// The name of this server among others.
    pub service_name: ServiceName,
    /// What else is said of this server.
    pub attributes: Vec<ResourceAttribute>,
    /// The longest time that one attempt may take.
    pub timeout: Duration,
    /// The pause after the first attempt that has failed.
    pub retry_first: Duration,
    /// The time after which spans are given up.
    pub retry_time: Duration,
    /// Spans that wait; more are dropped and counted.
    pub queue_max: usize,
    /// Spans in one message.
    pub batch_max: usize,
    /// How long a span waits for others to be sent with.
    pub batch_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: Vec::new(),
            authorities: Vec::new(),
            allow_http: false,
            sample: SampleRatio(1.0),
            parent_networks: NetworkList::EMPTY,
            service_name: ServiceName("belljar".to_owned()),
            attributes: Vec::new(),
            timeout: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            retry_time: Duration::from_mins(1),
            queue_max: 8_192,
            batch_max: 512,
            batch_delay: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The contradictions between settings, each with the key at fault.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut refuse = |when: bool, key, why: &str| {
            if when {
                found.push((key, why.to_owned()));
            }
        };
        let Some(endpoint) = &self.endpoint else {
            refuse(
                *self != Self::default(),
                "traces.endpoint",
                "something is said of traces and not where they go",
            );
            return found;
        };
        refuse(
            !endpoint.is_private() && !self.allow_http,
            "traces.endpoint",
            "spans would go to another machine in the clear: use https, or say \
             `traces.allow_http = true`",
        );
        refuse(
            endpoint.is_plain() && !self.authorities.is_empty(),
            "traces.ca",
            "nobody's certificate is looked at over plain HTTP: use https in `traces.endpoint`",
        );
        refuse(
            self.batch_max > self.queue_max,
            "traces.batch_max",
            "one message has more spans than may wait (`traces.queue_max`)",
        );
        refuse(
            is_double(self.headers.iter().map(|header| header.name.as_str())),
            "traces.headers",
            "a header is given twice",
        );
        refuse(
            is_double(
                self.attributes
                    .iter()
                    .map(|attribute| attribute.name.as_str()),
            ),
            "traces.attributes",
            "an attribute is given twice",
        );
        found
    }
}

fn is_double<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut names: Vec<_> = names.collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() < count
}

/// The path of traces below that of a collector.
const TRACES_PATH: [&str; 2] = ["v1", "traces"];

/// The address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl(Url);

/// The text is no address of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address such as `http://127.0.0.1:4318`, without a user, a query or a fragment: \
     a token goes into `traces.headers`"
)]
pub struct InvalidCollectorUrl;

impl CollectorUrl {
    /// Where spans are sent: `/v1/traces` below the address, which may have it itself.
    pub(super) fn of_traces(&self) -> Url {
        let mut url = self.0.clone();
        let is_whole = url.path().trim_end_matches('/').ends_with("/v1/traces");
        // Both schemes have a path.
        if !is_whole && let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(TRACES_PATH);
        }
        url
    }

    /// Whether nothing is encrypted.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether what is sent there stays on this machine, or is encrypted.
    fn is_private(&self) -> bool {
        let is_mapped = || address_in(&self.0).is_some_and(|ip| ip.to_canonical().is_loopback());
        !self.is_plain() || is_this_machine(&self.0) || is_mapped()
    }
}

impl FromStr for CollectorUrl {
    type Err = InvalidCollectorUrl;

    fn from_str(text: &str) -> Result<Self, InvalidCollectorUrl> {
        let url: Url = text.trim().parse().map_err(|_| InvalidCollectorUrl)?;
        let is_usable = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_usable.then_some(Self(url)).ok_or(InvalidCollectorUrl)
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share of requests, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatio(f64);

/// The text is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 0 to 1")]
pub struct InvalidRatio;

impl SampleRatio {
    /// Whether a request is among them, by a chance from 0 to 1.
    pub(super) fn takes(self, chance: f64) -> bool {
        chance < self.0
    }
}

impl FromStr for SampleRatio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, InvalidRatio> {
        let ratio: f64 = text.parse().map_err(|_| InvalidRatio)?;
        let is_share = (0.0..=1.0).contains(&ratio);
        is_share.then_some(Self(ratio)).ok_or(InvalidRatio)
    }
}

impl fmt::Display for SampleRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Characters of a name or a value that is said of the server.
const TEXT_CHARACTERS_MAX: usize = 255;

fn is_text(text: &str) -> bool {
    let count = text.chars().count();
    (1..=TEXT_CHARACTERS_MAX).contains(&count) && !text.contains(char::is_control)
}

/// The name of a server among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(pub(super) String);

/// The text is no name of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {TEXT_CHARACTERS_MAX} characters that can be printed")]
pub struct InvalidServiceName;

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(text: &str) -> Result<Self, InvalidServiceName> {
        let name = is_text(text).then(|| Self(text.to_owned()));
        name.ok_or(InvalidServiceName)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no name with a value. It is not repeated: it may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPair {
    /// It has another form.
    #[error("expected a name, `=` and a value")]
    Form,
    /// The header is one that follows from the message.
    #[error("this header follows from what is sent")]
    Reserved,
    /// The attribute is one that the server gives itself.
    #[error("the server says this itself: `service.name` is the setting `traces.service_name`")]
    Own,
}

/// Headers that follow from the message.
const RESERVED: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// A header that goes with each message. Its value is not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorHeader {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl CollectorHeader {
    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl FromStr for CollectorHeader {
    type Err = InvalidPair;

    fn from_str(text: &str) -> Result<Self, InvalidPair> {
        let (name, value) = text.split_once('=').ok_or(InvalidPair::Form)?;
        let name: HeaderName = name.trim().parse().map_err(|_| InvalidPair::Form)?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| InvalidPair::Form)?;
        if value.is_empty() {
            return Err(InvalidPair::Form);
        }
        if RESERVED.contains(&name) {
            return Err(InvalidPair::Reserved);
        }
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

/// Attributes that the server gives itself.
pub(super) const OWN_ATTRIBUTES: [&str; 3] =
    ["service.name", "service.version", "service.instance.id"];

/// What is said of this server beside its name, such as `deployment.environment.name=production`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAttribute {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for ResourceAttribute {
    type Err = InvalidPair;

    fn from_str(text: &str) -> Result<Self, InvalidPair> {
        let (name, value) = text.split_once('=').ok_or(InvalidPair::Form)?;
        let (name, value) = (name.trim(), value.trim());
        if !is_text(name) || !is_text(value) {
            return Err(InvalidPair::Form);
        }
        if OWN_ATTRIBUTES.contains(&name) {
            return Err(InvalidPair::Own);
        }
        let (name, value) = (name.to_owned(), value.to_owned());
        Ok(Self { name, value })
    }
}

impl fmt::Display for ResourceAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn spans_go_below_the_address_of_a_collector() {
        for (text, goes_to) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example/", "https://otlp.example/v1/traces"),
            ("https://otlp.example/a", "https://otlp.example/a/v1/traces"),
            (
                "https://otlp.example/a/v1/traces",
                "https://otlp.example/a/v1/traces",
            ),
        ] {
            let url: CollectorUrl = text.parse().unwrap();
            assert_eq!(url.of_traces().as_str(), goes_to);
        }
        for text in [
            "",
            "otlp.example:4317",
            "grpc://otlp.example",
            "https://me:word@otlp.example",
            "https://otlp.example/?token=x",
            "https://otlp.example/#x",
        ] {
            assert_eq!(text.parse::<CollectorUrl>(), Err(InvalidCollectorUrl));
        }
    }

    #[test]
    fn a_header_is_not_printed_and_does_not_change_the_message() {
        let header: CollectorHeader = "Authorization=Bearer a=SECRET".parse().unwrap();
        assert_eq!(header.name(), "authorization");
        assert_eq!(header.value, "Bearer a=SECRET");
        assert!(!format!("{header:?}").contains("SECRET"));
        for bad in ["", "SECRET", "=SECRET", "a=", "a b=SECRET", "a=SECRET\n1"] {
            let refused = bad.parse::<CollectorHeader>().unwrap_err();
            assert_eq!(refused, InvalidPair::Form, "{bad}");
        }
        let refused = "Content-Type=text/plain".parse::<CollectorHeader>();
        assert_eq!(refused, Err(InvalidPair::Reserved));
        let own = "service.name=x".parse::<ResourceAttribute>();
        assert_eq!(own, Err(InvalidPair::Own));
    }

    #[test]
    fn a_ratio_is_a_share() {
        for good in ["0", "0.25", "1", "1e-3"] {
            assert!(good.parse::<SampleRatio>().is_ok(), "{good}");
        }
        for bad in ["", "-0.1", "1.1", "NaN", "inf", "50%"] {
            assert_eq!(bad.parse::<SampleRatio>(), Err(InvalidRatio), "{bad}");
        }
        let taken = |ratio: &str, chance| ratio.parse::<SampleRatio>().unwrap().takes(chance);
        assert!(taken("1", 0.999_999) && taken("0.5", 0.4));
        assert!(!taken("0", 0.0) && !taken("0.5", 0.5));
    }
}
