//! Turns arguments into a command, and the outcome of the command into an exit code:
//! 0 it worked, 1 it failed, 2 the arguments or the configuration cannot be used. `belljar status`
//! has one more.

mod answers;
mod audit;
mod backup;
mod bans;
mod bases;
mod bundles;
mod chat;
mod client;
mod component;
mod config_commands;
mod determinism;
mod dev;
mod doctor;
mod ephemeral_server;
mod failure;
mod fsck;
mod health;
mod jwt;
mod keys;
mod manual;
mod models;
mod new;
mod output;
mod packing;
mod project;
mod pull;
mod record;
mod reload;
mod replay;
mod replay_server;
mod restore;
mod rows;
mod run;
mod scan;
mod serve;
mod signing;
mod status;
mod table;
mod temporary;
mod test;
mod tls;
mod trial;
mod upload;
mod usage;
mod verify;
mod weights;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Overrides, Resolved, SystemEnvironment, resolve, resolve_data_dir};
use failure::Failure;

/// Hosts models that nobody has to trust: each request runs in a fresh WebAssembly sandbox.
#[derive(Debug, Parser)]
#[command(
    name = "belljar",
    version,
    max_term_width = 80,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Without a command, `belljar` serves.\nExit codes: 0 it worked, 1 it failed, 2 \
                  the arguments or the configuration cannot be used."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::ServeArgs),
    /// Show how a running server is: models, load, memory, guards
    Status(status::StatusArgs),
    /// Have a running server read its settings again
    Reload(reload::ReloadArgs),
    /// Write a project of a model that builds, in Rust, Python, JavaScript or C
    New(new::NewArgs),
    /// Look whether this machine has what a project is built with
    Doctor(doctor::DoctorArgs),
    /// Serve a project while it is worked on: built and pushed at each save
    Dev(dev::DevArgs),
    /// Make a bundle from a project folder, or from weights alone
    Pack(bundles::PackArgs),
    /// Check a bundle as the server would, without a server
    Check(bundles::CheckArgs),
    /// Run a bundle or weights once, without a server
    #[command(override_usage = "belljar run [OPTIONS] <FILE|DIR>")]
    Run(run::RunArgs),
    /// Make a run on record of a server again, and compare
    Replay(replay::ReplayArgs),
    /// Stand in front of a service, and keep what it answers as a recording
    Record(record::RecordArgs),
    /// Answer from a recording, without the service
    ReplayServer(replay_server::ReplayServerArgs),
    /// Run again what a receipt of a run is about, and compare
    Verify(verify::VerifyArgs),
    /// Run the examples of a bundle, and say which are not answered as they say
    Test(test::TestArgs),
    /// Talk to a model of a server
    Chat(chat::ChatArgs),
    /// Upload a bundle
    Push(models::PushArgs),
    /// List and manage the models of a server
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Create, list, show, change, rotate, revoke and delete API keys, and have requests signed
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List callers by token, and revoke tokens
    #[command(subcommand)]
    Jwt(jwt::JwtCommand),
    /// Show what was used, by key, model and day
    Usage(usage::UsageArgs),
    /// List and lift bans, and exempt networks from them
    #[command(subcommand)]
    Bans(bans::BansCommand),
    /// Check and show the audit log of this machine
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Write all that a server keeps into one checked file, while it serves
    Backup(backup::BackupArgs),
    /// Make a data directory of a backup
    Restore(restore::RestoreArgs),
    /// Look at everything in the data directory of a stopped server, and repair it
    Fsck(fsck::FsckArgs),
    /// Ask a server whether it serves, for an exit code
    Health(health::HealthArgs),
    /// Make a certificate to try TLS with
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// Show settings
    #[command(subcommand)]
    Config(config_commands::ConfigCommand),
    /// Print what a shell completes of this command line
    #[command(after_help = COMPLETION_HELP)]
    Completion(manual::CompletionArgs),
    /// Print the page of the manual, or write a page for each command
    Man(manual::ManArgs),
    /// Compile one component, told on stdin; started by the server
    #[command(name = belljar_sandbox::COMPILE_COMMAND, hide = true)]
    CompileChild,
    /// Try what the wall around a server forbids; started by the server
    #[command(name = belljar_wall::PROBE_COMMAND, hide = true)]
    WallProbe(serve::ProbeArgs),
}

const COMPLETION_HELP: &str = "bash: belljar completion bash > \
     ~/.local/share/bash-completion/completions/belljar\nzsh:  a file `_belljar` in a folder of $fpath\n\
     fish: belljar completion fish > ~/.config/fish/completions/belljar.fish";

