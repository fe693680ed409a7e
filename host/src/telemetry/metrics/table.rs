//! The one list of all metrics. What is not here cannot be counted: handles, descriptions,
//! buckets and the reference page all come from it.

use metrics::{Counter, Gauge, Unit};

use super::family::{Family, Handle as _, MetricRow};
use super::histogram::Histogram;
use super::level::Level;

/// Connections that are open.
pub static OPEN_CONNECTIONS: Level = Level::of(&CONNECTIONS_OPEN);
/// Texts that are being streamed.
pub static OPEN_STREAMS: Level = Level::of(&STREAMS_OPEN);

/// Writes the metrics and their list.
macro_rules! metrics {
    ($($metric:ident: $handle:ident $(in $buckets:ident)?, $name:literal, $unit:ident,
       $help:literal, [$($label:literal: $values:literal),* $(,)?];)*) => {
        $(
            #[doc = $help]
            pub static $metric: Family<$handle, { <[&str]>::len(&[$($label),*]) }> =
                Family::new(MetricRow {
                    name: $name,
                    kind: $handle::KIND,
                    unit: Unit::$unit,
                    help: $help,
                    labels: &[$(($label, $values)),*],
                    buckets: metrics!(@buckets $($buckets)?),
                });
        )*

        /// All metrics, in the order of the reference page.
        pub static METRICS: &[&MetricRow] = &[$(&$metric.row),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { &$buckets };
}

/// From a fresh sandbox with an empty guest to a long generation.
const SHORT_SECONDS: [f64; 16] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.5, 1.0, 10.0, 60.0,
];
const LONG_SECONDS: [f64; 9] = [0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// As vLLM has them.
const FIRST_TOKEN_SECONDS: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2_560.0,
];
const GAP_SECONDS: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];
const ANSWER_SECONDS: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1_920.0, 7_680.0,
];
/// As vLLM has them where a prompt and its answer have a million tokens: the most of any name that
/// clients know.
const TOKENS: [f64; 19] = [
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    200.0,
    500.0,
    1_000.0,
    2_000.0,
    5_000.0,
    10_000.0,
    20_000.0,
    50_000.0,
    100_000.0,
    200_000.0,
    500_000.0,
    1_000_000.0,
];

