//! Whether an answer is to be spoken, and how.

use crate::api::check::{StringOrObject, not_empty};
use crate::api::openai::sound::{Format, SpeechStyle, Voice};
use crate::http::error::ApiError;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a spoken answer is to sound.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AudioOptions {
    /// `wav`, `pcm16` or `flac`; `mp3`, `opus` and `aac` are silent.
    format: String,
    /// The name of a voice.
    #[schema(value_type = String)]
    voice: StringOrObject<OwnVoice>,
}

/// A voice that somebody has made.
#[derive(Debug, Deserialize)]
struct OwnVoice {
    #[expect(dead_code, reason = "all of them sound the same")]
    id: IgnoredAny,
}

/// A spoken answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionAudio)]
pub(super) struct Audio {
    pub(super) id: String,
    /// The sound, in base64.
    pub(super) data: String,
    /// In seconds since 1970.
    pub(super) expires_at: i64,
    /// What is said.
    pub(super) transcript: String,
}

/// Seconds for which an answer says that its sound is kept. It is kept nowhere.
pub(super) const KEPT_S: i64 = 3_600;

/// How the answers to a request are spoken; none where they are only written.
pub(super) fn speech(
    modalities: Option<&Vec<String>>,
    audio: Option<AudioOptions>,
    answers: u32,
    is_stream: bool,
) -> Result<Option<SpeechStyle>, ApiError> {
    not_empty("modalities", modalities)?;
    let mut is_wanted = false;
    for modality in modalities.into_iter().flatten() {
        match modality.as_str() {
            "text" => {}
            "audio" => is_wanted = true,
            _ => {
                let message = "expected `text` or `audio`";
                return Err(ApiError::invalid_argument("modalities", message));
            }
        }
    }
    let Some(AudioOptions { format, voice }) = audio else {
        return if is_wanted {
            Err(ApiError::missing_argument("audio".to_owned()))
        } else {
            Ok(None)
        };
    };
    let wrong = |member: &str, message: &str| {
        Err(ApiError::invalid_argument(
            format!("audio.{member}"),
            message,
        ))
    };
    let Some(format) = Format::named(&format) else {
        return wrong(
            "format",
            "expected `wav`, `mp3`, `flac`, `opus`, `aac` or `pcm16`",
        );
    };
    let voice = match voice {
        StringOrObject::Object(_) => Voice::OWN,
        StringOrObject::Text(name) => match Voice::named(&name) {
            Some(voice) => voice,
            None => {
                return wrong(
                    "voice",
                    "expected the name of a voice, such as `alloy`, `coral`, `onyx` or `shimmer`",
                );
            }
        },
    };
    if is_wanted && is_stream && format != Format::Pcm16 {
        return wrong("format", "expected `pcm16` where the answer is a stream");
    }
    Ok(is_wanted.then_some(SpeechStyle {
        format,
        voice,
        answers,
    }))
}
