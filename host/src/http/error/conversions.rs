//! One `match` for each of the domains' errors, none with an arm for the rest: a new way of
//! failing does not compile until somebody has decided what its caller reads.

use super::{ApiError, ErrorType, Status};
use crate::auth::{Denied, JwtError, KeyError};
use crate::guard::{BanError, SlowedDown, Violation};
use crate::inference::{
    self, CallRefusal, DetokenizeError, InferenceError, PromptPlace, ScreenRefusal, TooManyTokens,
};
use crate::ledger::LedgerError;
use crate::limits::{LimitError, OverQuota, RateError};
use crate::models::{ModelError, VersionState};
use crate::stored::{StoredError, TooManyRuns};
use belljar_sandbox::{CapHit, GuestError, RunError, Scope, Unit};
use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

impl From<BanError> for ApiError {
    fn from(error: BanError) -> Self {
        let text = error.to_string();
        if error.is_out_of_space() {
            return Self::disk_full(text);
        }
        match error {
            BanError::NotBanned { .. } | BanError::KeyNotBanned { .. } => {
                Self::not_found("ban_not_found", text)
            }
            BanError::NotExempt { .. } => Self::not_found("exemption_not_found", text),
            BanError::TooMany => Self::conflict("too_many_exemptions", text),
            BanError::Note => Self::invalid_argument("note", text),
            BanError::Db(_) | BanError::Damaged(_) => Self::internal(text),
        }
    }
}

impl From<ScreenRefusal> for ApiError {
    fn from(refusal: ScreenRefusal) -> Self {
        match refusal {
            ScreenRefusal::Injection { field, is_clear } => {
                let error = Self::new(
                    Status::BadRequest,
                    ErrorType::Security,
                    "injection_detected",
                    "Potential injection attack detected in request.",
                )
                .at(field);
                // A doubtful hit refuses one request and locks out nobody.
                if is_clear {
                    error.counting_as(Violation::Injection)
                } else {
                    error
                }
            }
            ScreenRefusal::ControlCharacter { field } => {
                Self::invalid_argument(field, "holds a control character")
            }
        }
    }
}

impl From<CallRefusal> for ApiError {
    fn from(refusal: CallRefusal) -> Self {
        match refusal {
            CallRefusal::Screen(refusal) => refusal.into(),
            CallRefusal::UnknownToken {
                field,
                id,
                encoding,
            } => {
                let message = format!(
                    "holds {id}, which is no token of the model's encoding `{}`",
                    encoding.name()
                );
                Self::invalid_argument(field, message)
            }
        }
    }
}

impl From<DetokenizeError> for ApiError {
    fn from(error: DetokenizeError) -> Self {
        match error {
            DetokenizeError::Refused(refusal) => refusal.into(),
            DetokenizeError::Inference(error) => error.into(),
        }
    }
}

