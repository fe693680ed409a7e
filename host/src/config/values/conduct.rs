//! How the values that conduct is configured with are read and printed: networks, spans, choices.

use std::path::PathBuf;
use std::time::Duration;

use belljar_bundle::DurationText;

use super::{FilePath, FromText, Named, PositiveTime, RawValue, Time, ValueParser};
use crate::audit::{OnFailure, Sinks, SyslogTarget};
use crate::guard::{AnomalyAction, BanDurations};
use crate::http::ProxyProtocol;
use crate::net::{ForwardedHeader, InvalidNetwork, Network, NetworkList};
use crate::secrets::VaultAuth;

/// Networks and single addresses.
pub(in crate::config) struct Networks;
/// A span of time above 0, also as a bare number of seconds: some settings are documented so.
pub(in crate::config) struct Seconds;
/// Three spans of time.
pub(in crate::config) struct BanTimes;
/// Sinks of the audit log.
pub(in crate::config) struct SinkList;
/// Bits of an IPv6 address.
pub(in crate::config) struct PrefixBits;

/// Networks in the list of one setting. Each request walks through some of them.
const NETWORKS_MAX: usize = 1_000;

impl ValueParser<NetworkList> for Networks {
    const ACCEPTS: &'static str =
        "networks such as `10.0.0.0/8` or single addresses, separated by commas or as JSON";

    fn read(raw: &RawValue) -> Result<NetworkList, String> {
        let items = raw.list()?;
        // How an empty list is shown.
        if matches!(items.as_slice(), [none] if none == "none") {
            return Ok(NetworkList::EMPTY);
        }
        let networks: Result<Vec<Network>, InvalidNetwork> =
            items.iter().map(|item| item.parse()).collect();
        let networks = networks.map_err(|error| error.to_string())?;
        NetworkList::new(networks, NETWORKS_MAX).map_err(|error| error.to_string())
    }

    fn show(value: &NetworkList) -> String {
        if value.is_empty() {
            "none".to_owned()
        } else {
            value.to_string()
        }
    }
}

impl ValueParser<Duration> for Seconds {
    const ACCEPTS: &'static str = "a time such as `5 min` or `1 h`, or a number of seconds";

    fn read(raw: &RawValue) -> Result<Duration, String> {
        let time = span(raw.text()?)?;
        if time.is_zero() {
            return Err("expected a time above 0".to_owned());
        }
        Ok(time)
    }

    fn show(value: &Duration) -> String {
        PositiveTime::show(value)
    }
}

/// A span with the units of the other settings, or bare seconds.
fn span(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let span: DurationText = text.parse().map_err(|error| format!("{error}"))?;
    Ok(span.as_duration())
}

impl ValueParser<BanDurations> for BanTimes {
    const ACCEPTS: &'static str =
        "three times that do not get shorter, such as `5m,1h,24h`, separated by commas or as JSON";

    fn read(raw: &RawValue) -> Result<BanDurations, String> {
        let times = raw.list()?;
        let times: Vec<Duration> = times
            .iter()
            .map(|text| span(text))
            .collect::<Result<_, _>>()?;
        if times.iter().any(Duration::is_zero) {
            return Err("expected times above 0".to_owned());
        }
        times
            .try_into()
            .map(BanDurations)
            .map_err(|times: Vec<_>| format!("expected three times, and there are {}", times.len()))
    }

    fn show(value: &BanDurations) -> String {
        value.0.each_ref().map(Time::show).join(", ")
    }
}

impl ValueParser<u8> for PrefixBits {
    const ACCEPTS: &'static str = "a number of bits from 1 to 128";

    fn read(raw: &RawValue) -> Result<u8, String> {
        let bits = raw.text()?.parse().ok();
        bits.filter(|bits| (1..=128).contains(bits))
            .ok_or_else(|| format!("expected {}", Self::ACCEPTS))
    }

    fn show(value: &u8) -> String {
        value.to_string()
    }
}

impl ValueParser<Sinks> for SinkList {
    const ACCEPTS: &'static str = "a list of `file`, `stdout` and `syslog`, or `off`";

