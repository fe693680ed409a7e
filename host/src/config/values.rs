//! How the text of a setting becomes a value, and the value text again.

mod conduct;
mod files;
mod jwt;
mod keys;
mod latency;
mod named;
mod secrets;
mod traces;
mod webhook;

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use belljar_bundle::{ByteSize, DurationText, Fuel};
use belljar_sandbox::SlotResetChoice;
use belljar_screen::{Mode, Threshold};
use belljar_testing::world::WorldClock;
use belljar_wall::Hardening;
use secrecy::zeroize::Zeroize as _;

use super::settings::FileMode;
use crate::auth::{JwtAlgorithm, JwtText, ScopeRule, Tier};
use crate::guard::{AnomalyThreshold, ControlCharacters};
use crate::http::{AllowedHost, AllowedOrigin, UnknownMembers};
use crate::limits::{ResetFormat, RouteRate};
use crate::models::{LogReaders, ModelAlias};
use crate::telemetry::{LogFilter, LogFormat};
use crate::testing::{AdapterName, FaultLine};
use crate::tls::{ClientAuth, ClientRule, TlsVersion};
use crate::traces::ResourceAttribute;
use crate::webhook::WebhookEvent;
pub(super) use conduct::{BanTimes, Networks, PrefixBits, Seconds, SinkList};
pub(super) use files::{Files, PathOrNone};
pub(super) use keys::{Keys, TrustedKeys};
pub(super) use named::Named;
pub(super) use secrets::{PrivateKeys, Secret, TextOrNone};
pub(super) use traces::CollectorHeaders;
pub(super) use webhook::{UrlOrNone, WebhookSecrets};

/// A value as it was written, before anybody has understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawValue {
    /// The text of a variable, of a flag, or of a single value of the file.
    Text(String),
    /// An array of the file.
    List(Vec<String>),
}

impl RawValue {
    /// Wipes the text of a secret once it has been read.
    pub(super) fn wipe(&mut self) {
        match self {
            Self::Text(text) => text.zeroize(),
            Self::List(items) => items.zeroize(),
        }
    }

    fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text.trim()),
            Self::List(_) => Err("this is a list, and one value is wanted".to_owned()),
        }
    }

    /// A list: an array of the file, a JSON array of strings, or text separated by commas.
    fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(items) => Ok(items.clone()),
            Self::Text(text) if text.trim_start().starts_with('[') => serde_json::from_str(text)
                // The parser's message could repeat what it read, and that may be a secret.
                .map_err(|_| "this begins like a JSON list of strings and is none".to_owned()),
            Self::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
        }
    }
}

/// A way to read and print values of one type. Implemented by markers, because the same type is
/// written in more than one way: a `u64` may be bytes, fuel or a count.
pub(super) trait ValueParser<T> {
    /// The accepted texts, for messages and the reference.
    const ACCEPTS: &'static str;

    /// Understands a value, or says what is wrong with it.
    fn read(raw: &RawValue) -> Result<T, String>;

    /// The value as it could be written.
    fn show(value: &T) -> String;

    /// What of the machine the value names, which the wall around the server leaves open. Told by
    /// its text where a kind does not say other: an absolute path is a file to read, a URL another
    /// machine to call.
    fn named(value: &T) -> Named {
        Named::by_text(&Self::show(value))
    }
}

/// Yes or no.
pub(super) struct Switch;
/// A whole number from 0.
pub(super) struct Count;
/// A whole number from 1.
pub(super) struct Positive;
/// A number of bytes, at least 1.
pub(super) struct Bytes;
/// A number of bytes, or `auto`, which is kept as 0.
pub(super) struct AutoBytes;
/// A span of time, 0 included.
pub(super) struct Time;
/// A span of time above 0.
pub(super) struct PositiveTime;
/// Units of fuel, at least 1.
pub(super) struct FuelUnits;
/// An address and a port.
pub(super) struct Address;
/// A file or folder.
pub(super) struct FilePath;
/// The form that the type itself reads and prints.
pub(super) struct FromText;
/// A value of another kind, or `none`.
pub(super) struct OrNone<K>(std::marker::PhantomData<K>);
/// A whole number from 1, or `none`.
pub(super) type PositiveOrNone = OrNone<Positive>;
/// A number of bytes, or `none`.
pub(super) type BytesOrNone = OrNone<Bytes>;
/// Units of fuel, or `none`.
pub(super) type FuelOrNone = OrNone<FuelUnits>;
/// Any number of values of one type, or `none`.
pub(super) struct ListOf;

