//! The options that name weights: one for each form that a runtime of this program runs.

use std::path::PathBuf;

use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::Weights;
use crate::embedded::{RUNTIMES, Runtime, WeightFiles};

/// The weights that are named, if any are.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct ChosenWeights(Option<(&'static Runtime, PathBuf)>);

impl ChosenWeights {
    /// The group of the options.
    pub(in crate::cli) const GROUP: &'static str = "weights";

    /// The weights, where they are there.
    ///
    /// # Errors
    ///
    /// When a file that has to be there is not.
    pub(in crate::cli) fn find(&self) -> anyhow::Result<Option<Weights>> {
        let Some((runtime, path)) = &self.0 else {
            return Ok(None);
        };
        Weights::of(runtime, path).map(Some)
    }
}

impl FromArgMatches for ChosenWeights {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut chosen = Self::default();
        chosen.update_from_arg_matches(matches)?;
        Ok(chosen)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for runtime in RUNTIMES {
            if let Some(path) = matches.get_one::<PathBuf>(runtime.weights) {
                self.0 = Some((runtime, path.clone()));
            }
        }
        Ok(())
    }
}

impl Args for ChosenWeights {
    fn augment_args(command: Command) -> Command {
        let options = RUNTIMES.iter().map(|runtime| {
            let (kind, help) = match runtime.files {
                WeightFiles::One(_) => ("FILE", runtime.help.to_owned()),
                WeightFiles::Folder { needed, .. } => {
                    let needed = needed.join(", ");
                    ("DIR", format!("{}: a folder with {needed}", runtime.help))
                }
            };
            Arg::new(runtime.weights)
                .long(runtime.weights)
                .value_name(kind)
                .value_parser(value_parser!(PathBuf))
                .help(help)
        });
        let names = RUNTIMES.iter().map(|runtime| runtime.weights);
        let group = ArgGroup::new(Self::GROUP).args(names);
        command.args(options).group(group)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
