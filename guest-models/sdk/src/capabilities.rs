//! One trait a capability. A model implements those it has.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text::Generate;
use crate::{
    Error, Media, embeddings, images, moderation, ranking, speech, tensors, text, transcription,
};

/// What is done once, when a version is activated.
pub trait Lifecycle {
    /// Reads assets, builds tables, warms caches. The memory it leaves behind is where each
    /// request starts, so the cost is paid once. The default does nothing.
    ///
    /// # Errors
    ///
    /// An error makes the activation fail, and its text is shown to whoever pushed the model.
    fn load() -> Result<(), Error> {
        Ok(())
    }
}

/// Named tensors in, named tensors out.
pub trait Tensors {
    /// What the model takes and gives. Asked once, at activation; where it declares inputs, the
    /// host refuses requests that do not fit them. The default takes any tensor.
    fn metadata() -> tensors::Metadata {
        tensors::Metadata::new([], [])
    }

    /// Runs the model once.
    ///
    /// # Errors
    ///
    /// Those that the model finds; see [`Error`] for who reads them.
    fn infer(request: tensors::Request) -> Result<tensors::Response, Error>;
}

/// Text and tool calls, piece by piece.
pub trait Text {
    /// Begins a text. Called once for each answer wanted. [`text::stream`] makes an answer
    /// from an iterator.
    ///
    /// # Errors
    ///
    /// Those that the model finds before the first chunk.
    fn start(request: text::Request) -> Result<impl Generate + 'static, Error>;
}

/// Vectors for texts.
pub trait Embeddings {
    /// Embeds the inputs, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where `dimensions` is a length that the model does not have.
    fn embed(
        inputs: Vec<embeddings::Input>,
        dimensions: Option<u32>,
    ) -> Result<embeddings::Response, Error>;
}

/// Whether content is harmful.
pub trait Moderation {
    /// Judges the inputs, in their order.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn classify(inputs: Vec<moderation::Input>) -> Result<Vec<moderation::Verdict>, Error>;
}

/// Pictures from text.
pub trait Images {
    /// Draws.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn generate(request: images::Request) -> Result<images::Response, Error>;
}

/// Sound from text.
pub trait Speech {
    /// Speaks.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn synthesize(request: speech::Request) -> Result<Media, Error>;
}

/// Text from sound.
pub trait Transcription {
    /// Listens.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn transcribe(request: transcription::Request) -> Result<transcription::Response, Error>;
}

/// The tokens that texts are cut into.
pub trait Tokenizer {
    /// The tokens of a text, without marks that no text has.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn encode(text: String) -> Result<Vec<u32>, Error>;

    /// What each token stands for, in the order of the tokens.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a number that stands for nothing.
    fn decode(tokens: Vec<u32>) -> Result<Vec<Vec<u8>>, Error>;
}

/// Which documents answer a query best.
pub trait Ranking {
    /// Scores each document, the best first.
    ///
    /// # Errors
    ///
    /// Those that the model finds.
    fn rank(query: String, documents: Vec<String>) -> Result<ranking::Response, Error>;
}
