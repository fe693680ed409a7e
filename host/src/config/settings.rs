//! All settings of a server, as typed values.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use belljar_bundle::DurationText;
use belljar_sandbox::SandboxConfig;
use belljar_wall::Hardening;

use crate::audit::{AuditConfig, OnFailure, Sinks, SyslogTarget};
use crate::guard::{AbuseConfig, AnomalyAction, AnomalyConfig, InjectionConfig, WINDOW};
use crate::http::{AllowedOrigin, PARSER_DEPTH_MAX, ProxyProtocol};
use crate::net::{ForwardedHeader, NetworkAcl};
use crate::secrets::{SecretText, VaultConfig};
use crate::{
    auth, backup, http, ledger, limits, models, runs, stored, telemetry, testing, tls, traces,
    webhook,
};

/// The values that a server is built from. Each module's part is that module's own type.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address on which the server listens.
    pub listen: SocketAddr,
    /// The directory of everything that outlives the process.
    pub data_dir: PathBuf,
    /// Whether an address that others can reach may be served without keys.
    pub insecure: bool,
    /// Whether each request needs a key; none for the default, which depends on `listen`. What
    /// holds is in `auth.require_key`.
    pub require_api_key: Option<bool>,
    /// Whether rates are limited; none for the default, which depends on `listen`. What holds
    /// is in `limits.enabled`.
    pub limit_rates: Option<bool>,
    /// The address on which the metrics are served apart from everything else, if they are.
    pub metrics_listen: Option<SocketAddr>,
    /// The wall around the server, beside the sandbox of each model.
    pub hardening: Hardening,
    /// What may be read besides what other settings name.
    pub hardening_read_paths: Vec<PathBuf>,
    /// The API on a socket of the file system.
    pub unix: UnixSettings,
    /// Certificates, and how TLS is spoken with them.
    pub tls: tls::Config,
    /// The settings of HTTP.
    pub http: http::Config,
    /// Callers.
    pub auth: auth::Config,
    /// Bans.
    pub abuse: AbuseConfig,
    /// The watch for anomalies.
    pub anomaly: AnomalyConfig,
    /// Screening for injections.
    pub injection: InjectionConfig,
    /// Rates and quotas.
    pub limits: limits::Config,
    /// What was used.
    pub ledger: ledger::Config,
    /// The record of security events.
    pub audit: AuditConfig,
    /// What another server is told of security events.
    pub webhook: webhook::Config,
    /// What a collector is told of requests.
    pub traces: traces::Config,
    /// The log.
    pub log: telemetry::Config,
    /// Models: policy, uploads, signatures.
    pub models: models::Config,
    /// Runs.
    pub sandbox: SandboxConfig,
    /// Compilation.
    pub compiler: CompilerSettings,
    /// Backups of a running server.
    pub backup: backup::Config,
    /// What callers store.
    pub stored: stored::Config,
    /// Runs on record.
    pub runs: runs::Config,
    /// Whether testers may do something; none for the default, which depends on `listen`. What
    /// holds is in `testing.is_on`.
    pub testing_on: Option<bool>,
    /// What testers may do.
    pub testing: testing::Config,
    /// Where values of settings may stand.
    pub vault: VaultConfig,
}

/// The part of the compiler's configuration that people choose; the rest follows from the data
/// directory.
#[derive(Clone, Debug)]
pub struct CompilerSettings {
    /// Compilations at once.
    pub concurrency: usize,
    /// Wall-clock time of one compilation with its load.
    pub wall_time: Duration,
    /// CPU time of one compilation with its load.
    pub cpu_time: Duration,
    /// Address space of the compiling process, in bytes.
    pub address_space_bytes_max: u64,
    /// The secret that the MAC of compiled models follows from; the key in the data directory
    /// where there is none.
    pub mac_secret: Option<SecretText>,
    /// The data directory whose compiled models are used and added to, where it is not the
    /// server's own: that of commands which try a bundle.
    pub cache_of: Option<PathBuf>,
}

/// A socket of the file system on which the API is served as well.
#[derive(Clone, Debug, Default)]
pub struct UnixSettings {
    /// Its path, if there is one.
    pub path: Option<PathBuf>,
    /// Who may connect.
    pub mode: FileMode,
}

/// The mode of a file: who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

/// The text is no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected three octal digits such as 660, or with a 0 before them")]
pub struct InvalidFileMode;

impl Default for FileMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl FromStr for FileMode {
    type Err = InvalidFileMode;

