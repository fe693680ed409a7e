//! `belljar status`: how a running server is, on one page.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::answers::{array, text};
use super::bundles::size;
use super::client::{Client, ClientArgs};
use super::rows::Rows;
use super::{Failure, block_on, output};
use crate::clock::time_of_day;

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 the server is ready, 1 it cannot be asked, 2 the arguments cannot \
                  be used, 3 it answers and is not ready."
)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// The code for a server that answers and is not ready.
const NOT_READY: u8 = 3;

pub(super) fn status(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let status = block_on(async {
        let client = Client::new(&args.client)?;
        let request = client.request(Method::GET, &["admin", "status"]);
        Ok(client.send(request).await?)
    })?;
    if args.json {
        output::json(&status)?;
    } else {
        output::line(page(&status, time_of_day()))?;
        models(array(&status, "models"))?;
    }
    Ok(match text(&status, "state") {
        "ready" => ExitCode::SUCCESS,
        _ => ExitCode::from(NOT_READY),
    })
}

/// Everything but the models, without an end of line.
fn page(status: &Value, now: Timestamp) -> String {
    let part = |name: &str| status.get(name).unwrap_or(&Value::Null);
    let mut rows = Rows::under(format!(
        "belljar {} is {}, up {}",
        text(status, "version"),
        text(status, "state"),
        span(number(status, "uptime_s"))
    ));
    rows.row("listening", &listening(array(status, "listeners")));
    let tls = part("tls");
    if !tls.is_null() {
        rows.row("tls", &spoken(tls, now));
    }
    let data = part("data");
    let mut directory = text(data, "directory").to_owned();
    if !data.get("free_bytes").is_none_or(Value::is_null) {
        let [free, total] = ["free_bytes", "total_bytes"].map(|field| size(number(data, field)));
        directory.push_str(&format!(", {free} free of {total}"));
    }
    rows.row("data", &directory);
    let load = part("load");
    let [connections, streams, running, waiting, slots] =
        ["connections", "streams", "running", "waiting", "slots"].map(|field| number(load, field));
    rows.row(
        "load",
        &format!(
            "{connections} connections, {streams} streams, {running} of {slots} runs, \
             {waiting} waiting"
        ),
    );
    rows.row("last minute", &ended(load.get("last_minute")));
    let memory = part("memory");
    let [guests, most] = ["guest_bytes", "guest_bytes_max"].map(|field| number(memory, field));
    let resident = number(memory, "resident_bytes");
    rows.row(
        "memory",
        &format!(
            "{} in all, of models {} of {}",
            size(resident),
            size(guests),
            size(most)
        ),
    );
    rows.row("models", &in_memory(memory));
    guards(part("guards"), &mut rows);
    rows.row("audit log", &recorded(part("audit")));
    rows.row("reload", &reloaded(part("reload"), now));
    rows.into_text()
}

/// What compiled models take of memory, and how many do.
fn in_memory(memory: &Value) -> String {
    let [bytes, resident, away] =
        ["models_bytes", "models_resident", "models_away"].map(|field| number(memory, field));
    let most = memory.get("models_bytes_max").and_then(Value::as_u64);
    let most = most.map_or_else(String::new, |most| format!(" of {}", size(most)));
    format!(
        "{}{most} mapped, {resident} versions in memory, {away} away",
        size(bytes)
    )
}

fn listening(listeners: &[Value]) -> String {
    let one = |listener: &Value| {
        let scheme = match listener.get("tls").and_then(Value::as_bool) {
            Some(true) => "https://",
            _ if text(listener, "address").starts_with('/') => "",
            _ => "http://",
        };
        let purpose = match text(listener, "for") {
            "api" => String::new(),
            other => format!(" ({other})"),
        };
        format!("{scheme}{}{purpose}", text(listener, "address"))
    };
    let all: Vec<String> = listeners.iter().map(one).collect();
    all.join(", ")
}

fn spoken(tls: &Value, now: Timestamp) -> String {
    let mut told = format!("{} and newer", text(tls, "min_version"));
    match text(tls, "client_auth") {
        "optional" => told.push_str(", clients may show certificates"),
        "required" => told.push_str(", clients must show certificates"),
        _ => {}
    }
    for end in array(tls, "files") {
        let Ok(ends) = text(end, "ends").parse::<Timestamp>() else {
            continue;
        };
        let left_s = ends.duration_since(now).as_secs();
        let left = match u64::try_from(left_s) {
            Ok(left_s) => format!("ends in {}", span(left_s)),
            Err(_) => "HAS ENDED".to_owned(),
        };
        let mark = match end.get("soon").and_then(Value::as_bool) {
            Some(true) if left_s > 0 => " (SOON)",
            _ => "",
        };
        told.push_str(&format!("; {} {left}{mark}", text(end, "file")));
    }
    told
}

