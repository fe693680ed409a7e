//! What a prompt is in the API that it came by, for the words in which it is refused.

/// Whose words say that there are too many tokens, and of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptPlace {
    /// OpenAI's, of the messages of a chat.
    #[default]
    Messages,
    /// OpenAI's, of the input of a response.
    Input,
    /// OpenAI's, of a bare text.
    Prompt,
    /// OpenAI's, of an input of embeddings.
    Embedding,
    /// Anthropic's, of a conversation.
    Conversation,
}

impl PromptPlace {
    /// The member of the request that holds the prompt.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Messages | Self::Conversation => "messages",
            Self::Input | Self::Embedding => "input",
            Self::Prompt => "prompt",
        }
    }
}