impl ValueParser<bool> for Switch {
    const ACCEPTS: &'static str = "true or false";

    fn read(raw: &RawValue) -> Result<bool, String> {
        match raw.text()?.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("expected {}", <Self as ValueParser<bool>>::ACCEPTS)),
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A switch that can be left to the server. None is `auto`: the value follows from other settings.
impl ValueParser<Option<bool>> for Switch {
    const ACCEPTS: &'static str = "true, false or auto";

    fn read(raw: &RawValue) -> Result<Option<bool>, String> {
        if raw.text()?.eq_ignore_ascii_case("auto") {
            return Ok(None);
        }
        <Self as ValueParser<bool>>::read(raw)
            .map(Some)
            .map_err(|_| format!("expected {}", <Self as ValueParser<Option<bool>>>::ACCEPTS))
    }

    fn show(value: &Option<bool>) -> String {
        value.map_or_else(|| "auto".to_owned(), |on| on.to_string())
    }
}

/// Reads a number into whatever width its field has.
fn number<T: TryFrom<u64>>(raw: &RawValue, least: u64, accepts: &str) -> Result<T, String> {
    let text = raw.text()?.replace('_', "");
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = text
        .parse()
        .ok()
        .filter(|number| digits && *number >= least)
        .ok_or_else(|| format!("expected {accepts}"))?;
    T::try_from(number).map_err(|_| format!("{number} is too large"))
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl ValueParser<$type> for Count {
            const ACCEPTS: &'static str = "a whole number from 0";
            fn read(raw: &RawValue) -> Result<$type, String> {
                number(raw, 0, <Self as ValueParser<$type>>::ACCEPTS)
            }
            fn show(value: &$type) -> String {
                value.to_string()
            }
        }

        impl ValueParser<$type> for Positive {
            const ACCEPTS: &'static str = "a whole number from 1";
            fn read(raw: &RawValue) -> Result<$type, String> {
                number(raw, 1, <Self as ValueParser<$type>>::ACCEPTS)
            }
            fn show(value: &$type) -> String {
                value.to_string()
            }
        }
    )*};
}
numbers!(u32, u64, usize);

impl ValueParser<u64> for Bytes {
    const ACCEPTS: &'static str = "a size such as `10 MiB`, or a number of bytes";

    fn read(raw: &RawValue) -> Result<u64, String> {
        let size: ByteSize = raw.text()?.parse().map_err(|error| format!("{error}"))?;
        match size.as_u64() {
            0 => Err("expected a size above 0".to_owned()),
            bytes => Ok(bytes),
        }
    }

    fn show(value: &u64) -> String {
        ByteSize::bytes(*value).to_string()
    }
}

impl ValueParser<usize> for Bytes {
    const ACCEPTS: &'static str = <Self as ValueParser<u64>>::ACCEPTS;

    fn read(raw: &RawValue) -> Result<usize, String> {
        let bytes = <Self as ValueParser<u64>>::read(raw)?;
        usize::try_from(bytes).map_err(|_| "this is too large".to_owned())
    }

    fn show(value: &usize) -> String {
        ByteSize::bytes(*value as u64).to_string()
    }
}

impl ValueParser<u64> for AutoBytes {
    const ACCEPTS: &'static str = "a size such as `10 GiB`, a number of bytes, or `auto`";

    fn read(raw: &RawValue) -> Result<u64, String> {
        if raw.text()?.eq_ignore_ascii_case("auto") {
            return Ok(0);
        }
        <Bytes as ValueParser<u64>>::read(raw)
    }

    fn show(value: &u64) -> String {
        if *value == 0 {
            "auto".to_owned()
        } else {
            ByteSize::bytes(*value).to_string()
        }
    }
}

impl ValueParser<Duration> for Time {
    const ACCEPTS: &'static str = "a time such as `30 s`, `500 ms` or `2 min`";

    fn read(raw: &RawValue) -> Result<Duration, String> {
        let time: DurationText = raw.text()?.parse().map_err(|error| format!("{error}"))?;
        Ok(time.as_duration())
    }

    fn show(value: &Duration) -> String {
        DurationText::from(*value).to_string()
    }
}

impl ValueParser<Duration> for PositiveTime {
    const ACCEPTS: &'static str = "a time above 0, such as `30 s`, `500 ms` or `2 min`";

    fn read(raw: &RawValue) -> Result<Duration, String> {
        let time = Time::read(raw)?;
        if time.is_zero() {
            Err("expected a time above 0".to_owned())
        } else {
            Ok(time)
        }
    }