impl From<TooManyTokens> for ApiError {
    /// In the words of the API that was asked, which its clients look for.
    fn from(error: TooManyTokens) -> Self {
        const CODE: &str = "context_length_exceeded";
        match error {
            TooManyTokens::Prompt {
                place,
                field,
                tokens,
                context,
            } => {
                let message = match place {
                    PromptPlace::Messages => format!(
                        "This model's maximum context length is {context} tokens. However, your \
                         messages resulted in {tokens} tokens. Please reduce the length of the \
                         messages."
                    ),
                    PromptPlace::Input => "Your input exceeds the context window of this model. \
                                           Please adjust your input and try again."
                        .to_owned(),
                    PromptPlace::Prompt | PromptPlace::Embedding => format!(
                        "This model's maximum context length is {context} tokens, however you \
                         requested {tokens} tokens ({tokens} in your prompt; 0 for the \
                         completion). Please reduce your prompt; or completion length."
                    ),
                    PromptPlace::Conversation => {
                        format!("prompt is too long: {tokens} tokens > {context} maximum")
                    }
                };
                Self::bad_request(CODE, message).at(field)
            }
            TooManyTokens::Sum {
                place,
                field,
                tokens,
                answer,
                context,
            } => {
                let sum = u64::from(tokens) + u64::from(answer);
                let (field, message) = match place {
                    PromptPlace::Messages => (
                        "messages",
                        format!(
                            "This model's maximum context length is {context} tokens. However, you \
                             requested {sum} tokens ({tokens} in the messages, {answer} in the \
                             completion). Please reduce the length of the messages or completion."
                        ),
                    ),
                    PromptPlace::Prompt | PromptPlace::Embedding => (
                        "prompt",
                        format!(
                            "This model's maximum context length is {context} tokens, however you \
                             requested {sum} tokens ({tokens} in your prompt; {answer} for the \
                             completion). Please reduce your prompt; or completion length."
                        ),
                    ),
                    PromptPlace::Input => (
                        "input",
                        "Your input exceeds the context window of this model. Please adjust your \
                         input and try again."
                            .to_owned(),
                    ),
                    PromptPlace::Conversation => (
                        field,
                        format!(
                            "input length and `max_tokens` exceed context limit: {tokens} + {answer} \
                             > {context}, decrease input length or `max_tokens` and try again"
                        ),
                    ),
                };
                Self::bad_request(CODE, message).at(field.to_owned())
            }
            TooManyTokens::Answer {
                place,
                field,
                model,
                answer,
                output,
            } => {
                let message = match place {
                    PromptPlace::Conversation => format!(
                        "max_tokens: {answer} > {output}, which is the maximum allowed number of \
                         output tokens for {model}"
                    ),
                    PromptPlace::Messages
                    | PromptPlace::Input
                    | PromptPlace::Prompt
                    | PromptPlace::Embedding => format!(
                        "{field} is too large: {answer}. This model supports at most {output} \
                         completion tokens, whereas you provided {answer}."
                    ),
                };
                Self::bad_request("invalid_value", message).at(field.to_owned())
            }
        }
    }
}

impl<I: Into<Self>> From<InferenceError<I>> for ApiError {
    fn from(error: InferenceError<I>) -> Self {
        match error {
            InferenceError::Model(error) => error.into(),
            InferenceError::Rate(error) => error.into(),
            InferenceError::TooManyTokens(error) => error.into(),
            InferenceError::Invalid(error) => error.into(),
            InferenceError::Script(error) => error.into(),
            InferenceError::Run(error) => error.into(),
        }
    }
}

impl From<Infallible> for ApiError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Rate(error) => error.into(),
            LimitError::Quota(error) => error.into(),
        }
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        let code = inference::code(&error);
        match error {
            RunError::Cap(hit) => hit.into(),
            RunError::Trap { reason } => {
                let message = format!("The model trapped: {reason}.");
                Self::model_fault(Status::BadGateway, code, message)
            }
            RunError::InvalidOutput { reason } => {
                let message = format!("The model's answer is invalid: {reason}.");
                Self::model_fault(Status::BadGateway, code, message)
            }
            RunError::Guest(
                GuestError::InvalidInput(message) | GuestError::Unsupported(message),
            ) => Self::bad_request(code, message).of_guest(),
            // The sandbox has told the log what the model said.
            RunError::Guest(GuestError::Failed(_)) => {
                let message = "The model failed to answer this request.";
                Self::model_fault(Status::BadGateway, code, message)
            }
            RunError::NoCapability { interface } => {
                let message = format!(
                    "The model does not serve this kind of request: it does not export `{interface}`."
                );
                Self::bad_request(code, message).at("model".to_owned())
            }
            RunError::Overloaded {
                scope,
                waiting,
                limit,
                retry_after_s,
            } => {
                let of = match scope {
                    Scope::Model => "for this model",
                    Scope::Host | Scope::Memory => "on this server",
                };
                let message = format!("Too many requests are waiting {of} ({waiting} of {limit}).");
                Self::overloaded(message, retry_after_s)
            }
            RunError::Host { detail } => Self::internal(detail),
        }
    }
}

