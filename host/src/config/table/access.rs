//! Where the server listens, who it lets in, and how much each may use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use belljar_screen::{Mode, Threshold};
use belljar_wall::Hardening;

use super::super::setting::{FileUse, Setting, setting};
use super::super::settings::FileMode;
use super::super::values::{
    Address, BytesOrNone, FilePath, Files, FromText, FuelOrNone, Keys, ListOf, PathOrNone,
    Positive, PositiveOrNone, PositiveTime, PrivateKeys, Secret, Switch, TextOrNone, Time,
    ValueParser,
};

use crate::auth::{
    ConfiguredKey, JwtAlgorithm, JwtText, KeySource, ScopeRule, SigningRootText, Tier,
};
use crate::limits::{ResetFormat, RouteRate};
use crate::tls::{ClientAuth, ClientRule, PrivateKeySource, TlsVersion};

pub(super) const ROWS: &[Setting] = &[
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
    setting!("jwt.audience", auth.jwt.audience: ListOf<Vec<JwtText>>, "auth", "What this server is called in `aud`; a token has to have one of them.")
    .reloads(),
    setting!("jwt.jwks", auth.jwt.jwks: TextOrNone<Option<KeySource>>, "auth", "The set of keys (JWKS) that vouch for tokens: a file, or a URL."),
    setting!("jwt.jwks_ca", auth.jwt.jwks_authorities: Files<Vec<PathBuf>>, "auth", "Files in PEM with the authorities that vouch for that URL, instead of the system's."),
    setting!("jwt.algorithms", auth.jwt.algorithms: ListOf<Vec<JwtAlgorithm>>, "auth", "The algorithms that tokens may be signed with.")
    .reloads(),
    setting!("jwt.leeway", auth.jwt.leeway: Time<Duration>, "auth", "By how much the issuer's clock may differ, for `exp`, `nbf` and `iat`; at most 5 min.")
    .reloads(),
    setting!("jwt.lifetime_max", auth.jwt.lifetime_max: PositiveTime<Duration>, "auth", "How far `exp` may be away. Revoked ids are kept for as long.")
    .reloads(),
    setting!("jwt.refresh", auth.jwt.refresh: PositiveTime<Duration>, "auth", "How often `jwt.jwks` and `jwt.revoked` are read."),
    setting!("jwt.reread_period", auth.jwt.reread_period: PositiveTime<Duration>, "auth", "The time between two readings of `jwt.jwks` for tokens whose key is not known, or after one that failed; at least 1 s."),
    setting!("jwt.read_timeout", auth.jwt.read_timeout: PositiveTime<Duration>, "auth", "How long one reading of a URL may take."),
    setting!("jwt.stale_max", auth.jwt.stale_max: PositiveTime<Duration>, "auth", "How long keys are used that cannot be read again; then tokens are refused with 503."),
    setting!("jwt.caller", auth.jwt.caller_claim: FromText<JwtText>, "auth", "The claim that says who calls. A claim is named as it is, or by the names on the way to it with dots between them.")
    .reloads(),
    setting!("jwt.scopes", auth.jwt.scope_claim: FromText<JwtText>, "auth", "The claim that says what the caller may do: words between spaces, or a list.")
    .reloads(),
    setting!("jwt.scope_rules", auth.jwt.scope_rules: ListOf<Vec<ScopeRule>>, "auth", "What words of that claim stand for. `none`: words that are names of scopes stand for them.")
    .reloads(),
    setting!("jwt.models", auth.jwt.models_claim: TextOrNone<Option<JwtText>>, "auth", "The claim that lists the models that the caller may use, `*` for all; a token without it may use none. `none`: all tokens may use all.")
    .reloads(),
    setting!("jwt.tier", auth.jwt.tier_claim: TextOrNone<Option<JwtText>>, "auth", "The claim that names the caller's tier; a token without it has the server's.")
    .reloads(),
    setting!("jwt.revoked", auth.jwt.revoked: PathOrNone<Option<PathBuf>>, "auth", "A file with the ids (`jti`) of tokens that are not taken any more, one a line.")
    .reloads(),
    setting!("signed_requests.age_max", auth.signing.age_max: PositiveTime<Duration>, "auth",
        "How old the signature of a request may be, for keys that sign."),
    setting!("signed_requests.skew_max", auth.signing.skew_max: Time<Duration>, "auth",
        "How far a signer's clock may be ahead. After a kill, nothing signed up to this long after the start is accepted."),
    setting!("signed_requests.nonces_max", auth.signing.nonces_max: Positive<usize>, "auth",
        "Nonces of signed requests remembered at once, about 40 bytes each; where there are as many, signed requests get 503."),
    setting!("signed_requests.nonces_per_key_max", auth.signing.nonces_per_key_max: Positive<usize>, "auth",
        "The same of one key."),
    setting!("signed_requests.root", auth.signing.root: Secret<Option<SigningRootText>>, "auth",
        "What the secrets of keys that sign follow from, at least 32 bytes; `none`: the file `signing.key` in the data directory.")
    .secret(),
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
];