    fn read(raw: &RawValue) -> Result<Sinks, String> {
        let mut sinks = Sinks::default();
        let items = raw.list()?;
        if matches!(items.as_slice(), [off] if off.eq_ignore_ascii_case("off")) {
            return Ok(sinks);
        }
        for item in &items {
            match item.to_ascii_lowercase().as_str() {
                "file" => sinks.file = true,
                "stdout" => sinks.stdout = true,
                "syslog" => sinks.syslog = true,
                _ => return Err(format!("expected {}", Self::ACCEPTS)),
            }
        }
        if items.is_empty() {
            return Err(format!("expected {}", Self::ACCEPTS));
        }
        Ok(sinks)
    }

    fn show(value: &Sinks) -> String {
        let names = value.names();
        if names.is_empty() {
            "off".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl ValueParser<Option<PathBuf>> for FilePath {
    const ACCEPTS: &'static str = "a path, or `auto`";

    fn read(raw: &RawValue) -> Result<Option<PathBuf>, String> {
        if raw.text()?.eq_ignore_ascii_case("auto") {
            return Ok(None);
        }
        if raw.text()?.contains(char::is_control) {
            return Err("a path of this server has no control characters".to_owned());
        }
        <Self as ValueParser<PathBuf>>::read(raw).map(Some)
    }

    fn show(value: &Option<PathBuf>) -> String {
        value
            .as_ref()
            .map_or_else(|| "auto".to_owned(), <Self as ValueParser<PathBuf>>::show)
    }

    fn named(value: &Option<PathBuf>) -> Named {
        Named::files(value)
    }
}

impl ValueParser<SyslogTarget> for FromText {
    const ACCEPTS: &'static str = "a socket such as `/dev/log`, or `udp:ADDRESS:PORT`";

    fn read(raw: &RawValue) -> Result<SyslogTarget, String> {
        super::parsed(raw)
    }

    fn show(value: &SyslogTarget) -> String {
        value.to_string()
    }

    /// A socket that is sent to, which landlock does not keep; its folder has devices.
    fn named(_: &SyslogTarget) -> Named {
        Named::default()
    }
}

/// Types with a name for each of a few values.
macro_rules! choices {
    ($($type:ty: [$($value:expr),*], $accepts:literal;)*) => {$(
        impl ValueParser<$type> for FromText {
            const ACCEPTS: &'static str = $accepts;

            fn read(raw: &RawValue) -> Result<$type, String> {
                let text = raw.text()?.to_ascii_lowercase();
                [$($value),*]
                    .into_iter()
                    .find(|choice: &$type| choice.name() == text)
                    .ok_or_else(|| format!("expected {}", <Self as ValueParser<$type>>::ACCEPTS))
            }

            fn show(value: &$type) -> String {
                value.name().to_owned()
            }
        }
    )*};
}
choices!(
    ForwardedHeader: [
        ForwardedHeader::Auto,
        ForwardedHeader::XForwardedFor,
        ForwardedHeader::Forwarded
    ], "auto, x-forwarded-for or forwarded";
    AnomalyAction: [
        AnomalyAction::Off,
        AnomalyAction::Report,
        AnomalyAction::Slow,
        AnomalyAction::Ban
    ], "off, report, slow or ban";
    OnFailure: [OnFailure::Continue, OnFailure::Refuse], "continue or refuse";
    VaultAuth: [VaultAuth::Token, VaultAuth::AppRole, VaultAuth::Kubernetes],
        "token, approle or kubernetes";
    ProxyProtocol: [ProxyProtocol::Off, ProxyProtocol::Required], "off or required";
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(text: &str) -> RawValue {
        RawValue::Text(text.to_owned())
    }

    #[test]
    fn spans_are_read_as_they_are_documented() {
        for (given, seconds) in [
            ("3600", 3600),
            ("5m", 300),
            ("5 m", 300),
            ("5 min", 300),
            ("1h", 3600),
            ("24h", 86_400),
            ("7 s", 7),
        ] {
            assert_eq!(
                Seconds::read(&text(given)),
                Ok(Duration::from_secs(seconds)),
                "{given}"
            );
        }
        for bad in ["", "0", "m", "-5", "5 parsecs", "0 s"] {
            assert!(Seconds::read(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn three_durations_make_a_ladder() {
        let read = BanTimes::read(&text("5m,1h,24h")).unwrap();
        assert_eq!(read, BanDurations::default());
        assert_eq!(BanTimes::read(&text(&BanTimes::show(&read))), Ok(read));
        for bad in ["5m", "5m,1h", "5m,1h,24h,48h", "0,1h,2h", "a,b,c"] {
            assert!(BanTimes::read(&text(bad)).is_err(), "{bad}");
        }
    }
}