impl From<CapHit> for ApiError {
    fn from(hit: CapHit) -> Self {
        let CapHit { cap, limit, used } = hit;
        let status = match cap.unit() {
            Unit::Milliseconds => Status::GatewayTimeout,
            Unit::Fuel | Unit::Bytes | Unit::Count(_) => Status::BadGateway,
        };
        let message = format!(
            "The model hit its {} cap of {limit} {} ({used} used); {}.",
            cap.name(),
            cap.unit(),
            cap.raised_by()
        );
        Self::model_fault(status, cap.code(), message)
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Scope(scope) => Self::new(
                Status::Forbidden,
                ErrorType::Permission,
                "insufficient_scope",
                format!("The API key does not have the scope `{scope}`, which this needs."),
            ),
            Denied::KeyNeeded(scope) => Self::new(
                Status::Unauthorized,
                ErrorType::Authentication,
                "invalid_api_key",
                format!(
                    "This needs an API key with the scope `{scope}`. Send it as `Authorization: Bearer \
                     KEY` or `X-API-Key: KEY`."
                ),
            ),
            Denied::KeyUnknown(scope) => Self::new(
                Status::Unauthorized,
                ErrorType::Authentication,
                "invalid_api_key",
                format!(
                    "What was sent as an API key is none of this server's, and this needs one with \
                     the scope `{scope}`."
                ),
            ),
        }
    }
}

impl From<RateError> for ApiError {
    fn from(error: RateError) -> Self {
        let over = |wait: Duration| {
            let seconds = whole_seconds_up(wait);
            let message = format!("{} Retry after {seconds} s.", sentence(&error.to_string()));
            Self::new(
                Status::TooManyRequests,
                ErrorType::RateLimit,
                "rate_limit_exceeded",
                message,
            )
            .retry_after(seconds)
            .counting_as(Violation::RateLimit)
        };
        match error {
            RateError::Requests { wait, .. } | RateError::Tokens { wait, .. } => over(wait),
            RateError::NeverFits { .. } => Self::bad_request(
                "tokens_exceed_limit",
                format!(
                    "{} Ask for fewer tokens (`max_tokens`), or for a higher limit of tokens a minute.",
                    sentence(&error.to_string())
                ),
            ),
            RateError::AlreadyCounted => Self::internal(error.to_string()),
        }
    }
}

impl From<SlowedDown> for ApiError {
    fn from(slowed: SlowedDown) -> Self {
        let seconds = whole_seconds_up(slowed.wait);
        let message = format!(
            "The use of this server is unlike what it has been, and is held to {} requests a minute \
             for a while. Retry after {seconds} s.",
            slowed.per_minute
        );
        // No violation: a caller is not banned for having been slowed down.
        let status = Status::TooManyRequests;
        Self::new(status, ErrorType::RateLimit, "slowed_down", message).retry_after(seconds)
    }
}

impl From<OverQuota> for ApiError {
    fn from(over: OverQuota) -> Self {
        let message = sentence(&over.to_string());
        let later = |code, seconds| {
            let status = Status::TooManyRequests;
            Self::new(status, ErrorType::RateLimit, code, message.clone()).retry_after(seconds)
        };
        match over {
            OverQuota::Concurrent { .. } => later("concurrency_limit_exceeded", 1),
            OverQuota::Uploads { .. } => later("upload_limit_exceeded", 1).closing(),
            OverQuota::Fuel { wait, .. } => later("insufficient_quota", whole_seconds_up(wait)),
            OverQuota::Month(over) => {
                later("insufficient_quota", whole_seconds_up(over.wait)).renewing(over.renews)
            }
            OverQuota::Bundles { .. } | OverQuota::StoredBytes { .. } => Self::new(
                Status::Forbidden,
                ErrorType::Permission,
                "storage_quota_exceeded",
                message,
            )
            .closing(),
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        // All of them are the host's. Nothing is written on behalf of who reads.
        Self::internal(error.to_string())
    }
}

/// Seconds for a `Retry-After` that holds: waiting less is not enough.
fn whole_seconds_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000_000))
        .unwrap_or(u64::MAX)
        .max(1)
}