/// Runs of the last minute.
fn ended(counts: Option<&Value>) -> String {
    let counts = counts.unwrap_or(&Value::Null);
    let [runs, errors, fuel] = ["runs", "errors", "fuel"].map(|field| number(counts, field));
    format!("{runs} runs, {errors} failed, {} fuel", count(fuel))
}

fn guards(guards: &Value, rows: &mut Rows) {
    let is_on = |name: &str| guards.get(name).and_then(Value::as_bool) == Some(true);
    let all = [
        ("keys required", is_on("keys_required")),
        ("rate limits", is_on("rate_limits")),
        ("bans", is_on("bans")),
        ("input validation", is_on("input_validation")),
        ("networks", is_on("networks")),
    ];
    let named = |wanted: bool| {
        let names = all.iter().filter(|(_, is_on)| *is_on == wanted);
        let names: Vec<&str> = names.map(|(name, _)| *name).collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    };
    rows.row("guards on", &named(true));
    rows.row("guards off", &named(false));
    let places = guards.get("screening").and_then(Value::as_object);
    let modes = ["block", "report", "off"].into_iter().filter_map(|mode| {
        let of_mode = places.into_iter().flatten();
        let of_mode = of_mode.filter(|(_, value)| value.as_str() == Some(mode));
        let names: Vec<&str> = of_mode.map(|(place, _)| place.as_str()).collect();
        (!names.is_empty()).then(|| format!("{mode}: {}", names.join(", ")))
    });
    rows.row("screening", &modes.collect::<Vec<_>>().join("; "));
    let in_force = number(guards, "bans_in_force");
    rows.row("banned", &format!("{in_force} addresses"));
}

fn recorded(audit: &Value) -> String {
    let sinks: Vec<&str> = array(audit, "sinks")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if sinks.is_empty() {
        return "OFF".to_owned();
    }
    let failing = match audit.get("failing").and_then(Value::as_bool) {
        Some(true) => ", and CANNOT BE WRITTEN",
        _ => "",
    };
    format!("{}{failing}", sinks.join(", "))
}

fn reloaded(reload: &Value, now: Timestamp) -> String {
    let Ok(time) = text(reload, "time").parse::<Timestamp>() else {
        return "never: the settings are those of the start".to_owned();
    };
    let ago = u64::try_from(now.duration_since(time).as_secs()).unwrap_or(0);
    let by = match text(reload, "by") {
        "" => "the machine",
        key => key,
    };
    let counts = |field: &str| array(reload, field).len();
    let outcome = match text(reload, "outcome") {
        "ok" => format!(
            "{} changed, {} wait for the next start",
            counts("changed"),
            counts("waiting")
        ),
        _ => {
            let problems = array(reload, "problems").iter().filter_map(Value::as_str);
            let problems: Vec<&str> = problems.collect();
            format!("REFUSED: {}", problems.join("; "))
        }
    };
    format!("{} ago by {by}: {outcome}", span(ago))
}

fn models(models: &[Value]) -> Result<()> {
    if models.is_empty() {
        return output::line("\nno models");
    }
    let rows = models.iter().map(|model| {
        let ended = model.get("last_minute").unwrap_or(&Value::Null);
        let state = match text(model, "state") {
            "" => "inactive",
            state => state,
        };
        [
            text(model, "name").to_owned(),
            text(model, "active").to_owned(),
            state.to_owned(),
            number(model, "running").to_string(),
            number(model, "waiting").to_string(),
            number(ended, "runs").to_string(),
            number(ended, "errors").to_string(),
            count(number(ended, "fuel")),
        ]
    });
    output::line("")?;
    output::table(HEAD, rows)
}

/// The columns of models. The last three are of the last minute.
const HEAD: [&str; 8] = [
    "model",
    "active",
    "state",
    "running",
    "waiting",
    "runs/min",
    "fails/min",
    "fuel/min",
];

