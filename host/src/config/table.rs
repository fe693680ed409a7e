//! The one list of all settings. What is not here does not exist: file keys, environment
//! variables, flags, the reference page and `belljar config show` all come from it.

use super::setting::{FileUse, Setting, setting};
use super::settings::FileMode;
use super::values::{
    Address, AutoBytes, BanTimes, Bytes, BytesOrNone, Count, FilePath, Files, FromText, FuelOrNone,
    FuelUnits, Keys, ListOf, Networks, PathOrNone, Positive, PositiveOrNone, PositiveTime,
    PrefixBits, PrivateKeys, Seconds, Secret, SinkList, Switch, TextOrNone, Time, TrustedKeys,
    UrlOrNone, ValueParser, WebhookSecrets,
};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use belljar_bundle::TrustedKey;
use belljar_sandbox::SlotResetChoice;
use belljar_screen::{Mode, Threshold};
use belljar_wall::Hardening;

use crate::audit::{OnFailure, Sinks, SyslogTarget};
use crate::auth::{ConfiguredKey, JwtAlgorithm, JwtText, KeySource, ScopeRule, Tier};
use crate::guard::{AnomalyAction, AnomalyThreshold, BanDurations, ControlCharacters};
use crate::http::{AllowedHost, AllowedOrigin, ProxyProtocol, UnknownMembers};
use crate::limits::{ResetFormat, RouteRate};
use crate::models::{LogReaders, ModelAlias};
use crate::net::{ForwardedHeader, NetworkList};
use crate::outgoing::ServiceUrl;
use crate::secrets::{SecretText, VaultAuth, VaultName};
use crate::telemetry::{LogFilter, LogFormat};
use crate::tls::{ClientAuth, ClientRule, PrivateKeySource, TlsVersion};
use crate::webhook::{WebhookEvent, WebhookSecret, WebhookUrl};

