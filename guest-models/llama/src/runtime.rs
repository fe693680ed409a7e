//! Everything that is made of a file before the first request.

use crate::constraint::Constraints;
use crate::forward::Model;
use crate::gguf::{Gguf, GgufError};
use crate::template::Template;
use crate::tokenizer::Tokenizer;

/// A model, its tokenizer and its chat template.
#[derive(Debug)]
pub struct Runtime {
    /// What computes.
    pub model: Model<'static>,
    /// What cuts texts.
    pub tokenizer: Tokenizer,
    /// How a conversation is written; none where the model only continues text.
    pub template: Option<Template>,
    /// What holds answers to a form.
    pub constraints: Constraints,
}

/// The template of models that have the marks of it and no template in their file.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

impl Runtime {
    /// Reads a file, whose bytes are part of the model from then on.
    ///
    /// # Errors
    ///
    /// A text for a person, with the name of the key or tensor.
    pub fn read(bytes: &'static [u8]) -> Result<Self, String> {
        let told = |error: GgufError| error.to_string();
        let file = Gguf::read(bytes).map_err(told)?;
        let model = Model::read(&file).map_err(told)?;
        let tokenizer = Tokenizer::read(&file, model.vocabulary()).map_err(told)?;
        let constraints = Constraints::new(&tokenizer.vocabulary)?;
        let template = match file.text("tokenizer.chat_template").map_err(told)? {
            Some(source) => Some(Template::new(source.to_owned())?),
            None => {
                let marks = tokenizer.vocabulary.marks_from(b'<');
                let knows = |name: &[u8]| {
                    marks
                        .iter()
                        .any(|&token| tokenizer.vocabulary.bytes(token) == Some(name))
                };
                if knows(b"<|im_start|>") && knows(b"<|im_end|>") {
                    Some(Template::new(CHATML.to_owned())?)
                } else {
                    None
                }
            }
        };
        Ok(Self {
            model,
            tokenizer,
            template,
            constraints,
        })
    }
}