metrics! {
    RUNS_NOT_KEPT: Counter, "belljar_runs_not_kept_total", Count,
        "Runs that were to be kept and are not: too many at once, too large, or not to be written.",
        [];
    FAULTS: Counter, "belljar_faults_total", Count,
        "Answers that went wrong because a tester had asked for it.",
        ["fault": "the name that the fault begins with"];
    WORLDS: Gauge, "belljar_worlds", Count,
        "Worlds of testers, besides the one of requests that name none.", [];
    HTTP_REQUESTS: Counter, "belljar_http_requests_total", Count,
        "Requests answered.",
        [
            "route": "the template of the route, or `unmatched`",
            "method": "the method, or `OTHER`",
            "status": "the class, as in `2xx`",
        ];
    HTTP_DURATION: Histogram in SHORT_SECONDS, "belljar_http_request_duration_seconds", Seconds,
        "From a request's head to its last byte.",
        ["route": "the template of the route, or `unmatched`"];
    HTTP_IN_FLIGHT: Gauge, "belljar_http_requests_in_flight", Count,
        "Requests being worked on.", [];
    HTTP_BYTES_IN: Counter, "belljar_http_request_body_bytes_total", Bytes,
        "Bytes of request bodies read.", [];
    HTTP_BYTES_OUT: Counter, "belljar_http_response_body_bytes_total", Bytes,
        "Bytes of response bodies sent.", [];
    CONNECTIONS_OPEN: Gauge, "belljar_connections_open", Count,
        "Connections open now.", [];
    STREAMS_OPEN: Gauge, "belljar_streams_open", Count,
        "Texts that are being streamed now.", [];
    CONNECTIONS_REFUSED: Counter, "belljar_connections_refused_total", Count,
        "Connections that there was no room for.",
        ["reason": "the bound that was reached, or what the connection began with"];
    CONNECTIONS_CUT: Counter, "belljar_connections_cut_total", Count,
        "Connections that the server ended.",
        ["reason": "the time-out that was over"];
    MALFORMED_REQUESTS: Counter, "belljar_malformed_requests_total", Count,
        "Heads that never became a request.",
        ["reason": "the code of the error"];
    TLS_HANDSHAKES: Counter, "belljar_tls_handshakes_total", Count,
        "Connections that were to become encrypted.",
        ["outcome": "`ok`, `failed`, `late`, or `plain` for a request without TLS"];
    TLS_HANDSHAKES_OPEN: Gauge, "belljar_tls_handshakes_open", Count,
        "Handshakes going on now.", [];
    TLS_RELOADS: Counter, "belljar_tls_reloads_total", Count,
        "Times that certificates were read again.",
        ["outcome": "`ok`, or `failed` where the old ones stay"];
    TLS_CERTIFICATE_EXPIRY: Gauge, "belljar_tls_certificate_expiry_seconds", Seconds,
        "When a certificate ends, in seconds since 1970.",
        ["file": "the file that it was read from"];
    WALL: Gauge, "belljar_wall", Count,
        "Whether a part of the wall around the server was shown to hold at its start: 1 or 0.",
        ["guard": "`files`, `network`, `processes`, `calls`, `privileges` or `compiler`"];
    TLS_REVOCATIONS_EXPIRY: Gauge, "belljar_tls_crl_expiry_seconds", Seconds,
        "When a list of revoked certificates ends, in seconds since 1970.",
        ["file": "the file that it was read from"];
    TLS_EXPIRES_SOON: Gauge, "belljar_tls_expires_soon", Count,
        "1 where a file of certificates or revocations ends within `tls.expiry_warning` or has ended, else 0.",
        ["file": "the file that it was read from"];
    RELOADS: Counter, "belljar_reloads_total", Count,
        "Times that the settings were read again.",
        ["outcome": "`ok`, or `refused` where they stay as they were"];
    RATE_LIMIT_ADDRESSES: Gauge, "belljar_rate_limit_addresses", Count,
        "Addresses whose rate is remembered.", [];
    RATE_LIMIT_KEYS: Gauge, "belljar_rate_limit_keys", Count,
        "Keys whose rate is remembered.", [];
    KEY_REQUESTS: Counter, "belljar_key_requests_total", Count,
        "Requests that a key was let in with.",
        ["key_id": "the id of one of the first 1 000 keys, or `other`"];
    KEY_TOKENS: Counter, "belljar_key_tokens_total", Count,
        "Tokens of prompts and answers of a key.",
        ["key_id": "the id of one of the first 1 000 keys, or `other`"];
    KEY_FUEL: Counter, "belljar_key_fuel_total", Count,
        "Fuel used by a key.",
        ["key_id": "the id of one of the first 1 000 keys, or `other`"];
    KEY_BUDGET: Gauge, "belljar_key_budget_remaining", Count,
        "What is left of a key's budget of the month.",
        [
            "key_id": "the id of one of the first 1 000 keys",
            "budget": "`fuel`, `tokens` or `requests`",
        ];
    INJECTIONS: Counter, "belljar_injections_total", Count,
        "Injections found in requests.",
        [
            "kind": "the place of the text",
            "category": "the kind of attack",
            "outcome": "`block` or `report`",
        ];
    AUTH_FAILURES: Counter, "belljar_auth_failures_total", Count,
        "Requests refused for their credentials.",
        ["reason": "the code of the error, or what is wrong with a token"];
    JWT_CHECKS: Counter, "belljar_jwt_checks_total", Count,
        "Tokens that were not seen before and were looked into.",
        ["outcome": "`ok`, or the reason for which it does not hold"];
    JWT_TOKENS: Gauge, "belljar_jwt_tokens", Count,
        "Tokens that hold and are known again.", [];
    JWT_KEY_READS: Counter, "belljar_jwt_key_reads_total", Count,
        "Times that the keys of `jwt.jwks` were read.",
        ["outcome": "`ok`, or `failed` where the old ones stay for `jwt.stale_max`"];
    JWT_KEYS_AGE: Gauge, "belljar_jwt_keys_age_seconds", Seconds,
        "Since the keys of `jwt.jwks` were last read.", [];
    REFUSALS: Counter, "belljar_refusals_total", Count,
        "Errors answered.",
        ["reason": "the code of the error"];
    VIOLATIONS: Counter, "belljar_violations_total", Count,
        "Violations of the rules of conduct.",
        ["kind": "the kind of violation"];
    BANS: Counter, "belljar_bans_total", Count,
        "Bans made.",
        ["reason": "the kind of violation that led to it last, or `anomaly`"];
    BANS_IN_FORCE: Gauge, "belljar_bans_in_force", Count,
        "Bans in force.", [];
    ABUSE_TABLE: Gauge, "belljar_abuse_table_entries", Count,
        "Addresses whose violations are remembered.", [];
    ANOMALIES: Counter, "belljar_anomalies_total", Count,
        "Anomalies reported.",
        [
            "input": "the input that added most to the score",
            "action": "`report`, `slow` or `ban`",
        ];
    ANOMALY_CALLERS: Gauge, "belljar_anomaly_callers", Count,
        "Callers that are watched.",
        ["state": "`warming_up`, or `settled` where they are judged"];
    ANOMALY_SCORE_MAX: Gauge, "belljar_anomaly_score_max", Count,
        "The highest score of a caller in the last window.", [];
    ANOMALY_SLOWED: Gauge, "belljar_anomaly_slowed_callers", Count,
        "Callers that are slowed down.", [];
    ANOMALY_FORGOTTEN: Counter, "belljar_anomaly_forgotten_total", Count,
        "Callers forgotten because there was no room for their baselines.", [];
    BAN_WRITE_FAILURES: Counter, "belljar_ban_write_failures_total", Count,
        "Writes of bans that failed.", [];
    AUDIT_EVENTS: Counter, "belljar_audit_events_total", Count,
        "Security events recorded.",
        ["event": "the name of the event"];
    AUDIT_FAILURES: Counter, "belljar_audit_failures_total", Count,
        "Security events that could not be written.",
        ["sink": "`file`, `stdout`, `syslog`, or `queue` where it was full"];
    AUDIT_REPEATED: Counter, "belljar_audit_repeated_total", Count,
        "Security events that were only counted.", [];
    BACKUPS: Counter, "belljar_backups_total", Count,
        "Backups that are over.",
        ["outcome": "`ok`, `left` where whoever took it has gone, `too_slow` at `backup.time_max`, or `failed`"];
    WEBHOOK_MESSAGES: Counter, "belljar_webhook_messages_total", Count,
        "Messages to the webhook that are over.",
        ["outcome": "`ok`, `failed` where nobody took it in time, or `dropped` where there was no room or a stop"];
    WEBHOOK_ATTEMPTS: Counter, "belljar_webhook_attempts_total", Count,
        "Attempts to send a message to the webhook.",
        ["outcome": "`ok` or `failed`"];
    WEBHOOK_QUEUED: Gauge, "belljar_webhook_queued", Count,
        "Messages that wait for the webhook.", [];
    TRACE_SPANS: Counter, "belljar_trace_spans_total", Count,
        "Spans that are over for the server.",
        ["outcome": "`ok`, `rejected` by the collector out of a message that it took, `failed` where nobody took it in time, or `dropped` where there was no room or a stop"];
    TRACE_EXPORTS: Counter, "belljar_trace_exports_total", Count,
        "Attempts to send spans to the collector.",
        ["outcome": "`ok` or `failed`"];
    TRACE_SPANS_QUEUED: Gauge, "belljar_trace_spans_queued", Count,
        "Spans that wait for the collector, when the last message was made.", [];
    KEY_CUTS: Counter, "belljar_key_cuts_total", Count,
        "Requests and streams ended because their key, token or client certificate did.", [];
    RUNS: Counter, "belljar_runs_total", Count,
        "Runs of models that ended.",
        [
            "model": "the version, as `name@version`",
            "outcome": "`ok` or the code of the error",
        ];
    RUN_DURATION: Histogram in SHORT_SECONDS, "belljar_run_duration_seconds", Seconds,
        "One run on the wall clock.",
        ["model": "the version, as `name@version`"];
    RUN_FUEL: Counter, "belljar_run_fuel_total", Count,
        "Fuel used by runs.",
        ["model": "the version, as `name@version`"];
    RUN_CAPS: Counter, "belljar_run_caps_hit_total", Count,
        "Runs ended by a cap.",
        ["model": "the version, as `name@version`", "cap": "which cap"];
    CAP_STORMS: Counter, "belljar_cap_storms_total", Count,
        "Storms of runs ended by a cap.",
        ["model": "the version, as `name@version`", "cap": "which cap"];
    SANDBOX_RUNNING: Gauge, "belljar_sandbox_running", Count,
        "Runs that hold a slot.", [];
    SANDBOX_WAITING: Gauge, "belljar_sandbox_waiting", Count,
        "Runs that wait for a slot.", [];
    SANDBOX_SLOTS: Gauge, "belljar_sandbox_slots", Count,
        "Slots there are.", [];
    UPLOADS: Counter, "belljar_uploads_total", Count,
        "Uploads that ended.",
        ["outcome": "`ok` or the code of the error"];
    UPLOAD_BYTES: Counter, "belljar_upload_bytes_total", Bytes,
        "Bytes of bundles received.", [];
    MODEL_VERSIONS: Gauge, "belljar_model_versions", Count,
        "Versions of models by state.",
        ["state": "the state"];
    MODELS_RESIDENT_BYTES: Gauge, "belljar_models_resident_bytes", Bytes,
        "Compiled models that are mapped, each file once.", [];
    MODELS_AWAY: Gauge, "belljar_models_away", Count,
        "Versions that are out of memory until somebody asks for them.", [];
    MODEL_EVICTIONS: Counter, "belljar_model_evictions_total", Count,
        "Versions that left memory because others needed the room.", [];
    MODEL_LOAD_DURATION: Histogram in LONG_SECONDS, "belljar_model_load_duration_seconds", Seconds,
        "From the first request for a version that is out of memory until it is back.",
        ["outcome": "`ok`, or `failed` where it had to be prepared anew"];
    PREFIX_CACHE_BYTES: Gauge, "belljar_prefix_cache_bytes", Bytes,
        "What models have kept of the beginnings of prompts.", [];
    PREFIX_CACHE_BLOCKS: Counter, "belljar_prefix_cache_blocks_total", Count,
        "Blocks of prompts that models looked for or kept.",
        ["outcome": "`found`, `missed` or `kept`"];
    COMPILE_DURATION: Histogram in LONG_SECONDS, "belljar_compile_duration_seconds", Seconds,
        "Compilation, load and snapshot.",
        ["outcome": "`ok` or why it failed"];
    LOG_LINES_DROPPED: Counter, "belljar_log_lines_dropped_total", Count,
        "Log lines lost to a slow reader.", [];
    BUILD_INFO: Gauge, "belljar_build_info", Count,
        "Always 1; the label says the version.",
        ["version": "the version of the program"];
    VLLM_RUNNING: Gauge, "vllm:num_requests_running", Count,
        "Answers that are made: those that run in simulated servers, and all of models that have none.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_WAITING: Gauge, "vllm:num_requests_waiting", Count,
        "Answers that wait in simulated servers.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_KV_USAGE: Gauge, "vllm:kv_cache_usage_perc", Count,
        "The part of the blocks of simulated servers that is held, from 0 to 1.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_GPU_USAGE: Gauge, "vllm:gpu_cache_usage_perc", Count,
        "The same under the name that vLLM had for it before 0.9.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_CACHE_CONFIG: Gauge, "vllm:cache_config_info", Count,
        "Always 1; the labels say how a simulated server is built.",
        ["model_name": "the name of the model", "engine": "always `0`", "block_size": "tokens of a block", "num_gpu_blocks": "blocks"];
    VLLM_PREFIX_QUERIES: Counter, "vllm:prefix_cache_queries_total", Count,
        "Tokens of prompts that simulated servers looked for in their cache.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_PREFIX_HITS: Counter, "vllm:prefix_cache_hits_total", Count,
        "Tokens of prompts that were there.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_PREEMPTIONS: Counter, "vllm:num_preemptions_total", Count,
        "Answers that gave their blocks back and were computed anew.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_PROMPT_TOKENS: Counter, "vllm:prompt_tokens_total", Count,
        "Tokens of the prompts of answers that are over.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_GENERATION_TOKENS: Counter, "vllm:generation_tokens_total", Count,
        "Tokens of answers that are over.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_SUCCESS: Counter, "vllm:request_success_total", Count,
        "Answers that are over.",
        ["model_name": "the name of the model", "engine": "always `0`", "finished_reason": "`stop` or `length`"];
    VLLM_REQUEST_PROMPT: Histogram in TOKENS, "vllm:request_prompt_tokens", Count,
        "Tokens of the prompt of an answer that is over.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_REQUEST_GENERATION: Histogram in TOKENS, "vllm:request_generation_tokens", Count,
        "Tokens of an answer that is over.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_LONGEST: Histogram in TOKENS, "vllm:request_max_num_generation_tokens", Count,
        "Tokens of the longest of all answers to one prompt, once they are all over.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_TOKENS_MAX: Histogram in TOKENS, "vllm:request_params_max_tokens", Count,
        "The most tokens that an answer which is over was let have: as its request says, or else the server.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_FIRST_TOKEN: Histogram in FIRST_TOKEN_SECONDS, "vllm:time_to_first_token_seconds", Seconds,
        "From a request to the first token of an answer.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_GAP: Histogram in GAP_SECONDS, "vllm:inter_token_latency_seconds", Seconds,
        "From a token of an answer to the next.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_TOKEN_TIME: Histogram in GAP_SECONDS, "vllm:time_per_output_token_seconds", Seconds,
        "The same under the name that vLLM had for it before 0.11.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_MEAN_GAP: Histogram in GAP_SECONDS, "vllm:request_time_per_output_token_seconds", Seconds,
        "The mean of these in one answer; 0 where it has a single token.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_QUEUED: Histogram in ANSWER_SECONDS, "vllm:request_queue_time_seconds", Seconds,
        "The wait of an answer in a simulated server; 0 of models that have none.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_PREFILL: Histogram in ANSWER_SECONDS, "vllm:request_prefill_time_seconds", Seconds,
        "From the end of that wait to the first token of an answer.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_DECODE: Histogram in ANSWER_SECONDS, "vllm:request_decode_time_seconds", Seconds,
        "From the first token of an answer to its last.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_INFERENCE: Histogram in ANSWER_SECONDS, "vllm:request_inference_time_seconds", Seconds,
        "From the end of that wait to the last token of an answer.",
        ["model_name": "the name of the model", "engine": "always `0`"];
    VLLM_WHOLE: Histogram in ANSWER_SECONDS, "vllm:e2e_request_latency_seconds", Seconds,
        "From a request to the end of an answer.",
        ["model_name": "the name of the model", "engine": "always `0`"];
}