/// A number of an answer; 0 where there is none.
fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// A span of time in its two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A count in at most four digits, with the prefix of its thousands.
fn count(number: u64) -> String {
    const PREFIXES: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    let mut rest = number;
    let mut tenth = 0;
    let mut prefix = "";
    for next in PREFIXES {
        if rest < 10_000 && (prefix.is_empty() || rest < 1_000) {
            break;
        }
        tenth = rest % 1_000 / 100;
        rest /= 1_000;
        prefix = next;
    }
    match prefix {
        "" => rest.to_string(),
        prefix => format!("{rest}.{tenth} {prefix}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_reads_well_at_80_columns() {
        let status = json!({
            "version": "0.1.0", "state": "ready", "uptime_s": 90_061,
            "listeners": [
                {"for": "api", "address": "0.0.0.0:8443", "tls": true},
                {"for": "api", "address": "/run/belljar/api.sock", "tls": false},
                {"for": "metrics", "address": "127.0.0.1:9100", "tls": false},
            ],
            "tls": {"min_version": "1.2", "client_auth": "required", "files": [
                {"file": "/etc/belljar/server.pem", "kind": "certificate", "ends": "2026-12-06T00:00:00Z", "soon": true},
                {"file": "/etc/belljar/old.pem", "kind": "authority", "ends": "2026-01-06T00:00:00Z", "soon": true},
            ]},
            "data": {"directory": "/var/lib/belljar", "free_bytes": 1_u64 << 40, "total_bytes": 1_u64 << 41},
            "load": {"connections": 4096, "streams": 1024, "running": 512, "waiting": 1024, "slots": 512,
                "last_minute": {"runs": 6_000_000, "errors": 12, "fuel": 123_456_789_012_345_u64}},
            "memory": {"resident_bytes": 1_u64 << 34, "guest_bytes": 1_u64 << 33, "guest_bytes_max": 1_u64 << 35,
                "models_bytes": 1_u64 << 29, "models_bytes_max": 1_u64 << 30, "models_resident": 9, "models_away": 91},
            "guards": {"keys_required": true, "rate_limits": true, "bans": true, "bans_in_force": 3,
                "networks": false, "input_validation": true,
                "screening": {"prompt": "block", "history": "report", "tensor": "report"}},
            "audit": {"sinks": ["file", "syslog"], "failing": true},
            "reload": {"time": "2026-11-29T11:59:00Z", "by": "key_0123456789abcdef", "outcome": "refused",
                "changed": [], "waiting": [],
                "problems": ["/etc/belljar/belljar.toml:3: listn: there is no such setting"]},
        });
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let page = page(&status, now);
        for line in page.lines() {
            assert!(
                line.chars().count() <= super::super::rows::COLUMNS,
                "{line}"
            );
        }
        let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "belljar 0.1.0 is ready, up 1 d 1 h",
            "https://0.0.0.0:8443, /run/belljar/api.sock, http://127.0.0.1:9100 (metrics)",
            "/etc/belljar/server.pem ends in 6 d 12 h (SOON); /etc/belljar/old.pem HAS ENDED",
            "/var/lib/belljar, 1.00 TiB free of 2.00 TiB",
            "4096 connections, 1024 streams, 512 of 512 runs, 1024 waiting",
            "6000000 runs, 12 failed, 123.4 T fuel",
            "file, syslog, and CANNOT BE WRITTEN",
            "512.00 MiB of 1.00 GiB mapped, 9 versions in memory, 91 away",
            "guards off networks",
            "block: prompt; report: history, tensor",
            "1 min 0 s ago by key_0123456789abcdef: REFUSED: /etc/belljar/belljar.toml:3",
        ] {
            assert!(flat.contains(part), "{part}: {flat}");
        }
    }

    #[test]
    fn a_table_of_models_fits_80_columns() {
        let row = HEAD.map(|_| String::new());
        let widest = [
            "smollm2-135m",
            "1.0.0",
            "compiling",
            "512",
            "1024",
            "999999",
            "99",
            "123.4 T",
        ];
        let rows = [row, widest.map(str::to_owned)];
        for line in crate::cli::table::written(HEAD, rows, Some(80)).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn counts_and_spans_are_short() {
        for (number, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0 k"),
            (999_999, "999.9 k"),
            (1_000_000, "1.0 M"),
            (u64::MAX, "18.4 E"),
        ] {
            assert_eq!(count(number), text);
        }
        for (seconds, text) in [
            (0, "0 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h 0 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
