//! `belljar record`: a proxy in front of a service that keeps what goes through it, without what is
//! secret, as a recording; and what has changed since.

mod check;
mod file;
mod part;
mod proxy;
mod upstream;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use belljar_bundle::{ModelId, ModelName, ModelVersion};
use belljar_testing::json_path::JsonPath;
use belljar_testing::recording::Header;
use belljar_testing::scrub::{RULES_BYTES_MAX, ScrubRules, Scrubber};
use clap::Args;

use super::{Failure, block_on, output};
pub(super) use file::open;
pub(super) use proxy::{announce, serve_until_asked};
use upstream::{Key, Upstream};

#[derive(Args, Debug)]
#[command(
    override_usage = "belljar record --upstream <URL> -o <FILE> [OPTIONS]\n       \
                      belljar record --upstream <URL> --check <FILE> [OPTIONS]",
    after_help = "With --check exits with 0 where nothing has changed, 1 where something has, 2 where \
                  that cannot be told."
)]
pub(super) struct RecordArgs {
    /// The service to stand in front of, such as https://api.openai.com
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Recording to write when it ends
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "check",
        conflicts_with = "check"
    )]
    output: Option<PathBuf>,
    /// Send the requests of this recording again, and say what has changed in the answers
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Environment variable with the key of the service, in place of those of callers
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
    /// Header that the key goes into; in `authorization` it is a bearer token
    #[arg(long, value_name = "NAME", default_value = "authorization")]
    key_header: String,
    /// File with rules for what is taken out, besides keys, tokens and addresses of mail
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    scrub: Option<PathBuf>,
    /// Path in requests that is not compared when they are looked for, such as $.messages[*].id
    #[arg(long, value_name = "PATH", conflicts_with = "check")]
    ignore: Vec<JsonPath>,
    /// Name of the recording (default: that of the file)
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    model_name: Option<ModelName>,
    /// Version of the recording
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "1.0.0",
        conflicts_with = "check"
    )]
    model_version: ModelVersion,
    /// Go on with what a recording that was killed has left
    #[arg(long, conflicts_with = "check")]
    resume: bool,
    /// Print JSON, a line for each exchange that has changed
    #[arg(long, requires = "check")]
    json: bool,
}

/// Records until it is asked to end, or compares.
pub(super) fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    let key = match &args.key_env {
        Some(variable) => Some(Key::read(variable, &args.key_header).map_err(Failure::usage)?),
        None => None,
    };
    let has_key = key.is_some();
    let upstream = Upstream::new(&args.upstream, key).map_err(Failure::usage)?;
    match (&args.check, &args.output) {
        (Some(recording), _) => {
            // What cannot be told is none of both answers.
            let checked = block_on(check::check(recording, &upstream, args.json));
            checked.map_err(|failure| Failure::usage(anyhow!("{failure}")))
        }
        // The parser asks for none of them where `--output` stands, which excludes `--check`.
        (None, Some(_)) if args.json => Err(Failure::usage(anyhow!("--json goes with --check"))),
        (None, Some(file)) => {
            if has_key && !args.listen.ip().is_loopback() {
                let error = anyhow!(
                    "--key-env with --listen {}: everybody who reaches that address could use the \
                     key; listen on 127.0.0.1",
                    args.listen
                );
                return Err(Failure::usage(error));
            }
            record_into(file, args, upstream).map(|()| ExitCode::SUCCESS)
        }
        (None, None) => Err(Failure::usage(anyhow!("--output names the file to write"))),
    }
}

fn record_into(file: &Path, args: &RecordArgs, upstream: Upstream) -> Result<(), Failure> {
    let id = ModelId {
        name: match &args.model_name {
            Some(name) => name.clone(),
            None => name_of(file)?,
        },
        version: args.model_version.clone(),
    };
    let scrubber = Scrubber::new(match &args.scrub {
        Some(rules) => read_rules(rules)?,
        None => ScrubRules::default(),
    });
    let header = Header::new(&args.ignore);
    let part = part::Part::open(file, &header, args.resume).map_err(Failure::usage)?;
    let kept = part.exchanges();
    if args.resume {
        output::note(&format!("going on after {}", exchanges(kept)));
    }
    let proxy = proxy::Proxy::new(upstream, scrubber, part);
    let recorded = block_on(proxy::run(proxy, args.listen))?;
    output::line(file::finish(recorded.part, id, file)?)?;
    match recorded.not_kept {
        0 => Ok(()),
        count => Err(anyhow!("{} not recorded, for the reasons above", are(count)).into()),
    }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 exchange was".to_owned(),
        count => format!("{count} exchanges were"),
    }
}

fn exchanges(count: usize) -> String {
    match count {
        1 => "1 exchange".to_owned(),
        count => format!("{count} exchanges"),
    }
}

/// The name of a recording by that of its file.
fn name_of(file: &Path) -> Result<ModelName, Failure> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let name = stem.unwrap_or_default().parse::<ModelName>();
    name.map_err(|error| {
        let file = file.display();
        Failure::usage(anyhow!(
            "{file} gives the recording no name ({error}): use --model-name"
        ))
    })
}

fn read_rules(path: &Path) -> Result<ScrubRules, Failure> {
    let shown = path.display();
    let read = fs::metadata(path).and_then(|found| {
        if found.len() > RULES_BYTES_MAX as u64 {
            return Err(std::io::Error::other(format!(
                "it has more than {RULES_BYTES_MAX} bytes"
            )));
        }
        fs::read_to_string(path)
    });
    let text = read
        .with_context(|| format!("the rules in {shown} cannot be read"))
        .map_err(Failure::usage)?;
    let rules = ScrubRules::parse(&text).with_context(|| format!("{shown} cannot be used"));
    rules.map_err(Failure::usage)
}

/// The address that callers on this machine use for one that a server listens on.
fn to_call(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