/// The places of this machine's settings and data.
#[derive(Args, Clone, Debug, Default)]
struct PlaceArgs {
    /// Configuration file (default: belljar.toml in the data directory)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where models, keys and state are kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Arguments of all commands that go by the settings.
#[derive(Args, Clone, Debug, Default)]
struct SettingArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Set any setting, as in `--set sandbox.queue_max=100`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl PlaceArgs {
    /// The configuration file, where one is named.
    fn config(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    fn overrides(&self) -> Result<Overrides, Failure> {
        let mut overrides = Overrides {
            file: self.config.clone(),
            ..Overrides::default()
        };
        if let Some(dir) = &self.data_dir {
            let Some(dir) = dir.to_str() else {
                return Err(Failure::usage(anyhow::anyhow!("--data-dir is not UTF-8")));
            };
            overrides.flag("--data-dir", "data_dir", dir);
        }
        Ok(overrides)
    }

    fn resolve(&self) -> Result<Resolved, Failure> {
        Ok(resolve(&self.overrides()?, &SystemEnvironment)?)
    }

    /// The data directory, whatever the other settings say.
    fn data_dir(&self) -> Result<PathBuf, Failure> {
        Ok(resolve_data_dir(&self.overrides()?, &SystemEnvironment)?)
    }
}

impl SettingArgs {
    fn overrides(&self) -> Result<Overrides, Failure> {
        let mut overrides = self.place.overrides()?;
        for pair in &self.set {
            // The value is not repeated: it could be a secret in the wrong place.
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Failure::usage(anyhow::anyhow!("--set wants KEY=VALUE")));
            };
            overrides.flag("--set", key.trim(), value);
        }
        Ok(overrides)
    }

    fn resolve(&self) -> Result<Resolved, Failure> {
        Ok(resolve(&self.overrides()?, &SystemEnvironment)?)
    }
}

/// The definition of the whole command line: what `--help` is written from, and what the
/// documents are held to.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the program. `started` is when the process began.
#[must_use]
pub fn run(started: Instant) -> ExitCode {
    let matches = definition().term_width(output::width()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match dispatch(cli, started) {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure.to_string());
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: Cli, started: Instant) -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None => serve::serve(&cli.serve, started).map(done),
        Some(Command::Serve(args)) => serve::serve(&args, started).map(done),
        Some(Command::Status(args)) => status::status(&args),
        Some(Command::Reload(args)) => reload::reload(&args).map(done),
        Some(Command::Completion(args)) => manual::completion(&args).map(done),
        Some(Command::Man(args)) => manual::man(&args).map(done),
        Some(Command::New(args)) => new::new(&args).map(done),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        Some(Command::Dev(args)) => dev::dev(&args).map(done),
        Some(Command::Pack(args)) => bundles::pack(&args).map(done),
        Some(Command::Check(args)) => bundles::check(&args).map(done),
        Some(Command::Run(args)) => run::run(&args).map(done),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Record(args)) => record::record(&args),
        Some(Command::ReplayServer(args)) => replay_server::replay_server(&args).map(done),
        Some(Command::Verify(args)) => verify::verify(&args),
        Some(Command::Test(args)) => test::test(&args).map(done),
        Some(Command::Chat(args)) => chat::chat(&args).map(done),
        Some(Command::Push(args)) => models::push(&args).map(done),
        Some(Command::Models(command)) => models::models(&command).map(done),
        Some(Command::Keys(command)) => keys::keys(&command),
        Some(Command::Jwt(command)) => jwt::jwt(&command).map(done),
        Some(Command::Usage(args)) => usage::usage(&args).map(done),
        Some(Command::Bans(command)) => bans::bans(&command).map(done),
        Some(Command::Audit(command)) => audit::audit(&command).map(done),
        Some(Command::Backup(args)) => backup::backup(&args).map(done),
        Some(Command::Restore(args)) => restore::restore(&args).map(done),
        Some(Command::Fsck(args)) => fsck::fsck(&args),
        Some(Command::Config(command)) => config_commands::config(&command).map(done),
        Some(Command::Health(args)) => health::health(&args).map(done),
        Some(Command::Tls(command)) => tls::tls(&command).map(done),
        Some(Command::WallProbe(args)) => serve::probe(&args),
        Some(Command::CompileChild) => Ok(belljar_sandbox::compile_child()),
    }
}

/// A runtime for commands that talk or wait; the server has its own.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_word() {
        let cli = Cli::parse_from(["belljar", "--listen", "127.0.0.1:1"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.serve.listen.as_deref(), Some("127.0.0.1:1"));
        let cli = Cli::parse_from(["belljar", "serve", "--listen", "127.0.0.1:1"]);
        assert!(matches!(cli.command, Some(Command::Serve(_))));
    }

    #[test]
    fn help_fits_80_columns() {
        fn check(command: &mut clap::Command) {
            let help = command
                .clone()
                .term_width(80)
                .render_long_help()
                .to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&mut command);
    }
}