impl From<TooManyRuns> for ApiError {
    fn from(error: TooManyRuns) -> Self {
        const RETRY_AFTER_S: u64 = 5;
        Self::overloaded(sentence(&error.to_string()), RETRY_AFTER_S)
    }
}

impl From<StoredError> for ApiError {
    fn from(error: StoredError) -> Self {
        let text = error.to_string();
        if error.is_out_of_space() {
            return Self::disk_full(text);
        }
        match error {
            StoredError::NotFound => Self::not_found("not_found", text),
            StoredError::TooLarge { .. } => Self::new(
                Status::PayloadTooLarge,
                ErrorType::InvalidRequest,
                "too_large_to_store",
                format!("{text} (the setting `stored.key_bytes_max`); send `store`: false"),
            ),
            StoredError::Db(_) => Self::internal(text),
        }
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        let out_of_space = error.is_out_of_space();
        match error {
            KeyError::Name => Self::invalid_argument("name", text),
            KeyError::NoScopes => Self::invalid_argument("scopes", text),
            KeyError::Models => Self::invalid_argument("models", text),
            KeyError::Limit { name } => Self::invalid_argument(name, text),
            KeyError::ExpiresInThePast { .. } => Self::invalid_argument("expires", text),
            KeyError::TooMany => Self::conflict("too_many_keys", text),
            KeyError::NotFound { .. } => Self::not_found("key_not_found", text),
            KeyError::Configured { .. } => Self::conflict("key_is_configured", text),
            KeyError::Revoked { .. } => Self::conflict("key_is_revoked", text),
            KeyError::Expired { .. } => Self::conflict("key_is_expired", text),
            KeyError::Jwt(JwtError::Off) => Self::conflict("no_tokens_taken", text),
            KeyError::Jwt(JwtError::TokenId) => Self::invalid_argument("jti", text),
            KeyError::Jwt(JwtError::TooManyRevoked) => {
                Self::conflict("too_many_revoked_tokens", text)
            }
            KeyError::Jwt(
                JwtError::File { .. }
                | JwtError::Url { .. }
                | JwtError::TooLarge { .. }
                | JwtError::NotKeys { .. }
                | JwtError::NoKeys { .. }
                | JwtError::RevokedLine { .. }
                | JwtError::Client(_),
            ) => Self::internal(text),
            KeyError::OverlapTooLong => Self::invalid_argument("overlap", text),
            KeyError::DoesNotSign { .. } => Self::conflict("key_does_not_sign", text),
            KeyError::Db(_) | KeyError::AdminFile { .. } | KeyError::SigningRoot { .. }
                if out_of_space =>
            {
                Self::disk_full(text)
            }
            KeyError::Random(_)
            | KeyError::Db(_)
            | KeyError::Damaged { .. }
            | KeyError::AdminFile { .. }
            | KeyError::SigningRoot { .. }
            | KeyError::SigningRootLost { .. }
            | KeyError::SigningRootOther { .. }
            | KeyError::Interrupted => Self::internal(text),
        }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        if error.is_out_of_space() {
            return Self::disk_full(match error {
                ModelError::DiskFull { detail } => detail,
                other => other.to_string(),
            });
        }
        if error.is_host_fault() {
            return Self::internal(match error {
                ModelError::Host { detail } => detail,
                other => other.to_string(),
            });
        }
        let code = error.code();
        let text = sentence(&error.to_string());
        let refusal = |status| Self::new(status, ErrorType::InvalidRequest, code, text.clone());
        match error {
            ModelError::NotFound { reference } => Self::model_not_found(&reference),
            // What is being worked on will be ready soon; what failed will not, by itself.
            ModelError::NotReady { state, id } => {
                let text = match state {
                    VersionState::Failed => where_to_look(&text, &id.name, &id.version),
                    _ => text,
                };
                let error = Self::new(Status::ServiceUnavailable, ErrorType::Server, code, text)
                    .at("model".to_owned());
                if state.is_settled() {
                    error
                } else {
                    error.retry_after(1)
                }
            }
            // A client would try a 503 again, and what has failed does not mend itself.
            ModelError::NoActiveVersion { failed, .. } => {
                let text = match failed {
                    Some(failed) => where_to_look(&text, &failed.id.name, &failed.id.version),
                    None => text,
                };
                Self::not_found(code, text).at("model".to_owned())
            }
            ModelError::Denied(denied) => denied.into(),
            ModelError::NameNotAllowed { .. } | ModelError::LogsDenied { .. } => {
                Self::new(Status::Forbidden, ErrorType::Permission, code, text)
            }
            ModelError::Recording { .. } => Self::not_found(code, text).at("model".to_owned()),
            ModelError::LogsOff => Self::not_found(code, text),
            ModelError::Conflict { .. } | ModelError::Embedded { .. } => refusal(Status::Conflict),
            ModelError::Bundle(error) if error.is_too_large() => {
                refusal(Status::PayloadTooLarge).closing()
            }
            ModelError::Bundle(_) | ModelError::LimitTooHigh { .. } => {
                refusal(Status::BadRequest).closing()
            }
            ModelError::TooManyUploads { retry_after, .. } => {
                let seconds = whole_seconds(retry_after);
                Self::new(Status::ServiceUnavailable, ErrorType::Server, code, text)
                    .retry_after(seconds)
                    .closing()
            }
            ModelError::UploadStalled { .. }
            | ModelError::UploadTooSlow { .. }
            | ModelError::UploadBelowRate { .. } => refusal(Status::RequestTimeout).closing(),
            ModelError::UploadCancelled => refusal(Status::BadRequest).closing(),
            ModelError::TooManyVersions { .. } | ModelError::StoreFull { .. } => {
                Self::new(Status::InsufficientStorage, ErrorType::Server, code, text).closing()
            }
            ModelError::OverQuota(over) => over.into(),
            ModelError::Closing => {
                Self::new(Status::ServiceUnavailable, ErrorType::Server, code, text).retry_after(1)
            }
            // Their details went to the log above.
            ModelError::DiskFull { detail } => Self::disk_full(detail),
            ModelError::Host { detail } => Self::internal(detail),
        }
    }
}