    fn from_str(text: &str) -> Result<Self, InvalidFileMode> {
        let digits = text.strip_prefix('0').unwrap_or(text);
        let is_mode = digits.len() == 3 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_mode);
        mode.map(Self).ok_or(InvalidFileMode)
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0{:03o}", self.0)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            data_dir: PathBuf::new(),
            insecure: false,
            require_api_key: None,
            limit_rates: None,
            metrics_listen: None,
            hardening: Hardening::default(),
            hardening_read_paths: Vec::new(),
            unix: UnixSettings::default(),
            tls: tls::Config::default(),
            http: http::Config::default(),
            auth: auth::Config::default(),
            abuse: AbuseConfig::default(),
            anomaly: AnomalyConfig::default(),
            injection: InjectionConfig::default(),
            limits: limits::Config::default(),
            ledger: ledger::Config::default(),
            audit: AuditConfig::default(),
            webhook: webhook::Config::default(),
            traces: traces::Config::default(),
            log: telemetry::Config::default(),
            models: models::Config::default(),
            sandbox: SandboxConfig::default(),
            compiler: CompilerSettings::default(),
            backup: backup::Config::default(),
            stored: stored::Config::default(),
            runs: runs::Config::default(),
            testing_on: None,
            testing: testing::Config::default(),
            vault: VaultConfig::default(),
        }
    }
}

impl Default for CompilerSettings {
    fn default() -> Self {
        Self {
            concurrency: 2,
            wall_time: Duration::from_secs(900),
            cpu_time: Duration::from_secs(240),
            address_space_bytes_max: 16 << 30,
            mac_secret: None,
            cache_of: None,
        }
    }
}

/// Bytes of a secret that a key follows from.
const MAC_SECRET_BYTES_MIN: usize = 32;

/// One key may have half of the places for uploads: two that are slow leave none for others only
/// together.
const UPLOADS_DIVISOR: usize = 2;

impl Settings {
    /// Makes the parts that follow from others agree with them.
    pub(super) fn derive(&mut self) {
        let others_reach_it = !self.listen.ip().is_loopback();
        self.auth.require_key = self.require_api_key.unwrap_or(others_reach_it);
        self.limits.enabled = self.limit_rates.unwrap_or(others_reach_it);
        self.testing.is_on = self.testing_on.unwrap_or(!others_reach_it);
        self.http.severs = self.testing.is_on;
        self.http.browser.listens_on = Some(self.listen.ip());
        // Both read the bundle: one by its announced length, one byte for byte.
        self.http.upload_bytes_max = self.models.archive.compressed_bytes_max;
        let share = self.models.uploads_max.div_ceil(UPLOADS_DIVISOR);
        self.limits.quota.uploads_share = Some(u32::try_from(share).unwrap_or(u32::MAX));
        // The pool must hold what the policy allows, and nothing bigger can ever run: one
        // setting, two readers.
        self.sandbox.slot = self.models.policy.budget.slot();
    }

