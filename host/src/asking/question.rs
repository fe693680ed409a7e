//! What a model is asked, and the request that this makes to it by what it can do.

use belljar_sandbox::{Capabilities, Capability};
use serde_json::{Value, json};

use super::Call;

/// The question to a model.
#[derive(Clone)]
pub(crate) enum Question {
    /// A text, with pictures or without, as URLs.
    Prompt { text: String, images: Vec<String> },
    /// Tensors by their names, or the whole body of a request.
    Json(Value),
}

/// A question that the model cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("{model} takes no {what}: it has {has}{instead}")]
pub(crate) struct WrongQuestion {
    model: String,
    what: &'static str,
    has: String,
    instead: &'static str,
}

impl Question {
    /// A text alone.
    pub(crate) fn of_text(text: String) -> Self {
        Self::Prompt {
            text,
            images: Vec::new(),
        }
    }

    /// The request that the question makes to the model of that id, which can do that.
    pub(crate) fn into_call(self, model: String, can: Capabilities) -> Result<Call, WrongQuestion> {
        let wrong = |model, what, instead| WrongQuestion {
            model,
            what,
            has: can.names().join(", "),
            instead,
        };
        Ok(match self {
            Self::Prompt { text, images } if can.has(Capability::Text) => {
                let messages = json!([{"role": "user", "content": parts(text, images)}]);
                Call::Chat(json!({"model": model, "stream": true, "messages": messages}))
            }
            Self::Prompt { text, images }
                if images.is_empty() && can.has(Capability::Embeddings) =>
            {
                Call::Embeddings(json!({"model": model, "input": text}))
            }
            Self::Prompt { text, images } if can.has(Capability::Moderation) => {
                Call::Moderation(json!({"model": model, "input": parts(text, images)}))
            }
            Self::Prompt { images, .. } if !images.is_empty() => {
                return Err(wrong(model, "pictures", ""));
            }
            Self::Prompt { .. } => return Err(wrong(model, "text", "; use --input")),
            Self::Json(json) if json.get("messages").is_some() => Call::Chat(naming(json, model)),
            Self::Json(json) if json.get("prompt").is_some() && can.has(Capability::Text) => {
                Call::Completion(naming(json, model))
            }
            Self::Json(json) if json.get("input").is_some() && can.has(Capability::Embeddings) => {
                Call::Embeddings(naming(json, model))
            }
            Self::Json(json) if json.get("input").is_some() && can.has(Capability::Moderation) => {
                Call::Moderation(naming(json, model))
            }
            Self::Json(json) if json.get("query").is_some() && can.has(Capability::Ranking) => {
                Call::Rerank(naming(json, model))
            }
            Self::Json(json) if json.get("text_1").is_some() && can.has(Capability::Ranking) => {
                Call::Score(naming(json, model))
            }
            Self::Json(json) if can.has(Capability::Tensors) && json.get("inputs").is_some() => {
                Call::Tensors(naming(json, model))
            }
            Self::Json(json) if can.has(Capability::Tensors) => {
                Call::Tensors(json!({"inputs": json, "model": model}))
            }
            Self::Json(_) => return Err(wrong(model, "tensors", "; use --prompt")),
        })
    }
}

/// The body of a request, with the model named in it.
fn naming(mut json: Value, model: String) -> Value {
    if let Some(object) = json.as_object_mut() {
        object.insert("model".to_owned(), model.into());
    }
    json
}

/// The content of a message: the text alone, or parts where there are pictures.
fn parts(text: String, images: Vec<String>) -> Value {
    if images.is_empty() {
        return text.into();
    }
    let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
    let images = images
        .into_iter()
        .map(|url| json!({"type": "image_url", "image_url": {"url": url}}));
    text.into_iter().chain(images).collect()
}
