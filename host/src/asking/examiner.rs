//! Holds a version to the examples in its bundle before it may serve.

use std::sync::Arc;
use std::time::Duration;

use belljar_bundle::StoredBundle;
use belljar_sandbox::printable;
use futures_util::future::BoxFuture;

use super::placed::AnswerError;
use super::{Asker, Manner, Placed, PlacedError, answered, placed};
use crate::models::{ExamineError, Examiner, Failure, LiveModel};

/// How long all examples of a version may take together.
const EXAMINATION_MAX: Duration = Duration::from_secs(300);
/// Bytes of what its author is told of the first example that fails.
const TOLD_BYTES_MAX: usize = 1 << 10;
/// How often an example is tried that the host was too busy for, and the pause in between.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// The codes of answers that say nothing about the model.
const OF_THE_HOST: [&str; 2] = ["overloaded", "internal_error"];

/// What runs the examples of a version.
pub(crate) struct ExampleExaminer(Asker);

impl ExampleExaminer {
    /// One that asks what this answers.
    pub(crate) fn new(asker: Asker) -> Self {
        Self(asker)
    }

    async fn examine_all(
        &self,
        model: &Arc<LiveModel>,
        bundle: StoredBundle,
    ) -> Result<(), ExamineError> {
        let read = tokio::task::spawn_blocking(move || placed(&bundle));
        let read = read.await.map_err(|error| host(&error))?;
        let all = read.map_err(|error| match error {
            PlacedError::Io { .. } => host(&error),
            PlacedError::TooLarge { .. }
            | PlacedError::NotUtf8 { .. }
            | PlacedError::Invalid(_) => failed(&error.to_string()),
        })?;
        if all.is_empty() {
            return Err(failed(
                "the manifest requires that its examples hold (`examples.required`), and the bundle \
                 has none: they are in tests/*.toml",
            ));
        }
        for one in &all {
            self.examine_one(model, one).await?;
        }
        Ok(())
    }

    async fn examine_one(&self, model: &Arc<LiveModel>, one: &Placed) -> Result<(), ExamineError> {
        let Placed { name, example } = one;
        let mut attempts = 1;
        let answered = loop {
            let manner = Manner {
                candidate: Some(Arc::clone(model)),
                ..Manner::default()
            };
            let asked = (model.label.to_string(), *model.capabilities());
            let answered = answered(&self.0, asked, manner, example).await;
            let answered = answered.map_err(|error| match error {
                AnswerError::Question(wrong) => failed(&format!("{name}: {wrong}")),
                AnswerError::Ask(error) => host(&error),
            })?;
            match &answered.error {
                Some((code, message)) if OF_THE_HOST.contains(&code.as_str()) => {
                    if attempts == ATTEMPTS_MAX {
                        return Err(host(message));
                    }
                }
                _ => break answered,
            }
            attempts += 1;
            tokio::time::sleep(PAUSE).await;
        };
        match example.differences(&answered).first() {
            None => Ok(()),
            Some(difference) => Err(failed(&format!("{name}: {difference}"))),
        }
    }
}

impl Examiner for ExampleExaminer {
    fn examine(
        &self,
        model: Arc<LiveModel>,
        bundle: StoredBundle,
    ) -> BoxFuture<'_, Result<(), ExamineError>> {
        Box::pin(async move {
            let all = self.examine_all(&model, bundle);
            let seconds = EXAMINATION_MAX.as_secs();
            let late = |_| failed(&format!("they were not over after {seconds} s"));
            let ended = tokio::time::timeout(EXAMINATION_MAX, all).await;
            ended.map_err(late)?
        })
    }
}

fn failed(what: &str) -> ExamineError {
    ExamineError::Failed(Failure {
        code: "examples_failed".to_owned(),
        message: format!(
            "its examples do not hold: {}",
            printable(&what.replace('\n', " "), TOLD_BYTES_MAX)
        ),
    })
}

fn host(error: &dyn std::fmt::Display) -> ExamineError {
    ExamineError::Host(format!("examples could not be run: {error}"))
}
