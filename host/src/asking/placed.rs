//! The examples of a bundle, each with where it is from, and what a model answers to one.

use std::fs::File;
use std::io::{self, Read as _};

use belljar_bundle::{ByteSize, StoredBundle};
use belljar_sandbox::{Capabilities, RunTime};

use super::{AskError, Asked, Asker, Manner, Question, Refused, WrongQuestion};
use crate::examples::{self, Answered, Example, InvalidExamples};
use crate::inference::AskedOrigin;

/// Bytes of a file with examples.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The moment at which examples run, in milliseconds since 1970: the beginning of 2026.
const UNIX_MS: u64 = 1_767_225_600_000;

/// An example with where it is from.
pub(crate) struct Placed {
    /// The file, and what it is called there.
    pub(crate) name: String,
    pub(crate) example: Example,
}

/// Why the examples of a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacedError {
    /// A file is too large.
    #[error("{file} has more than {}", ByteSize::bytes(FILE_BYTES_MAX))]
    TooLarge {
        /// Its name in the bundle.
        file: String,
    },
    /// A file is no text.
    #[error("{file} is not UTF-8")]
    NotUtf8 {
        /// Its name in the bundle.
        file: String,
    },
    /// A file holds no examples.
    #[error(transparent)]
    Invalid(#[from] InvalidExamples),
    /// The disk failed. The host's fault.
    #[error("{file} cannot be read: {source}")]
    Io {
        /// Its name in the bundle.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

/// The examples of a bundle, by their files.
pub(crate) fn placed(bundle: &StoredBundle) -> Result<Vec<Placed>, PlacedError> {
    let mut placed = Vec::new();
    for file in bundle.examples() {
        let name = file.name.as_str();
        let mut bytes = Vec::new();
        File::open(&file.path)
            .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|source| PlacedError::Io {
                file: name.to_owned(),
                source,
            })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let file = name.to_owned();
            return Err(PlacedError::TooLarge { file });
        }
        let text = String::from_utf8(bytes).map_err(|_| PlacedError::NotUtf8 {
            file: name.to_owned(),
        })?;
        for (index, example) in examples::read(name, &text)?.into_iter().enumerate() {
            let called = example.name.clone();
            let called = called.unwrap_or_else(|| format!("example {}", index + 1));
            placed.push(Placed {
                name: format!("{name}: {called}"),
                example,
            });
        }
    }
    Ok(placed)
}

/// Why there is nothing to hold an example against.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Question(#[from] WrongQuestion),
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What the model of that id, which can do that, answers to an example: with the same chance and at
/// the same moment each time.
pub(crate) async fn answered(
    asker: &Asker,
    (model, can): (String, Capabilities),
    manner: Manner,
    example: &Example,
) -> Result<Answered, AnswerError> {
    let question = match example.question() {
        examples::Question::Prompt(text) => Question::of_text(text),
        examples::Question::Body(body) => Question::Json(body),
    };
    let call = question.into_call(model, can)?;
    let origin = AskedOrigin {
        seed: Some([0; 32].into()),
        time: RunTime::try_from(UNIX_MS).ok(),
    };
    let mut text = String::new();
    let mut told = |piece: &str| {
        text.push_str(piece);
        Ok(())
    };
    let manner = Manner { origin, ..manner };
    let Asked { outcome, cost, .. } = asker.ask(call, manner, &mut told).await;
    let error = match outcome {
        Ok(()) => None,
        Err(AskError::Refused(Refused { message, code })) => Some((code.to_owned(), message)),
        Err(error) => return Err(error.into()),
    };
    let cost = cost.unwrap_or_default();
    Ok(Answered {
        text,
        error,
        fuel: cost.fuel,
        memory_bytes: cost.memory_bytes,
    })
}