    fn show(value: &Duration) -> String {
        Time::show(value)
    }
}

impl ValueParser<u64> for FuelUnits {
    const ACCEPTS: &'static str = "a whole number from 1, in units of fuel";

    fn read(raw: &RawValue) -> Result<u64, String> {
        number(raw, 1, Self::ACCEPTS)
    }

    fn show(value: &u64) -> String {
        Fuel(*value).to_string()
    }
}

impl ValueParser<SocketAddr> for Address {
    const ACCEPTS: &'static str = "an address and a port such as `127.0.0.1:8000` or `[::1]:8000`";

    fn read(raw: &RawValue) -> Result<SocketAddr, String> {
        let text = raw.text()?;
        // The one name that has a fixed meaning. Others would need a look-up, and could mean
        // another address at the next start.
        let text = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        text.parse()
            .map_err(|_| format!("expected {}", <Self as ValueParser<SocketAddr>>::ACCEPTS))
    }

    fn show(value: &SocketAddr) -> String {
        value.to_string()
    }

    fn named(value: &SocketAddr) -> Named {
        Named::listens([*value])
    }
}

impl ValueParser<Option<SocketAddr>> for Address {
    const ACCEPTS: &'static str = "an address and a port such as `127.0.0.1:9000`, or `off`";

    fn read(raw: &RawValue) -> Result<Option<SocketAddr>, String> {
        if raw.text()?.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        <Self as ValueParser<SocketAddr>>::read(raw)
            .map(Some)
            .map_err(|_| {
                format!(
                    "expected {}",
                    <Self as ValueParser<Option<SocketAddr>>>::ACCEPTS
                )
            })
    }

    fn show(value: &Option<SocketAddr>) -> String {
        value.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }

    fn named(value: &Option<SocketAddr>) -> Named {
        Named::listens(*value)
    }
}

impl ValueParser<LogFormat> for FromText {
    const ACCEPTS: &'static str = "text or json";

    fn read(raw: &RawValue) -> Result<LogFormat, String> {
        parsed(raw)
    }

    fn show(value: &LogFormat) -> String {
        value.name().to_owned()
    }
}

impl ValueParser<SlotResetChoice> for FromText {
    const ACCEPTS: &'static str = "auto, pagemap-scan or keep-resident";

    fn read(raw: &RawValue) -> Result<SlotResetChoice, String> {
        match raw.text()? {
            "auto" => Ok(SlotResetChoice::Auto),
            "pagemap-scan" => Ok(SlotResetChoice::PagemapScan),
            "keep-resident" => Ok(SlotResetChoice::KeepResident),
            _ => Err(format!(
                "expected {}",
                <Self as ValueParser<SlotResetChoice>>::ACCEPTS
            )),
        }
    }

    fn show(value: &SlotResetChoice) -> String {
        match value {
            SlotResetChoice::Auto => "auto",
            SlotResetChoice::PagemapScan => "pagemap-scan",
            SlotResetChoice::KeepResident => "keep-resident",
        }
        .to_owned()
    }
}

/// Types that read and print themselves.
macro_rules! plain {
    ($($type:ty: $accepts:literal),* $(,)?) => {$(
        impl ValueParser<$type> for FromText {
            const ACCEPTS: &'static str = $accepts;

            fn read(raw: &RawValue) -> Result<$type, String> {
                parsed(raw)
            }

            fn show(value: &$type) -> String {
                value.to_string()
            }
        }
    )*};
}
plain!(
    WorldClock: "real or virtual",
    LogFilter: "off, error, warn, info, debug or trace; by module as in `info,belljar=debug`",
    ControlCharacters: "remove, refuse or keep",
    Mode: "block, report or off",
    ResetFormat: "unix or duration",
    AnomalyThreshold: "a number from 1 to 40",
    Threshold: "a likelihood above 0 and below 1",
    UnknownMembers: "refuse or ignore",
    FileMode: "three octal digits such as 660",
    Hardening: "auto, required or off",
    ClientAuth: "off, optional or required",
    LogReaders: "none, admin or uploader",
    TlsVersion: "1.2 or 1.3",
    Tier: "free, tier-1, tier-2, tier-3, tier-4 or tier-5",
);

impl<T, K: ValueParser<T>> ValueParser<Option<T>> for OrNone<K> {
    const ACCEPTS: &'static str = K::ACCEPTS;

    fn read(raw: &RawValue) -> Result<Option<T>, String> {
        if raw.text()?.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        K::read(raw)
            .map(Some)
            .map_err(|error| format!("{error}, or `none`"))
    }

