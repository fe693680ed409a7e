//! What rules say of a request: whether a model answers it, and with what in its place.

use crate::inference::{EmbeddingCall, RequestContext, TextCall};
use crate::testing::{Asking, ScriptRefusal};
use belljar_sandbox::wit::embeddings::Input;
use belljar_sandbox::wit::text::{Message, Part, Prompt, Role};
use belljar_testing::rules::{RuleMessage, RuleToolCall, Said, ScriptedContent};

/// Bytes of a body from which on it is looked at on a thread of its own: paths and expressions
/// over it take longer than others should wait.
const LARGE_BODY_BYTES: usize = 32 * 1024;

/// What a rule has in place of what a model would give.
#[derive(Clone, Debug)]
pub(in crate::inference) enum Script {
    /// A text.
    Said(Said),
    /// A vector for each input.
    Vector(Vec<f32>),
}

/// What the rules of a request have in place of the model; none where the model answers.
///
/// # Errors
///
/// When a rule has to match and none does, when the rule that matches does not work, and when it
/// has a fault in place of an answer.
pub(in crate::inference) async fn script(
    context: &RequestContext,
    asking: impl FnOnce() -> Asking,
) -> Result<Option<Script>, ScriptRefusal> {
    let Some(ruled) = context.tested().and_then(|tested| tested.ruled.as_ref()) else {
        return Ok(None);
    };
    let asking = asking();
    if ruled.body_bytes() < LARGE_BODY_BYTES {
        return asked(context, &asking);
    }
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || asked(&context, &asking));
    // Where the search has panicked, which is told where it happened, the model answers.
    work.await.unwrap_or(Ok(None))
}

fn asked(context: &RequestContext, asking: &Asking) -> Result<Option<Script>, ScriptRefusal> {
    let Some(tested) = context.tested() else {
        return Ok(None);
    };
    let Some(ruled) = &tested.ruled else {
        return Ok(None);
    };
    let answer = ruled.ask(&tested.world, asking)?;
    Ok(answer.and_then(|answer| match &answer.content {
        ScriptedContent::Said(said) => Some(Script::Said(said.clone())),
        ScriptedContent::Embedding(vector) => Some(Script::Vector(vector.clone())),
        ScriptedContent::Generated | ScriptedContent::Nothing => None,
    }))
}

/// A call for a text, as rules see it. Of several prompts they see the first.
pub(in crate::inference) fn asking_of_text(call: &TextCall, is_stream: bool) -> Asking {
    let tools = call.request.tools.iter();
    Asking {
        model: call.model.clone(),
        messages: match &call.request.prompt {
            Prompt::Messages(messages) => messages.iter().map(message).collect(),
            Prompt::Text(raw) => vec![user(raw.text.clone())],
            Prompt::Tokens(_) => vec![user(String::new())],
        },
        tools: tools.map(|tool| tool.name.clone()).collect(),
        is_stream,
    }
}

/// A call for vectors, whose texts are messages of the user's.
pub(in crate::inference) fn asking_of_inputs(call: &EmbeddingCall) -> Asking {
    let inputs = call.inputs.iter().map(|input| match input {
        Input::Text(text) => user(text.clone()),
        Input::Tokens(_) => user(String::new()),
    });
    Asking {
        model: call.model.clone(),
        messages: inputs.collect(),
        tools: Vec::new(),
        is_stream: false,
    }
}

fn user(text: String) -> RuleMessage {
    RuleMessage {
        role: "user",
        text,
        ..RuleMessage::default()
    }
}

fn message(message: &Message) -> RuleMessage {
    let mut text = String::new();
    for part in &message.content {
        match part {
            Part::Text(part) | Part::Refusal(part) => text.push_str(part),
            Part::Image(_) | Part::Audio(_) | Part::File(_) => {}
        }
    }
    let calls = message.tool_calls.iter().map(|call| RuleToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    });
    RuleMessage {
        role: match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        },
        text,
        name: message.name.clone(),
        tool_calls: calls.collect(),
        tool_call_id: message.tool_call_id.clone(),
    }
}