/// All settings, in the order of the reference page.
pub static SETTINGS: &[Setting] = &[
    setting!("listen", listen: Address<SocketAddr>, "app",
        "Where the server listens.")
    .flag("--listen"),
    setting!("data_dir", data_dir: FilePath<PathBuf>, "app",
        "Where models, keys and state are kept.")
    .flag("--data-dir")
    .files(FileUse::Keeps),
    setting!("insecure", insecure: Switch<bool>, "app",
        "Allows an address that other machines reach to be served without keys, which `require_api_key = false` asks for.")
    .flag("--insecure"),
    setting!("hardening", hardening: FromText<Hardening>, "app",
        "Whether the server gives away what it has no use for (files that no setting names, programs, ports, system calls): as much as the kernel lets it (`auto`), all of it or no start (`required`), or nothing (`off`)."),
    setting!("hardening_read_paths", hardening_read_paths: Files<Vec<PathBuf>>, "app",
        "Files and folders that may be read besides those that other settings name, such as the folder above one that is replaced as a whole."),
    setting!("unix.path", unix.path: PathOrNone<Option<PathBuf>>, "app",
        "A socket of the file system on which the API is served as well, over HTTP/1 or 2 and without TLS. Peers there are held to be 127.0.0.1.")
    .files(FileUse::Listens),
    setting!("unix.mode", unix.mode: FromText<FileMode>, "app",
        "The mode of that socket: who may connect."),
    setting!("tls.cert", tls.certificates: Files<Vec<PathBuf>>, "tls",
        "Files in PEM, each with a certificate and those that vouch for it; with one the server speaks TLS. Clients are shown the one for the name they ask for, else the first.")
    .flag("--tls-cert")
    .reloads(),
    setting!("tls.key", tls.keys: PrivateKeys<Vec<PrivateKeySource>>, "tls",
        "The private keys in PEM, in the order of `tls.cert`. `none`: each key is in its certificate's file.")
    .flag("--tls-key")
    .by_reference()
    .reloads(),
    setting!("tls.min_version", tls.min_version: FromText<TlsVersion>, "tls",
        "The oldest version of TLS that is spoken.")
    .reloads(),
    setting!("tls.client_auth", tls.client_auth: FromText<ClientAuth>, "tls",
        "Whether clients are asked for a certificate, and whether there is a connection without one.")
    .reloads(),
    setting!("tls.client_ca", tls.client_authorities: Files<Vec<PathBuf>>, "tls",
        "Files in PEM with the authorities that vouch for clients.")
    .reloads(),
    setting!("tls.client_crl", tls.client_revocations: Files<Vec<PathBuf>>, "tls",
        "Files in PEM with lists of the certificates that these have revoked. A list that is over lets nobody in.")
    .reloads(),
    setting!("tls.client_keys", tls.client_rules: ListOf<Vec<ClientRule>>, "tls",
        "Whose rights a client's certificate has: a name in it (`subject`, `cn`, `dns`, `email`, `uri` or `ip`) and the id or name of a key. The first that is for it counts; where `tls.client_auth` is `required` and there are rules, one has to be.")
    .reloads(),
    setting!("tls.handshake_timeout", tls.handshake_timeout: PositiveTime<Duration>, "tls",
        "How long a connection may take to agree on TLS, the wait for its turn included."),
    setting!("tls.handshakes_max", tls.handshakes_max: Positive<usize>, "tls",
        "Handshakes at once; more wait for their turn."),
    setting!("tls.watch_period", tls.watch_period: Time<Duration>, "tls",
        "How often the files of TLS are looked at for changes, which are taken up at the second look; 0: only SIGHUP has them read."),
    setting!("tls.expiry_warning", tls.expiry_warning: Time<Duration>, "tls",
        "How long before the end of a certificate, an authority or a list of revocations the log tells of it, once a day, and a metric says so; 0 tells only of what has ended.")
    .reloads(),
    setting!("tls.hsts", tls.hsts: Time<Duration>, "tls",
        "How long browsers are told to use HTTPS alone (`Strict-Transport-Security`); 0 tells them nothing."),
    setting!("tls.redirect_listen", tls.redirect_listen: Address<Option<SocketAddr>>, "tls",
        "An address on which plain requests are answered with 308 to HTTPS, and nothing else."),
    setting!("tls.redirect_port", tls.redirect_port: PositiveOrNone<Option<u32>>, "tls",
        "The port that they are sent to, where clients reach another than `listen` has."),
    setting!("require_api_key", require_api_key: Switch<Option<bool>>, "auth",
        "Whether every request needs a key. `auto`: not on a loopback address, else yes.")
    .flag("--require-api-key")
    .fakeai(),
    setting!("api_keys", auth.keys: Keys<Vec<ConfiguredKey>>, "auth",
        "Keys that may run and list models, beside the stored ones.")
    .fakeai()
    .secret()
    .reloads(),
    setting!("hash_api_keys", auth.hash_keys: Switch<bool>, "auth",
        "Keeps only the SHA-256 of keys. There is no other way here: `false` stops the start.")
    .fakeai(),
    setting!("jwt.issuer", auth.jwt.issuer: TextOrNone<Option<JwtText>>, "auth", "The issuer (`iss`) whose JSON Web Tokens are taken beside keys; `none`: no tokens are."),
    setting!("jwt.audience", auth.jwt.audience: ListOf<Vec<JwtText>>, "auth", "What this server is called in `aud`; a token has to have one of them."),
    setting!("jwt.jwks", auth.jwt.jwks: TextOrNone<Option<KeySource>>, "auth", "The set of keys (JWKS) that vouch for tokens: a file, or a URL."),
    setting!("jwt.jwks_ca", auth.jwt.jwks_authorities: Files<Vec<PathBuf>>, "auth", "Files in PEM with the authorities that vouch for that URL, instead of the system's."),
    setting!("jwt.algorithms", auth.jwt.algorithms: ListOf<Vec<JwtAlgorithm>>, "auth", "The algorithms that tokens may be signed with."),
    setting!("jwt.leeway", auth.jwt.leeway: Time<Duration>, "auth", "By how much the issuer's clock may differ, for `exp`, `nbf` and `iat`; at most 5 min."),
    setting!("jwt.lifetime_max", auth.jwt.lifetime_max: PositiveTime<Duration>, "auth", "How far `exp` may be away. Revoked ids are kept for as long."),
    setting!("jwt.refresh", auth.jwt.refresh: PositiveTime<Duration>, "auth", "How often `jwt.jwks` and `jwt.revoked` are read."),
    setting!("jwt.reread_period", auth.jwt.reread_period: PositiveTime<Duration>, "auth", "The time between two readings of `jwt.jwks` for tokens whose key is not known, or after one that failed; at least 1 s."),
    setting!("jwt.read_timeout", auth.jwt.read_timeout: PositiveTime<Duration>, "auth", "How long one reading of a URL may take."),
    setting!("jwt.stale_max", auth.jwt.stale_max: PositiveTime<Duration>, "auth", "How long keys are used that cannot be read again; then tokens are refused with 503."),
    setting!("jwt.caller", auth.jwt.caller_claim: FromText<JwtText>, "auth", "The claim that says who calls. A claim is named as it is, or by the names on the way to it with dots between them."),
    setting!("jwt.scopes", auth.jwt.scope_claim: FromText<JwtText>, "auth", "The claim that says what the caller may do: words between spaces, or a list."),
    setting!("jwt.scope_rules", auth.jwt.scope_rules: ListOf<Vec<ScopeRule>>, "auth", "What words of that claim stand for. `none`: words that are names of scopes stand for them."),
    setting!("jwt.models", auth.jwt.models_claim: TextOrNone<Option<JwtText>>, "auth", "The claim that lists the models that the caller may use, `*` for all; a token without it may use none. `none`: all tokens may use all."),
    setting!("jwt.tier", auth.jwt.tier_claim: TextOrNone<Option<JwtText>>, "auth", "The claim that names the caller's tier; a token without it has the server's."),
    setting!("jwt.revoked", auth.jwt.revoked: PathOrNone<Option<PathBuf>>, "auth", "A file with the ids (`jti`) of tokens that are not taken any more, one a line."),
    setting!("signed_requests.age_max", auth.signing.age_max: PositiveTime<Duration>, "auth",
        "How old the signature of a request may be, for keys that sign."),
    setting!("signed_requests.skew_max", auth.signing.skew_max: Time<Duration>, "auth",
        "How far a signer's clock may be ahead. After a kill, nothing signed up to this long after the start is accepted."),
    setting!("signed_requests.nonces_max", auth.signing.nonces_max: Positive<usize>, "auth",
        "Nonces of signed requests remembered at once, about 40 bytes each; where there are as many, signed requests get 503."),
    setting!("signed_requests.nonces_per_key_max", auth.signing.nonces_per_key_max: Positive<usize>, "auth",
        "The same of one key."),
    setting!("enable_injection_detection", injection.enabled: Switch<bool>, "guard",
        "Whether texts are screened for injections.")
    .fakeai()
    .reloads(),
    setting!("screening.prompt", injection.policies.prompt.mode: FromText<Mode>, "guard",
        "What a hit in a prompt leads to: in what users, systems and developers write to a model.")
    .reloads(),
    setting!("screening.history", injection.policies.history.mode: FromText<Mode>, "guard",
        "What a hit in what the model said in earlier turns leads to, the arguments of its tool calls included.")
    .reloads(),
    setting!("screening.tool_result", injection.policies.tool_result.mode: FromText<Mode>, "guard",
        "What a hit in the result of a tool leads to.")
    .reloads(),
    setting!("screening.schema", injection.policies.schema.mode: FromText<Mode>, "guard",
        "What a hit in the description of a tool or of the form of answers leads to.")
    .reloads(),
    setting!("screening.document", injection.policies.document.mode: FromText<Mode>, "guard",
        "What a hit in a text to be embedded, ranked or moderated leads to.")
    .reloads(),
    setting!("screening.identifier", injection.policies.identifier.mode: FromText<Mode>, "guard",
        "What a hit in an identifier, a label or a file name leads to.")
    .reloads(),
    setting!("screening.header", injection.policies.header.mode: FromText<Mode>, "guard",
        "What a hit in a path, a query or a header leads to.")
    .reloads(),
    setting!("screening.tensor", injection.policies.tensor.mode: FromText<Mode>, "guard",
        "What a hit in a name, an option or a string in a request for tensors leads to.")
    .reloads(),
    setting!("screening.prompt_threshold",
        injection.policies.prompt.threshold: FromText<Threshold>, "guard",
        "How likely a prompt must be an attack to be a hit.")
    .reloads(),
    setting!("screening.history_threshold",
        injection.policies.history.threshold: FromText<Threshold>, "guard",
        "How likely an earlier turn must be an attack to be a hit.")
    .reloads(),
    setting!("screening.tool_result_threshold",
        injection.policies.tool_result.threshold: FromText<Threshold>, "guard",
        "How likely a result of a tool must be an attack to be a hit.")
    .reloads(),
    setting!("screening.schema_threshold",
        injection.policies.schema.threshold: FromText<Threshold>, "guard",
        "How likely a description must be an attack to be a hit.")
    .reloads(),
    setting!("screening.document_threshold",
        injection.policies.document.threshold: FromText<Threshold>, "guard",
        "How likely a text to be embedded, ranked or moderated must be an attack to be a hit.")
    .reloads(),
    setting!("screening.identifier_threshold",
        injection.policies.identifier.threshold: FromText<Threshold>, "guard",
        "How likely an identifier must be an attack to be a hit.")
    .reloads(),
    setting!("screening.header_threshold",
        injection.policies.header.threshold: FromText<Threshold>, "guard",
        "How likely a path, query or header must be an attack to be a hit.")
    .reloads(),
    setting!("screening.tensor_threshold",
        injection.policies.tensor.threshold: FromText<Threshold>, "guard",
        "How likely a text beside or in a tensor must be an attack to be a hit.")
    .reloads(),
    setting!("screening.ban_threshold", injection.policies.clear: FromText<Threshold>, "guard",
        "How likely a text must be an attack for its refusal to count towards a ban.")
    .reloads(),
    setting!("rate_limit.enabled", limit_rates: Switch<Option<bool>>, "limits",
        "Whether requests and tokens a minute are limited. `auto`: not on a loopback address, else yes.")
    .fakeai()
    .reloads(),
    setting!("rate_limit.tier", limits.tier: FromText<Tier>, "limits",
        "The allowance of callers who have none of their own: free, tier-1 to tier-5.")
    .fakeai()
    .reloads(),
    setting!("rate_limit.rpm", limits.rpm: PositiveOrNone<Option<u32>>, "limits",
        "Requests a minute, instead of the tier's.")
    .fakeai()
    .reloads(),
    setting!("rate_limit.tpm", limits.tpm: PositiveOrNone<Option<u32>>, "limits",
        "Tokens a minute, instead of the tier's.")
    .fakeai()
    .reloads(),
    setting!("rate_limit.routes", limits.routes: ListOf<Vec<RouteRate>>, "limits",
        "Routes counted apart, with rates of their own, as `ROUTE=RPM:TPM`.")
    .reloads(),
    setting!("rate_limit.reset", limits.reset: FromText<ResetFormat>, "limits",
        "How `x-ratelimit-reset-*` says when: `unix` seconds, or the `duration` as OpenAI writes it.")
    .reloads(),
    setting!("rate_limit.addresses_max", limits.addresses_max: Positive<usize>, "limits",
        "Addresses remembered at once, under 200 bytes each; stale ones go first."),
    setting!("quota.concurrent_max", limits.quota.concurrent_max: PositiveOrNone<Option<u32>>, "limits",
        "Requests at once of one key that has no limit of its own.")
    .reloads(),
    setting!("quota.uploads_max", limits.quota.uploads_max: PositiveOrNone<Option<u32>>, "limits",
        "Uploads at once of one key that has no limit of its own; `none` for half of \
         `models.uploads_max`.")
    .reloads(),
    setting!("quota.bundles_max", limits.quota.bundles_max: PositiveOrNone<Option<u32>>, "limits",
        "Versions stored by one key that has no limit of its own.")
    .reloads(),
    setting!("quota.stored_max", limits.quota.stored_bytes_max: BytesOrNone<Option<u64>>, "limits",
        "Bytes of the versions stored by one key that has no limit of its own, unpacked.")
    .reloads(),
    setting!("quota.fuel_per_day", limits.quota.fuel_per_day: FuelOrNone<Option<u64>>, "limits",
        "Fuel a UTC day of one key that has no limit of its own.")
    .reloads(),
    setting!("quota.fuel_per_month", limits.quota.month.fuel: FuelOrNone<Option<u64>>, "limits",
        "Fuel a calendar month, UTC, of one key that has no budget of its own.")
    .reloads(),
    setting!("quota.tokens_per_month",
        limits.quota.month.tokens: PositiveOrNone<Option<u64>>, "limits",
        "Tokens a calendar month, prompts and answers, of one key that has no budget of its own.")
    .reloads(),
    setting!("quota.requests_per_month",
        limits.quota.month.requests: PositiveOrNone<Option<u64>>, "limits",
        "Requests a calendar month of one key that has no budget of its own.")
    .reloads(),
    setting!("usage.retention", ledger.retention: PositiveTime<Duration>, "ledger",
        "How long the ledger keeps what was used by day, key and model; 31 d to 3660 d."),
    setting!("usage.rows_per_day_max", ledger.rows_per_day_max: Positive<usize>, "ledger",
        "Rows of one day in the ledger, one for each key and model; what is used beyond them is in one row, `(other)`."),
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
        "What conduct leads to that is unlike what a caller's has been: nobody is watched, a report, a low rate for a while, or a ban. See docs/anomaly.md."),
    setting!("anomaly.threshold", anomaly.threshold: FromText<AnomalyThreshold>, "guard",
        "The score from which conduct is an anomaly."),
    setting!("anomaly.warm_up", anomaly.warm_up: Time<Duration>, "guard",
        "How long a caller is only watched."),
    setting!("anomaly.half_life", anomaly.half_life: Time<Duration>, "guard",
        "After which time what was seen of a caller weighs half."),
    setting!("anomaly.callers_max", anomaly.callers_max: Positive<usize>, "guard",
        "Keys that are remembered, and as many addresses, about 3 KB each; those not heard of for longest go first."),
    setting!("anomaly.slow_rpm", anomaly.slow_rpm: Positive<u32>, "guard",
        "Requests a minute of a caller that was slowed down."),
    setting!("anomaly.slow_time", anomaly.slow_time: PositiveTime<Duration>, "guard",
        "How long a caller is slowed down."),
    setting!("anomaly.ban_time", anomaly.ban_time: PositiveTime<Duration>, "guard",
        "How long a caller is banned for an anomaly."),
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
    setting!("audit.on_failure", audit.on_failure: FromText<OnFailure>, "audit",
        "Whether requests are served while the audit file cannot be written."),
    setting!("audit.verify_period", audit.verify_period: Time<Duration>, "audit",
        "How often the server reads its own audit log and records whether it is whole; 0: never."),
    setting!("audit.cap_storm_runs", audit.cap_storm_runs: Positive<u32>, "audit",
        "Runs of one model that one cap ends within a minute and that are recorded as a storm."),
    setting!("webhook.url", webhook.url: UrlOrNone<Option<WebhookUrl>>, "webhook",
        "Where security events are told as they happen. See docs/webhooks.md.")
    .secret(),
    setting!("webhook.secret", webhook.secrets: WebhookSecrets<Vec<WebhookSecret>>, "webhook",
        "What messages are signed with, in the form of Standard Webhooks; two while one takes the place of the other.")
    .secret(),
    setting!("webhook.secret_file", webhook.secret_file: PathOrNone<Option<PathBuf>>, "webhook",
        "A file with such secrets, a line each."),
    setting!("webhook.events", webhook.events: ListOf<Vec<WebhookEvent>>, "webhook",
        "What is told."),
    setting!("webhook.allow_http", webhook.allow_http: Switch<bool>, "webhook",
        "Whether messages may go to another machine without encryption."),
    setting!("webhook.timeout", webhook.timeout: PositiveTime<Duration>, "webhook",
        "How long one attempt may take."),
    setting!("webhook.retry_first", webhook.retry_first: PositiveTime<Duration>, "webhook",
        "The pause after the first attempt that has failed; each further one is twice as long, up to 1 min."),
    setting!("webhook.retry_time", webhook.retry_time: Time<Duration>, "webhook",
        "How long a message is tried before it is given up; those behind it wait."),
    setting!("webhook.queue_max", webhook.queue_max: Positive<usize>, "webhook",
        "Messages that wait; more are dropped and counted."),
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
    setting!("embedded.fake", models.fake: Switch<bool>, "models",
        "Whether the built-in text model `fake` is served."),
    setting!("embedded.echo", models.echo: Switch<bool>, "models",
        "Whether the built-in tensor model `echo` is served."),
    setting!("embedded.aliases", models.well_known_aliases: Switch<bool>, "models",
        "Whether the names of well-known models, such as `gpt-4o` and `claude-sonnet-4-5`, with or without a date, stand for `fake` where no model and no alias has them.")
    .reloads(),
    setting!("models.aliases", models.aliases: ListOf<Vec<ModelAlias>>, "models",
        "Other names of models. A model's own name comes first. What holds of a name's tokens may stand behind the model: `mine=fake;encoding=cl100k_base;context=8192;output=4096`.")
    .reloads(),
    setting!("models.any", models.any_model: Switch<bool>, "models",
        "Whether every name that nothing else answers to stands for `fake`.")
    .reloads(),
    setting!("models.uploads_max", models.uploads_max: Positive<usize>, "models",
        "Uploads at once."),
    setting!("models.upload_stall", models.upload_stall: PositiveTime<Duration>, "models",
        "How long an upload may send nothing before it is cut off."),
    setting!("models.upload_time", models.upload_wall_time: PositiveTime<Duration>, "models",
        "How long a whole upload may take."),
    setting!("models.upload_rate_min", models.upload_rate_min: Bytes<u64>, "models",
        "Bytes a second under which an upload is cut off, taken over `models.upload_stall`."),
    setting!("models.versions_max", models.versions_max: Positive<usize>, "models",
        "Versions kept, over all models, without those that failed and never ran."),
    setting!("models.failed_max", models.failed_max: Positive<usize>, "models",
        "Versions kept that failed and never ran; the oldest of the key that has most go first."),
    setting!("models.failed_time", models.failed_time: PositiveTime<Duration>, "models",
        "How long a version is kept that failed and never ran."),
    setting!("models.stored_max", models.stored_bytes_max: Bytes<u64>, "models",
        "Bytes of all stored versions together, unpacked."),
    setting!("model_logs.readers", models.logs.readers: FromText<LogReaders>, "models",
        "Who may read what models write (`belljar models logs`): `admin`, or the key that uploaded a version as well, whose author then learns what the model wrote of others' requests; `none` keeps nothing."),
    setting!("model_logs.lines_max", models.logs.lines_max: Positive<usize>, "models",
        "Lines kept of each version, in memory."),
    setting!("model_logs.bytes_max", models.logs.bytes_max: Bytes<usize>, "models",
        "Bytes of those lines, of each version."),
    setting!("policy.memory_max", models.policy.budget.memory_bytes_max: Bytes<u64>, "models",
        "The most memory one run may have, over all its linear memories."),
    setting!("policy.fuel_max", models.policy.budget.fuel: FuelUnits<u64>, "models",
        "The most fuel one request may use, about one unit an instruction."),
    setting!("policy.load_fuel_max", models.policy.load_fuel: FuelUnits<u64>, "models",
        "The most fuel the one `load` may use."),
    setting!("policy.load_time_max", models.policy.load_wall_time: PositiveTime<Duration>, "models",
        "The longest time the one `load` may take."),
    setting!("policy.deadline_max", models.policy.budget.wall_time: PositiveTime<Duration>, "models",
        "The longest time one request may take in its sandbox."),
    setting!("policy.output_max", models.policy.budget.output_bytes_max: Bytes<u64>, "models",
        "The largest answer of a run: text, tensors, vectors."),
    setting!("policy.table_elements_max",
        models.policy.budget.table_elements_max: Positive<u64>, "models",
        "Table elements of one run, over all its tables."),
    setting!("policy.instances_max", models.policy.budget.instances_max: Positive<u32>, "models",
        "Core instances that one component may be made of."),
    setting!("policy.memories_max", models.policy.budget.memories_max: Positive<u32>, "models",
        "Linear memories of one component."),
    setting!("policy.tables_max", models.policy.budget.tables_max: Positive<u32>, "models",
        "Tables of one component."),
    setting!("policy.hostcall_max",
        models.policy.budget.hostcall_bytes_max: Bytes<usize>, "models",
        "What one crossing from the guest may make the host allocate."),
    setting!("policy.resources_max", models.policy.budget.resources_max: Positive<usize>, "models",
        "Resource handles the host keeps for a run at any one time."),
    setting!("policy.stdio_max", models.policy.budget.stdio_bytes_max: Bytes<usize>, "models",
        "What a run may write to stdout and stderr together."),
    setting!("policy.log_lines_max", models.policy.budget.log_lines_max: Count<u32>, "models",
        "Lines a run may write to the log."),
    setting!("policy.default_memory", models.policy.defaults.memory_bytes: Bytes<u64>, "models",
        "Memory of a model whose manifest asks for none."),
    setting!("policy.default_fuel", models.policy.defaults.fuel: FuelUnits<u64>, "models",
        "Fuel of a request to a model whose manifest asks for none."),
    setting!("policy.default_load_fuel",
        models.policy.defaults.load_fuel: FuelUnits<u64>, "models",
        "Fuel of `load` of a model whose manifest asks for none."),
    setting!("policy.default_deadline",
        models.policy.defaults.deadline: PositiveTime<Duration>, "models",
        "Time of a request to a model whose manifest asks for none."),
    setting!("policy.default_output", models.policy.defaults.output_bytes: Bytes<u64>, "models",
        "Largest answer of a model whose manifest asks for none."),
    setting!("signatures.required", models.signatures.required: Switch<bool>, "bundle",
        "Whether a bundle needs the signature of a trusted key."),
    setting!("signatures.trusted",
        models.signatures.trusted: TrustedKeys<Vec<TrustedKey>>, "bundle",
        "Whose signatures count."),
    setting!("archive.unpacked_max", models.archive.unpacked_bytes_max: Bytes<u64>, "bundle",
        "The largest bundle after decompression."),
    setting!("archive.ratio_max", models.archive.ratio_max: Positive<u32>, "bundle",
        "Unpacked bytes for each compressed byte."),
    setting!("archive.entries_max", models.archive.entries_max: Positive<u32>, "bundle",
        "Files and folders in a bundle."),
    setting!("archive.entry_max", models.archive.entry_bytes_max: Bytes<u64>, "bundle",
        "The largest file in a bundle."),
    setting!("archive.component_max", models.archive.component_bytes_max: Bytes<u64>, "bundle",
        "The largest component."),
    setting!("archive.manifest_max", models.archive.manifest_bytes_max: Bytes<u64>, "bundle",
        "The largest `model.toml`."),
    setting!("archive.path_max", models.archive.path_bytes_max: Bytes<usize>, "bundle",
        "The longest path in a bundle."),
    setting!("archive.depth_max", models.archive.path_depth_max: Positive<usize>, "bundle",
        "The most parts of a path in a bundle."),
    setting!("sandbox.guest_threads", sandbox.guest_threads: Count<usize>, "sandbox",
        "Threads for runs longer than a tick; 0 is one for each core."),
    setting!("sandbox.epoch_tick", sandbox.epoch_tick: PositiveTime<Duration>, "sandbox",
        "How often guests are made to yield, 1 ms to 100 ms."),
    setting!("sandbox.runs_max", sandbox.runs_max: Positive<u32>, "sandbox",
        "Runs at once; each holds a slot of the pool."),
    setting!("sandbox.memory_total_max", sandbox.memory_total_bytes_max: AutoBytes<u64>, "sandbox",
        "Linear memory of all runs together. `auto`: half of what the process may use."),
    setting!("sandbox.queue_max", sandbox.queue_max: Count<u32>, "sandbox",
        "Runs that wait for a slot; one more is refused at once."),
    setting!("sandbox.model_runs_max", sandbox.model_runs_max: Positive<u32>, "sandbox",
        "Runs at once of one model."),
    setting!("sandbox.model_queue_max", sandbox.model_queue_max: Count<u32>, "sandbox",
        "Runs of one model that wait."),
    setting!("sandbox.queue_wait", sandbox.queue_wait: Time<Duration>, "sandbox",
        "How long a run waits for a slot before it is refused."),
    setting!("sandbox.cleaning", sandbox.slot_reset: FromText<SlotResetChoice>, "sandbox",
        "How slots are cleaned. `auto`: by page-map scan where the process cannot be swapped."),
    setting!("sandbox.deterministic_simd", sandbox.deterministic_simd: Switch<bool>, "sandbox",
        "Whether relaxed SIMD gives the same bits on every machine, at a price in speed."),
    setting!("compiler.concurrency", compiler.concurrency: Positive<usize>, "sandbox",
        "Compilations at once."),
    setting!("compiler.wall_time", compiler.wall_time: PositiveTime<Duration>, "sandbox",
        "The longest time one compilation may take on the wall clock, with its load: the end of one that hangs."),
    setting!("compiler.cpu_time", compiler.cpu_time: PositiveTime<Duration>, "sandbox",
        "The most CPU time one compilation may take, with its load."),
    setting!("compiler.address_space_max", compiler.address_space_bytes_max: Bytes<u64>, "sandbox",
        "Address space of the compiling process. Its memory is capped at the same, or at its share \
         of three quarters of what the machine or the cgroup has."),
    setting!("stored.retention", stored.retention: Time<Duration>, "stored",
        "How long stored responses, conversations and chat completions are kept; 0 stores none."),
    setting!("stored.key_bytes_max", stored.key_bytes_max: Bytes<u64>, "stored",
        "Bytes that one key may have stored; beyond it its oldest go."),
    setting!("stored.bytes_max", stored.bytes_max: Bytes<u64>, "stored",
        "Bytes that all keys together may have stored; beyond it the oldest of whoever has the most go."),
    setting!("compiler.mac_secret", compiler.mac_secret: Secret<Option<SecretText>>, "sandbox",
        "What the key follows from that vouches for compiled models, at least 32 bytes; `none`: a key in the data directory. With another one all models are compiled again.")
    .secret(),
    setting!("vault.address", vault.address: TextOrNone<Option<ServiceUrl>>, "secrets",
        "Where HashiCorp Vault is. Values of secret settings and of `tls.key` may stand there: `vault:MOUNT/data/PATH#FIELD`. See docs/secrets.md.")
    .reloads(),
    setting!("vault.namespace", vault.namespace: TextOrNone<Option<VaultName>>, "secrets",
        "The namespace, of Vault Enterprise.")
    .reloads(),
    setting!("vault.auth", vault.auth: FromText<VaultAuth>, "secrets",
        "How the server proves to Vault who it is.")
    .reloads(),
    setting!("vault.auth_mount", vault.auth_mount: TextOrNone<Option<VaultName>>, "secrets",
        "Where that way is mounted below `auth/`; `none`: at its own name.")
    .reloads(),
    setting!("vault.token", vault.token: Secret<Option<SecretText>>, "secrets",
        "The token, for `vault.auth = \"token\"`. It is renewed while it can be.")
    .secret()
    .reloads(),
    setting!("vault.role_id", vault.role_id: TextOrNone<Option<VaultName>>, "secrets",
        "The id of the role, for `approle`.")
    .reloads(),
    setting!("vault.secret_id", vault.secret_id: Secret<Option<SecretText>>, "secrets",
        "The secret that belongs to the role, for `approle`.")
    .secret()
    .reloads(),
    setting!("vault.role", vault.role: TextOrNone<Option<VaultName>>, "secrets",
        "The role, for `kubernetes`.")
    .reloads(),
    setting!("vault.jwt_file", vault.jwt_file: FilePath<PathBuf>, "secrets",
        "The token that Kubernetes gives to a pod.")
    .reloads(),
    setting!("vault.ca", vault.authorities: Files<Vec<PathBuf>>, "secrets",
        "Files in PEM with the authorities that vouch for Vault; `none`: those that the system trusts.")
    .reloads(),
    setting!("vault.timeout", vault.timeout: PositiveTime<Duration>, "secrets",
        "How long Vault may take for one answer.")
    .reloads(),
    setting!("vault.refresh", vault.refresh: PositiveTime<Duration>, "secrets",
        "How often secrets are read from Vault again. What has changed is taken up as SIGHUP does it.")
    .reloads(),
];

#[cfg(test)]
mod tests;
