//! What rules see of a request.

use crate::secrets::is_secret_header;
use serde::Serialize;
use serde_json::Value;

/// A request that is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct RuleRequest<'r> {
    /// The model that was asked for.
    pub model: &'r str,
    /// The path, without the query.
    pub path: &'r str,
    /// The world of the request; empty where it is in none.
    pub world: &'r str,
    /// The headers, their names in lower case. Those that hold secrets are passed over.
    pub headers: &'r [(String, String)],
    /// The body as the client sent it.
    pub body: &'r Value,
    /// The conversation, the same whichever API it came by. A bare text is one message of the
    /// user's.
    pub messages: &'r [RuleMessage],
    /// The names of the tools that are offered.
    pub tools: &'r [String],
    /// Whether a stream is asked for.
    pub is_stream: bool,
}

/// A message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    /// The texts of the message, one after the other.
    pub text: String,
    /// The participant's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The calls that the assistant made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<RuleToolCall>,
    /// The call that a tool's result answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// A call of a tool in an earlier turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleToolCall {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON, as it was written.
    pub arguments: String,
}

impl<'r> RuleRequest<'r> {
    /// The value of a header, if it is none of those that hold secrets.
    pub(crate) fn header(&self, name: &str) -> Option<&'r str> {
        let mut headers = self.headers();
        headers.find_map(|(other, value)| (other == name).then_some(value))
    }

    /// The headers that hold no secrets.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        headers.filter(|(name, _)| !is_secret_header(name))
    }

    /// What the user said last.
    pub(crate) fn last_user(&self) -> Option<&'r str> {
        let mut messages = self.messages.iter().rev();
        let last = messages.find(|message| message.role == "user");
        last.map(|message| message.text.as_str())
    }

    /// What system and developer say.
    pub(crate) fn system(&self) -> Option<String> {
        let texts = self.messages.iter();
        let texts = texts.filter(|message| matches!(message.role, "system" | "developer"));
        let texts: Vec<&str> = texts.map(|message| message.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    /// The result of a tool that came last.
    pub(crate) fn last_tool_result(&self) -> Option<&'r str> {
        let mut messages = self.messages.iter().rev();
        let last = messages.find(|message| message.role == "tool");
        last.map(|message| message.text.as_str())
    }

    /// Which turn of the assistant's this is, from 1.
    pub(crate) fn turn(&self) -> usize {
        let messages = self.messages.iter();
        1 + messages
            .filter(|message| message.role == "assistant")
            .count()
    }

    /// The tool whose result a message is, by the call that it answers.
    pub(crate) fn tool_of(&self, message: &RuleMessage) -> Option<&'r str> {
        let id = message
            .tool_call_id
            .as_deref()
            .filter(|id| !id.is_empty())?;
        let calls = self.messages.iter().flat_map(|message| &message.tool_calls);
        let call = calls.into_iter().find(|call| call.id == id);
        call.map(|call| call.name.as_str())
    }
}
