//! What is kept of requests and answers, and what is taken out of everything, in tables.

/// Headers of requests that are kept: those that change what is answered.
pub(super) const REQUEST_HEADERS: [&str; 5] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
];

/// Headers of answers that are kept: those that clients go by.
pub(super) const ANSWER_HEADERS: [&str; 9] = [
    "content-type",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
];

/// How the names of others begin that are kept of answers.
pub(super) const ANSWER_HEADER_PREFIXES: [&str; 2] = ["anthropic-ratelimit-", "x-ratelimit-"];

/// Members of JSON whose texts are taken out, in lower case and with `_`.
pub(super) const SECRET_MEMBERS: [&str; 14] = [
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "client_secret",
    "id_token",
    "passwd",
    "password",
    "private_key",
    "refresh_token",
    "secret",
    "secret_key",
    "session_token",
];

/// Members of events whose texts go on in the next one.
pub(super) const JOINED: [&str; 14] = [
    "arguments",
    "content",
    "data",
    "delta",
    "output",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "summary",
    "text",
    "thinking",
    "transcript",
];

/// The patterns that hold unless rules say `defaults = false`: a name, and a regular expression. Where
/// that has a group `secret`, only what is in it is taken out.
pub(super) const PATTERNS: [(&str, &str); 8] = [
    (
        "private-key",
        r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|\z)",
    ),
    // As services write them; with stars, as in messages that repeat a wrong one.
    ("key", r"\b(?:sk|pk|rk)[-_][A-Za-z0-9*_-]{12,}"),
    (
        "key",
        r"\b(?:gh[opsur]_|github_pat_|glpat-|gsk_|hf_|npm_|pplx-|r8_|whsec_|xai-|xox[abeoprs]-)[A-Za-z0-9+/=_-]{10,}",
    ),
    (
        "key",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{30,}",
    ),
    (
        "token",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?|(?i:\bbearer) +(?P<secret>[A-Za-z0-9._~+/=-]{20,})",
    ),
    (
        "password",
        r"[a-z][a-z0-9+.-]{1,30}://[^/\s:@]{1,256}:(?P<secret>[^/\s@]{1,256})@",
    ),
    // JSON inside a text, as in the arguments of a call of a tool.
    (
        "member",
        r#"(?i)"(?:access_?key|access_token|api[_-]?key|client_secret|passwd|password|private_key|refresh_token|secret|secret_key)"\s*:\s*"(?P<secret>(?:[^"\\]|\\.)+)""#,
    ),
    (
        "email",
        r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    ),
];