    /// The contradictions between settings, each with the key at fault. Empty when they agree.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if !self.auth.require_key && !self.listen.ip().is_loopback() && !self.insecure {
            found.push((
                "require_api_key",
                format!(
                    "keys are off and {} can be reached from other machines: turn keys on, \
                     listen on 127.0.0.1, or say `insecure = true` (--insecure)",
                    self.listen
                ),
            ));
        }
        if self.http.input.depth_max > PARSER_DEPTH_MAX {
            found.push((
                "input.depth_max",
                format!("the parser follows no more than {PARSER_DEPTH_MAX} levels"),
            ));
        }
        let browser = &self.http.browser;
        if browser.allow_credentials && browser.allowed_origins.contains(&AllowedOrigin::Any) {
            found.push((
                "cors_allow_credentials",
                "`cors_allowed_origins` has `*`: every site could act as whoever is signed in. \
                 Name the origins, or turn credentials off"
                    .to_owned(),
            ));
        }
        let per_address = self.http.connections_per_address_max;
        if per_address > self.http.connections_max {
            found.push((
                "http.connections_per_address_max",
                "one address may have more connections than `http.connections_max` allows in all"
                    .to_owned(),
            ));
        }
        if !self.auth.hash_keys {
            found.push((
                "hash_api_keys",
                "keys are kept as their SHA-256 only, whatever a setting says: take this one out"
                    .to_owned(),
            ));
        }
        let signing = &self.auth.signing;
        if signing.nonces_per_key_max > signing.nonces_max {
            found.push((
                "signed_requests.nonces_per_key_max",
                "one key may have more nonces than `signed_requests.nonces_max` allows in all"
                    .to_owned(),
            ));
        }
        if signing.skew_max > signing.age_max {
            found.push((
                "signed_requests.skew_max",
                "a clock may be further ahead than a signature may be old \
                 (`signed_requests.age_max`)"
                    .to_owned(),
            ));
        }
        if self.http.tokens_default > self.http.tokens_max {
            found.push((
                "http.tokens_default",
                "an answer's default number of tokens is above `http.tokens_max`".to_owned(),
            ));
        }
        if self.models.signatures.required && self.models.signatures.trusted.is_empty() {
            found.push((
                "signatures.required",
                "signatures are required and `signatures.trusted` is empty: every upload would \
                 be refused"
                    .to_owned(),
            ));
        }
        if !(ledger::RETENTION_MIN..=ledger::RETENTION_MAX).contains(&self.ledger.retention) {
            found.push((
                "usage.retention",
                format!(
                    "between {} and {}: the budgets of a month are resumed from its rows",
                    DurationText::from(ledger::RETENTION_MIN),
                    DurationText::from(ledger::RETENTION_MAX)
                ),
            ));
        }
        if self
            .metrics_listen
            .is_some_and(|metrics| metrics.port() != 0 && metrics == self.listen)
        {
            found.push((
                "metrics.listen",
                format!(
                    "{} is where the server itself listens: choose another port",
                    self.listen
                ),
            ));
        }
        if self.hardening == Hardening::Off && !self.hardening_read_paths.is_empty() {
            found.push((
                "hardening_read_paths",
                "without a wall everything can be read: take this out, or set `hardening`"
                    .to_owned(),
            ));
        }
        self.contradictions_of_conduct(&mut found);
        found.extend(self.auth.jwt.contradictions());
        self.contradictions_of_tls(&mut found);
        self.contradictions_of_webhook(&mut found);
        found.extend(self.traces.contradictions());
        found.extend(self.vault.contradictions());
        let secret = self.compiler.mac_secret.as_ref();
        if secret.is_some_and(|secret| secret.expose().len() < MAC_SECRET_BYTES_MIN) {
            found.push((
                "compiler.mac_secret",
                format!("a secret that nobody guesses has {MAC_SECRET_BYTES_MIN} bytes at least"),
            ));
        }
        if !(Duration::from_millis(1)..=Duration::from_millis(100))
            .contains(&self.sandbox.epoch_tick)
        {
            found.push((
                "sandbox.epoch_tick",
                "the tick is between 1 ms and 100 ms: a shorter one costs more than it gives, a \
                 longer one lets a guest hold its thread"
                    .to_owned(),
            ));
        }
        found
    }

    fn contradictions_of_webhook(&self, found: &mut Vec<(&'static str, String)>) {
        let mut refuse = |when: bool, key, why: &str| {
            if when {
                found.push((key, why.to_owned()));
            }
        };
        let hook = &self.webhook;
        let (has_secrets, has_file) = (!hook.secrets.is_empty(), hook.secret_file.is_some());
        refuse(
            hook.url.is_none() && (has_secrets || has_file),
            "webhook.secret",
            "there is nobody to sign messages for: set `webhook.url`",
        );
        refuse(
            has_secrets && has_file,
            "webhook.secret_file",
            "`webhook.secret` says it as well: keep one of them",
        );
        let Some(url) = &hook.url else { return };
        refuse(
            !has_secrets && !has_file,
            "webhook.url",
            "messages are signed: set `webhook.secret` or `webhook.secret_file`",
        );
        refuse(
            !url.is_private() && !hook.allow_http,
            "webhook.url",
            "messages would go to another machine in the clear: use https, or say \
             `webhook.allow_http = true`",
        );
        refuse(
            hook.events.is_empty(),
            "webhook.events",
            "nothing would ever be told: name events, or take `webhook.url` out",
        );
        refuse(
            self.audit.sinks == Sinks::default(),
            "webhook.url",
            "what the audit log records is told, and `audit.sinks` is `off`",
        );
    }

    fn contradictions_of_tls(&self, found: &mut Vec<(&'static str, String)>) {
        let mut refuse = |when: bool, key, why: &str| {
            if when {
                found.push((key, why.to_owned()));
            }
        };
        let tls = &self.tls;
        let (certificates, keys) = (tls.certificates.len(), tls.keys.len());
        refuse(
            keys > 0 && keys != certificates,
            "tls.key",
            "each certificate of `tls.cert` has one key, in the same order; without any, keys are \
             looked for in the certificates' files",
        );
        let alone = |is_set: bool| is_set && !tls.is_on();
        refuse(
            alone(!tls.hsts.is_zero()),
            "tls.hsts",
            "browsers would be told to use HTTPS and there is none: set `tls.cert`",
        );
        refuse(
            alone(tls.redirect_listen.is_some()),
            "tls.redirect_listen",
            "requests would be sent to HTTPS and there is none: set `tls.cert`",
        );
        refuse(
            self.unix.path.is_none() && self.unix.mode != FileMode::default(),
            "unix.mode",
            "there is no socket that could have it: set `unix.path`",
        );
        let asks = tls.client_auth != tls::ClientAuth::Off;
        refuse(
            alone(asks),
            "tls.client_auth",
            "clients show certificates over TLS and there is none: set `tls.cert`",
        );
        refuse(
            asks && tls.client_authorities.is_empty(),
            "tls.client_auth",
            "nobody vouches for clients: set `tls.client_ca`",
        );
        for (is_set, key) in [
            (!tls.client_authorities.is_empty(), "tls.client_ca"),
            (!tls.client_revocations.is_empty(), "tls.client_crl"),
            (!tls.client_rules.is_empty(), "tls.client_keys"),
        ] {
            refuse(
                is_set && !asks,
                key,
                "clients are not asked for certificates: set `tls.client_auth`",
            );
        }
        refuse(
            tls.redirect_port.is_some() && tls.redirect_listen.is_none(),
            "tls.redirect_port",
            "nothing sends anybody there: set `tls.redirect_listen`",
        );
        refuse(
            tls.redirect_port
                .is_some_and(|port| port > u32::from(u16::MAX)),
            "tls.redirect_port",
            "a port is at most 65535",
        );
        refuse(
            tls.redirect_listen.is_some_and(|address| {
                address.port() != 0
                    && (address == self.listen || Some(address) == self.metrics_listen)
            }),
            "tls.redirect_listen",
            "something else listens there: choose another port",
        );
    }

    fn contradictions_of_conduct(&self, found: &mut Vec<(&'static str, String)>) {
        let mut refuse = |when: bool, key, why: &str| {
            if when {
                found.push((key, why.to_owned()));
            }
        };
        let (origin, abuse) = (&self.http.origin, &self.abuse);
        let nobody_trusted = origin.trusted_proxies.is_empty();
        refuse(
            origin.trusted_proxies.iter().any(|n| n.is_everybody()),
            "trusted_proxies",
            "this trusts everybody: any caller could claim any address. Name the proxies",
        );
        refuse(
            nobody_trusted && self.http.proxy_protocol == ProxyProtocol::Required,
            "proxy_protocol",
            "a PROXY header is only taken from trusted proxies and `trusted_proxies` is empty: \
             every connection would be closed",
        );
        refuse(
            nobody_trusted && origin.header != ForwardedHeader::Auto,
            "forwarded_header",
            "a header is only read from trusted proxies and `trusted_proxies` is empty",
        );
        refuse(
            self.metrics_listen.is_none() && self.http.metrics_acl != NetworkAcl::EVERYWHERE,
            "metrics.allow_networks",
            "networks are listed for the listener of the metrics and there is none: set \
             `metrics.listen`",
        );
        refuse(
            abuse.enabled && abuse.exempt.iter().any(|n| n.is_everybody()),
            "exempt_networks",
            "this exempts everybody from bans: say `enable_abuse_detection = false` instead",
        );
        refuse(
            abuse.longest_from <= abuse.longer_from,
            "conduct.longest_from",
            "the longest bans begin at more violations than `conduct.longer_from`",
        );
        refuse(
            abuse.window < Duration::from_secs(1),
            "ban_window",
            "violations are counted to the second: the window is at least 1 s",
        );
        let anomaly = &self.anomaly;
        refuse(
            anomaly.action == AnomalyAction::Ban && !abuse.enabled,
            "anomaly.action",
            "anomalies are banned and `enable_abuse_detection = false` has no ban refuse anybody",
        );
        refuse(
            anomaly.warm_up < WINDOW,
            "anomaly.warm_up",
            "callers are judged each 5 min: one window at least is watched first",
        );
        refuse(
            anomaly.half_life < Duration::from_hours(1),
            "anomaly.half_life",
            "a baseline that forgets within the hour takes every attack for usual",
        );
        let audit = &self.audit;
        refuse(
            !audit.sinks.file && audit.path.is_some(),
            "audit.path",
            "a file is named and `audit.sinks` has no `file`",
        );
        refuse(
            !audit.sinks.file && audit.on_failure == OnFailure::Refuse,
            "audit.on_failure",
            "requests depend on the audit file and `audit.sinks` has no `file`",
        );
        refuse(
            !audit.sinks.syslog && audit.syslog != SyslogTarget::default(),
            "audit.syslog",
            "a syslog daemon is named and `audit.sinks` has no `syslog`",
        );
        refuse(
            !abuse.durations.0.is_sorted(),
            "ban_durations",
            "a later duration is shorter than an earlier one",
        );
    }
}
