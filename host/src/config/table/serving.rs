//! How it serves: bodies, connections, browsers, proxies, conduct, records and logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::setting::{FileUse, Setting, setting};
use super::super::values::{
    Address, BanTimes, Bytes, CollectorHeaders, Count, FilePath, Files, FromText, ListOf, Networks,
    PathOrNone, Positive, PositiveTime, PrefixBits, Seconds, SinkList, Switch, TextOrNone, Time,
    UrlOrNone, ValueParser, WebhookSecrets,
};

use crate::audit::{OnFailure, Sinks, SyslogTarget};
use crate::guard::{AnomalyAction, AnomalyThreshold, BanDurations, ControlCharacters};
use crate::http::{AllowedHost, AllowedOrigin, ProxyProtocol, UnknownMembers};
use crate::net::{ForwardedHeader, NetworkList};
use crate::telemetry::{LogFilter, LogFormat};
use crate::traces::{CollectorHeader, CollectorUrl, ResourceAttribute, SampleRatio, ServiceName};
use crate::webhook::{WebhookEvent, WebhookSecret, WebhookUrl};

pub(super) const ROWS: &[Setting] = &[
    setting!("max_upload_size", models.archive.compressed_bytes_max: Bytes<u64>, "bundle",
        "The largest bundle that may be uploaded, as sent."),
    setting!("max_request_size", http.body_bytes_max: Bytes<u64>, "http",
        "The largest body of a request, other than a bundle.")
    .fakeai(),
    setting!("enable_input_validation", http.input.validation: Switch<bool>, "http",
        "Whether JSON is held to the limits `input.*`. Depth, sizes of bodies, types and ranges always hold.")
    .fakeai(),
    setting!("shutdown_delay", http.shutdown_delay: Time<Duration>, "http",
        "How long a stop says `not ready` and goes on serving, so that a balancer sends nothing more."),
    setting!("shutdown_grace", http.shutdown_grace: Time<Duration>, "http",
        "How long a stop waits for requests and streams in flight."),
    setting!("input.depth_max", http.input.depth_max: Positive<usize>, "http",
        "Lists and objects within each other, up to 127."),
    setting!("input.string_bytes_max", http.input.string_bytes_max: Bytes<usize>, "http",
        "The longest string of a body in JSON."),
    setting!("input.array_items_max", http.input.array_items_max: Positive<usize>, "http",
        "The most items of a list in a body in JSON; lists of tensors are bounded by the body's size."),
    setting!("input.keys_max", http.input.keys_max: Positive<usize>, "http",
        "The most keys of an object in a body in JSON."),
    setting!("input.key_bytes_max", http.input.key_bytes_max: Bytes<usize>, "http",
        "The longest key in a body in JSON."),
    setting!("input.control_characters",
        http.input.control_characters: FromText<ControlCharacters>, "guard",
        "What becomes of control characters in texts, tab, line feed and carriage return apart. Identifiers refuse them always."),
    setting!("input.unknown_members", http.input.unknown_members: FromText<UnknownMembers>, "http",
        "What becomes of members of a chat or embeddings request that nobody documents: `refuse`, or `ignore` with a note in `x-belljar-ignored`."),
    setting!("http.header_read_timeout", http.header_read_timeout: PositiveTime<Duration>, "http",
        "How long a request may take to send its head, and a fresh connection its first byte."),
    setting!("http.body_read_timeout", http.body_read_timeout: PositiveTime<Duration>, "http",
        "How long a request may take to send its body, other than a bundle."),
    setting!("http.request_timeout", http.request_timeout: PositiveTime<Duration>, "http",
        "How long a request may take until its answer begins; not for uploads."),
    setting!("http.idle_timeout", http.idle_timeout: PositiveTime<Duration>, "http",
        "How long a connection is kept without a request."),
    setting!("http.write_stall_timeout", http.write_stall_timeout: PositiveTime<Duration>, "http",
        "How long a client may take nothing of its answer before it is cut off."),
    setting!("http.half_close", http.half_close: Switch<bool>, "http",
        "Whether a peer of HTTP/1 that ends its sending side may wait for its answer: whether it does is found out by sending it the first byte of the answer ahead, or a comment in a stream. `false`: it is taken to be gone, and its run ends."),
    setting!("http.connections_max", http.connections_max: Positive<usize>, "http",
        "Connections at once."),
    setting!("http.connections_per_address_max",
        http.connections_per_address_max: Count<usize>, "http",
        "Connections at once from one address (or one /64 of IPv6); 0 is no limit."),
    setting!("http.headers_max", http.headers_max: Positive<usize>, "http",
        "Headers of one request over HTTP/1."),
    setting!("http.header_bytes_max", http.header_bytes_max: Bytes<usize>, "http",
        "The largest head of a request."),
    setting!("http.allowed_hosts", http.browser.allowed_hosts: ListOf<Vec<AllowedHost>>, "http",
        "Names, besides its own, that the server is called by. `none`: on a loopback address only its own, else any."),
    setting!("cors_allowed_origins",
        http.browser.allowed_origins: ListOf<Vec<AllowedOrigin>>, "http",
        "Sites whose pages may call this server from a browser.")
    .fakeai(),
    setting!("cors_allow_credentials", http.browser.allow_credentials: Switch<bool>, "http",
        "Whether browsers may send cookies and the like along; not with `*` as origin.")
    .fakeai(),
    setting!("http.streams_max", http.http2_streams_max: Positive<u32>, "http",
        "Requests at once on one HTTP/2 connection."),
    setting!("http.pending_resets_max", http.http2_pending_resets_max: Positive<usize>, "http",
        "Requests that an HTTP/2 client may open and take back before they were looked at."),
    setting!("http.error_resets_max", http.http2_error_resets_max: Positive<usize>, "http",
        "Requests of one HTTP/2 connection that may break the protocol before it is closed."),
    setting!("http.tokens_max", http.tokens_max: Positive<u32>, "http",
        "The most tokens one answer may have."),
    setting!("http.tokens_default", http.tokens_default: Positive<u32>, "http",
        "Tokens of an answer where the caller does not say."),
    setting!("http.choices_max", http.choices_max: Positive<u32>, "http",
        "Answers to one request (`n`)."),
    setting!("trusted_proxies", http.origin.trusted_proxies: Networks<NetworkList>, "guard",
        "Proxies that are believed about for whom they speak."),
    setting!("forwarded_header", http.origin.header: FromText<ForwardedHeader>, "guard",
        "The header in which they say it. `auto`: whichever there is; both must agree."),
    setting!("proxy_protocol", http.proxy_protocol: FromText<ProxyProtocol>, "http",
        "Whether each connection begins with a PROXY header, version 2, of a trusted proxy."),
    setting!("ipv6_prefix", http.origin.ipv6_prefix: PrefixBits<u8>, "guard",
        "Bits of an IPv6 address that stand for one caller, for limits and bans."),
    setting!("allow_networks", http.acl.allow: Networks<NetworkList>, "http",
        "Networks that are served, and no others; empty for all.")
    .reloads(),
    setting!("deny_networks", http.acl.deny: Networks<NetworkList>, "http",
        "Networks that are not served, also where `allow_networks` has them.")
    .reloads(),
    setting!("metrics.allow_networks", http.metrics_acl.allow: Networks<NetworkList>, "http",
        "Networks that `metrics.listen` serves, and no others; empty for all."),
    setting!("metrics.deny_networks", http.metrics_acl.deny: Networks<NetworkList>, "http",
        "Networks that `metrics.listen` does not serve."),
    setting!("enable_abuse_detection", abuse.enabled: Switch<bool>, "guard",
        "Whether violations are counted and addresses banned.")
    .fakeai()
    .reloads(),
    setting!("abuse_cleanup_interval", abuse.cleanup_interval: Seconds<Duration>, "guard",
        "How often old violations and bans are cleaned away.")
    .fakeai()
    .reloads(),
    setting!("ban_durations", abuse.durations: BanTimes<BanDurations>, "guard",
        "How long bans last: the usual, the longer and the longest.")
    .reloads(),
    setting!("ban_window", abuse.window: Seconds<Duration>, "guard",
        "How long a violation counts.")
    .reloads(),
    setting!("exempt_networks", abuse.exempt: Networks<NetworkList>, "guard",
        "Networks that are never banned, beside those exempted by the admin API.")
    .reloads(),
    setting!("conduct.count_by_key", abuse.count_by_key: Switch<bool>, "guard",
        "Whether what a caller with a valid key does counts against the key at that address, and not against the address.")
    .reloads(),
    setting!("conduct.failed_authentications_max", abuse.failed_authentications_max: Positive<u32>, "guard",
        "Failed authentications within the window that make a ban.")
    .reloads(),
    setting!("conduct.injections_max", abuse.injections_max: Positive<u32>, "guard",
        "Injections within the window that make a ban.")
    .reloads(),
    setting!("conduct.oversized_bodies_max", abuse.oversized_bodies_max: Positive<u32>, "guard",
        "Small compressed bodies that unpack to more than `max_request_size`, within the window, that make a ban; large ones do not count.")
    .reloads(),
    setting!("conduct.rate_violations_max", abuse.rate_violations_max: Positive<u32>, "guard",
        "Requests over a rate limit within the window that make a ban.")
    .reloads(),
    setting!("conduct.longer_from", abuse.longer_from: Positive<u32>, "guard",
        "Violations of all kinds within the window that make a ban of the longer duration.")
    .reloads(),
    setting!("conduct.longest_from", abuse.longest_from: Positive<u32>, "guard",
        "Violations of all kinds within the window that make a ban of the longest duration.")
    .reloads(),
    setting!("conduct.addresses_max", abuse.addresses_max: Positive<usize>, "guard",
        "Addresses whose violations are remembered; the stalest is forgotten first."),
    setting!("anomaly.action", anomaly.action: FromText<AnomalyAction>, "guard",
        "What conduct leads to that is unlike what a caller's has been: nobody is watched, a report, a low rate for a while, or a ban. See docs/anomaly.md.")
    .reloads(),
    setting!("anomaly.threshold", anomaly.threshold: FromText<AnomalyThreshold>, "guard",
        "The score from which conduct is an anomaly.")
    .reloads(),
    setting!("anomaly.warm_up", anomaly.warm_up: Time<Duration>, "guard",
        "How long a caller is only watched.")
    .reloads(),
    setting!("anomaly.half_life", anomaly.half_life: Time<Duration>, "guard",
        "After which time what was seen of a caller weighs half.")
    .reloads(),
    setting!("anomaly.callers_max", anomaly.callers_max: Positive<usize>, "guard",
        "Keys that are remembered, and as many addresses, about 3 KB each; those not heard of for longest go first."),
    setting!("anomaly.slow_rpm", anomaly.slow_rpm: Positive<u32>, "guard",
        "Requests a minute of a caller that was slowed down.")
    .reloads(),
    setting!("anomaly.slow_time", anomaly.slow_time: PositiveTime<Duration>, "guard",
        "How long a caller is slowed down.")
    .reloads(),
    setting!("anomaly.ban_time", anomaly.ban_time: PositiveTime<Duration>, "guard",
        "How long a caller is banned for an anomaly.")
    .reloads(),
    setting!("audit.sinks", audit.sinks: SinkList<Sinks>, "audit",
        "Where security events are recorded."),
    setting!("audit.path", audit.path: FilePath<Option<PathBuf>>, "audit",
        "The audit file. `auto`: `audit.log` in the data directory.")
    .files(FileUse::Keeps),
    setting!("audit.file_max", audit.file_bytes_max: Bytes<u64>, "audit",
        "Size after which another audit file is begun."),
    setting!("audit.files_max", audit.files_max: Positive<usize>, "audit",
        "Audit files kept beside the current one; older ones are removed."),
    setting!("audit.syslog", audit.syslog: FromText<SyslogTarget>, "audit",
        "Where syslog listens."),
    setting!("audit.runs", audit.runs: Switch<bool>, "audit",
        "Whether each run is recorded: its version, seed, fuel and outcome, and digests of what was said. See docs/runs.md."),
    setting!("audit.on_failure", audit.on_failure: FromText<OnFailure>, "audit",
        "Whether requests are served while the audit file cannot be written."),
    setting!("audit.verify_period", audit.verify_period: Time<Duration>, "audit",
        "How often the server reads its own audit log and records whether it is whole; 0: never."),
    setting!("audit.cap_storm_runs", audit.cap_storm_runs: Positive<u32>, "audit",
        "Runs of one model that one cap ends within a minute and that are recorded as a storm."),
    setting!("webhook.url", webhook.url: UrlOrNone<Option<WebhookUrl>>, "webhook",
        "Where security events are told as they happen. See docs/webhooks.md.")
    .secret()
    .reloads(),
    setting!("webhook.secret", webhook.secrets: WebhookSecrets<Vec<WebhookSecret>>, "webhook",
        "What messages are signed with, in the form of Standard Webhooks; two while one takes the place of the other.")
    .secret()
    .reloads(),
    setting!("webhook.secret_file", webhook.secret_file: PathOrNone<Option<PathBuf>>, "webhook",
        "A file with such secrets, a line each.")
    .reloads(),
    setting!("webhook.events", webhook.events: ListOf<Vec<WebhookEvent>>, "webhook",
        "What is told.")
    .reloads(),
    setting!("webhook.allow_http", webhook.allow_http: Switch<bool>, "webhook",
        "Whether messages may go to another machine without encryption.")
    .reloads(),
    setting!("webhook.timeout", webhook.timeout: PositiveTime<Duration>, "webhook",
        "How long one attempt may take.")
    .reloads(),
    setting!("webhook.retry_first", webhook.retry_first: PositiveTime<Duration>, "webhook",
        "The pause after the first attempt that has failed; each further one is twice as long, up to 1 min.")
    .reloads(),
    setting!("webhook.retry_time", webhook.retry_time: Time<Duration>, "webhook",
        "How long a message is tried before it is given up; those behind it wait.")
    .reloads(),
    setting!("webhook.queue_max", webhook.queue_max: Positive<usize>, "webhook",
        "Messages that wait; more are dropped and counted."),
    setting!("traces.endpoint", traces.endpoint: TextOrNone<Option<CollectorUrl>>, "traces",
        "Where spans of requests are sent, by OTLP over HTTP in protobuf: `/v1/traces` below this address, which may end so itself. See docs/traces.md."),
    setting!("traces.headers", traces.headers: CollectorHeaders<Vec<CollectorHeader>>, "traces",
        "Headers that go with them, such as a token.")
    .secret(),
    setting!("traces.ca", traces.authorities: Files<Vec<PathBuf>>, "traces",
        "Files in PEM with the authorities that vouch for the collector, instead of the system's."),
    setting!("traces.allow_http", traces.allow_http: Switch<bool>, "traces",
        "Whether spans may go to another machine without encryption."),
    setting!("traces.sample", traces.sample: FromText<SampleRatio>, "traces",
        "The share of requests whose spans are kept. A caller that says of a trace that it is not kept is always heard."),
    setting!("traces.parent_networks", traces.parent_networks: Networks<NetworkList>, "traces",
        "Networks, as the other ends of connections, whose word holds that a trace is kept, whatever `traces.sample` is."),
    setting!("traces.service_name", traces.service_name: FromText<ServiceName>, "traces",
        "The name of this server among others, as `service.name`."),
    setting!("traces.attributes", traces.attributes: ListOf<Vec<ResourceAttribute>>, "traces",
        "What else is said of this server, such as `deployment.environment.name=production`."),
    setting!("traces.timeout", traces.timeout: PositiveTime<Duration>, "traces",
        "How long one attempt to send may take."),
    setting!("traces.retry_first", traces.retry_first: PositiveTime<Duration>, "traces",
        "The pause after the first attempt that has failed; each further one is twice as long, up to 1 min, or as long as the collector says."),
    setting!("traces.retry_time", traces.retry_time: Time<Duration>, "traces",
        "How long spans are tried before they are given up; those behind them wait."),
    setting!("traces.queue_max", traces.queue_max: Positive<usize>, "traces",
        "Spans that wait, about 1 KB each; more are dropped and counted."),
    setting!("traces.batch_max", traces.batch_max: Positive<usize>, "traces",
        "Spans in one message."),
    setting!("traces.batch_delay", traces.batch_delay: Time<Duration>, "traces",
        "How long a span waits for others to be sent with."),
    setting!("log.format", log.format: FromText<LogFormat>, "telemetry",
        "The form of log lines.")
    .flag("--log-format"),
    setting!("log.level", log.filter: FromText<LogFilter>, "telemetry",
        "Which log lines are written.")
    .flag("--log-level")
    .reloads(),
    setting!("log.access", log.access_log: Switch<bool>, "telemetry",
        "Whether each request gets a line in the log.")
    .reloads(),
    setting!("metrics.listen", metrics_listen: Address<Option<SocketAddr>>, "app",
        "Serves `/metrics` on an address of its own, without a key."),
];
