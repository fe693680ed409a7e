//! Variables that Kubernetes and Docker put into every container of a namespace for each Service
//! or link by its name. One that is called like this program gives names with this program's
//! prefix, and nobody meant them as settings.

use super::environment::NotUnicode;

/// The protocols of a port, as both write them.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// What may follow the protocol: Kubernetes writes the first three, Docker all.
const PORT_PARTS: [&str; 7] = [
    "ADDR",
    "PORT",
    "PROTO",
    "START",
    "END",
    "PORT_START",
    "PORT_END",
];

/// Those of the names, without the prefix of the program, that a Service or a link has made. What
/// is a setting is not asked about.
pub(super) fn is_of_a_service(name: &str, value: &Result<String, NotUnicode>) -> bool {
    let value = value.as_deref().unwrap_or_default();
    has_part(name, "SERVICE_HOST", |rest| rest.is_empty())
        || has_part(name, "SERVICE_PORT", |rest| {
            (rest.is_empty() || rest.starts_with('_')) && is_number(value)
        })
        || has_part(name, "PORT", |rest| match rest.strip_prefix('_') {
            // Without a number it is known by its value: `tcp://10.96.0.9:8000`.
            None => rest.is_empty() && value.contains("://"),
            Some(port) => is_port(port),
        })
        // Docker's name of a link and the other side's own variables.
        || has_part(name, "NAME", |rest| rest.is_empty() && value.starts_with('/'))
        || has_part(name, "ENV", |rest| rest.starts_with('_'))
}

/// Whether `part` stands in the name, at its beginning or behind a `_`, followed by something
/// that `accepts` takes.
fn has_part(name: &str, part: &str, accepts: impl Fn(&str) -> bool) -> bool {
    name.match_indices(part).any(|(at, _)| {
        let before = name.get(..at).unwrap_or_default();
        let after = name.get(at + part.len()..).unwrap_or_default();
        (before.is_empty() || before.ends_with('_')) && accepts(after)
    })
}

/// `8000_TCP`, `8000_TCP_ADDR` and the like.
fn is_port(text: &str) -> bool {
    let Some((number, rest)) = text.split_once('_') else {
        return false;
    };
    is_number(number)
        && PROTOCOLS.iter().any(|protocol| {
            rest.strip_prefix(protocol).is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix('_')
                        .is_some_and(|part| PORT_PARTS.contains(&part))
            })
        })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_and_docker_write_is_known() {
        for (name, value) in [
            ("SERVICE_HOST", "10.96.0.9"),
            ("SERVICE_HOST", "fd00::9"),
            ("SERVICE_PORT", "8000"),
            ("SERVICE_PORT_HTTP", "8000"),
            ("SERVICE_PORT_METRICS_HTTP", "9000"),
            ("PORT", "tcp://10.96.0.9:8000"),
            ("PORT_8000_TCP", "tcp://10.96.0.9:8000"),
            ("PORT_8000_TCP_ADDR", "10.96.0.9"),
            ("PORT_8000_TCP_PORT", "8000"),
            ("PORT_8000_TCP_START", "tcp://172.17.0.5:8000"),
            ("PORT_8000_TCP_END", "tcp://172.17.0.5:8002"),
            ("PORT_8000_TCP_PROTO", "tcp"),
            ("PORT_53_UDP_PROTO", "udp"),
            ("PORT_9_SCTP", "sctp://10.96.0.9:9"),
            ("METRICS_PORT", "tcp://10.96.0.7:9000"),
            ("METRICS_SERVICE_HOST", "10.96.0.7"),
            ("PORT_PORT_80_TCP_ADDR", "10.96.0.7"),
            ("NAME", "/web/belljar"),
            ("ENV_PATH", "/usr/bin"),
            ("PORT_8000_TCP_PORT_START", "8000"),
            ("PORT_8000_TCP_PORT_END", "8010"),
        ] {
            assert!(is_of_a_service(name, &Ok(value.to_owned())), "{name}");
        }
    }

    #[test]
    fn what_somebody_could_have_meant_as_a_setting_is_not() {
        for (name, value) in [
            ("PORT", "8000"),
            ("LISTN", "0.0.0.0:8000"),
            ("SERVICE_PORT", "eight"),
            ("PORT_TCP", "8000"),
            ("PORT_8000", "1"),
            ("PORT_8000_TCP_NOPE", "1"),
            ("SERVICE_HOSTS", "a"),
            ("NAME", "belljar"),
            ("LOG_LEVLE", "info"),
            ("EXPORT_8000_TCP", "1"),
            ("ENVIRONMENT", "production"),
        ] {
            assert!(!is_of_a_service(name, &Ok(value.to_owned())), "{name}");
        }
    }
}