    fn show(value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), K::show)
    }

    fn named(value: &Option<T>) -> Named {
        value.as_ref().map(K::named).unwrap_or_default()
    }
}

macro_rules! lists {
    ($($type:ty: $accepts:literal),* $(,)?) => {$(
        impl ValueParser<Vec<$type>> for ListOf {
            const ACCEPTS: &'static str = $accepts;

            fn read(raw: &RawValue) -> Result<Vec<$type>, String> {
                let list = raw.list()?;
                if let [only] = list.as_slice()
                    && only.eq_ignore_ascii_case("none")
                {
                    return Ok(Vec::new());
                }
                let read = |text: &String| {
                    text.trim().parse().map_err(|error| format!("`{text}`: {error}"))
                };
                list.iter().map(read).collect()
            }

            fn show(value: &Vec<$type>) -> String {
                if value.is_empty() {
                    return "none".to_owned();
                }
                let shown: Vec<String> = value.iter().map(ToString::to_string).collect();
                shown.join(", ")
            }

            /// Rules about names, and none that the server would open or call.
            fn named(_: &Vec<$type>) -> Named {
                Named::default()
            }
        }
    )*};
}
lists!(
    AdapterName: "names of models, separated by commas or as JSON, or `none`",
    AllowedOrigin: "a list of origins such as `https://app.example`, separated by commas or as JSON; `*`; or `none`",
    AllowedHost: "a list of names without ports, separated by commas or as JSON; `*`; or `none`",
    ModelAlias: "a list of `ALIAS=MODEL`, separated by commas or as JSON; or `none`",
    RouteRate: "a list of `ROUTE=RPM:TPM`, separated by commas or as JSON; or `none`",
    WebhookEvent: "a list of ban, audit_failure, anomaly and cap_storm, separated by commas or as JSON, or `none`",
    ResourceAttribute: "a list of `NAME=VALUE`, separated by commas or as JSON, or `none`",
    JwtText: "a list of texts, separated by commas or as JSON, or `none`",
    JwtAlgorithm: "a list of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA",
    ScopeRule: "rules such as `ml-users=infer+models:read`, separated by commas or as JSON, or `none`",
    FaultLine: "faults, each a line such as `status=500 next=2`, separated by commas or as JSON, or `none`",
    ClientRule: "rules such as `dns:robot.example=KEY`, separated by commas or as JSON, or `none`",
);

fn parsed<T: FromStr<Err: std::fmt::Display>>(raw: &RawValue) -> Result<T, String> {
    raw.text()?.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(text: &str) -> RawValue {
        RawValue::Text(text.to_owned())
    }

    #[test]
    fn numbers_fit_their_field_and_are_plain_digits() {
        assert_eq!(Count::read(&text("1_000")), Ok(1000_u32));
        for bad in ["-1", "+1", "1.5", "", "0x10", "4294967296", "ten"] {
            assert!(
                <Count as ValueParser<u32>>::read(&text(bad)).is_err(),
                "{bad}"
            );
        }
        assert!(<Positive as ValueParser<u64>>::read(&text("0")).is_err());
    }

    #[test]
    fn addresses_need_a_port() {
        let read = |s| <Address as ValueParser<SocketAddr>>::read(&text(s));
        assert_eq!(read("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        assert!(read("[::1]:8000").is_ok());
        for bad in ["127.0.0.1", "example.org:80", ":80", "127.0.0.1:99999"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_come_in_three_forms() {
        let forms = [
            text("a-key-of-sixteen,another-key-of-16"),
            text(r#" ["a-key-of-sixteen", "another-key-of-16"]"#),
            RawValue::List(vec!["a-key-of-sixteen".into(), "another-key-of-16".into()]),
        ];
        for form in forms {
            assert_eq!(Keys::show(&Keys::read(&form).unwrap()), "2 keys (redacted)");
        }
        let broken = Keys::read(&text(r#"["not-closed-secret""#)).unwrap_err();
        assert!(!broken.contains("secret"), "{broken}");
        assert!(
            Keys::read(&text("short"))
                .unwrap_err()
                .starts_with("key 1:")
        );
    }

    #[test]
    fn amounts_of_nothing_are_refused_where_they_make_no_sense() {
        assert!(<Bytes as ValueParser<u64>>::read(&text("0")).is_err());
        assert!(PositiveTime::read(&text("0 s")).is_err());
        assert_eq!(Time::read(&text("0 s")), Ok(Duration::ZERO));
        assert!(Time::read(&text("10")).is_err(), "seconds or milliseconds?");
    }
}