/// A sentence about a version that failed, and where its reason is told. Not the reason itself: it
/// may be in the words of the model, and who asks a model need not be its author.
fn where_to_look(sentence: &str, name: impl Display, version: impl Display) -> String {
    format!(
        "{sentence} `GET /models/{name}/{version}` or `belljar models show {name}@{version}` says why."
    )
}

/// A domain's error text begins small and ends without a stop; the API speaks in sentences. What
/// is a name and no word, such as that of a file, stays as it is.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let word = text.split_whitespace().next().unwrap_or_default();
    let is_name = word
        .trim_end_matches([':', ',', ';'])
        .contains(|c: char| !c.is_alphabetic() && !matches!(c, '\'' | '-'));
    let mut sentence: String = if is_name {
        text.to_owned()
    } else {
        first.to_uppercase().chain(characters).collect()
    };
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

/// Seconds for a `Retry-After`: whole, and at least one.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_leaves_names_as_they_are() {
        for (text, expect) in [
            ("the archive is empty", "The archive is empty."),
            (
                "model.toml: \"name\": too long",
                "model.toml: \"name\": too long.",
            ),
            ("a, b and c", "A, b and c."),
            ("don't", "Don't."),
            ("m@1.0.0 is there", "m@1.0.0 is there."),
            ("max_tokens: too large", "max_tokens: too large."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), expect);
        }
    }
}
