//! `belljar pack` and `belljar check`: bundles on this machine, of projects and of weights alone,
//! without a server.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use belljar_bundle::pack::{Parts, Remake, pack_parts};
use belljar_bundle::{ByteSize, DurationText, SigningKey};
use belljar_sandbox::strip_component;
use clap::Args;
use serde_json::json;

use super::determinism::determinism_words;
use super::ephemeral_server::{self, EphemeralServer};
use super::packing::pack_project;
use super::weights::{ChosenWeights, Described, Weights};
use super::{Failure, SettingArgs, block_on, output, trial};
use crate::models::VersionStatus;

#[derive(Args, Debug)]
pub(super) struct PackArgs {
    /// Project folder, with a model.toml in it
    #[arg(
        value_name = "DIR",
        required_unless_present = ChosenWeights::GROUP,
        conflicts_with = ChosenWeights::GROUP
    )]
    folder: Option<PathBuf>,
    #[command(flatten)]
    weights: ChosenWeights,
    #[command(flatten)]
    described: Described,
    /// File to write (default: NAME-VERSION.tar)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out the names of functions and what else is for people, which failures and profiles
    /// would tell
    #[arg(long, conflicts_with = ChosenWeights::GROUP)]
    strip: bool,
    /// Sign with this ed25519 private key (PEM)
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

impl PackArgs {
    /// What is made of the component before it is packed.
    fn remake(&self) -> Option<Remake<'static>> {
        self.strip.then_some(&|component: Vec<u8>| {
            strip_component(&component).map_err(|error| error.to_string())
        })
    }
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Bundle or project folder
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Log what the server would log
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Packs a folder, or weights with the limits that a trial has found. The file appears under its
/// name when it is whole.
pub(super) fn pack(args: &PackArgs) -> Result<(), Failure> {
    let key = args.sign.as_deref().map(read_signing_key).transpose()?;
    let weights = args.weights.find()?;
    let beside = args.output.as_deref().and_then(Path::parent);
    let beside = beside
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new()
        .prefix(".belljar-pack-")
        .tempfile_in(beside)
        .with_context(|| format!("cannot write to {}", beside.display()))?;
    let mut out = BufWriter::new(staging.as_file());
    let manifest = match (&weights, &args.folder) {
        (Some(weights), _) => {
            let parts = block_on(measured(weights, &args.described, &args.settings))?;
            pack_parts(&parts, key.as_ref(), &mut out).context("the weights cannot be packed")?
        }
        (None, Some(folder)) => pack_project(folder, args.remake(), key.as_ref(), &mut out)?,
        (None, None) => return Err(Failure::usage(anyhow!("a folder or weights are needed"))),
    };
    out.flush().context("the bundle cannot be written")?;
    drop(out);
    let output_file = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}.tar", manifest.name(), manifest.version()))
    });
    let bytes = staging.as_file().metadata()?.len();
    open_to_others(staging.as_file())?;
    staging
        .persist(&output_file)
        .with_context(|| format!("cannot write {}", output_file.display()))?;
    if args.json {
        output::json(&json!({
            "id": manifest.id().to_string(),
            "digest": manifest.digest().to_string(),
            "file": output_file.display().to_string(),
            "bytes": bytes,
            "signed": key.is_some(),
        }))?;
    } else {
        let signed = if key.is_some() { ", signed" } else { "" };
        output::line(format!(
            "{} packed into {} ({}{signed})",
            manifest.id(),
            output_file.display(),
            size(bytes)
        ))?;
    }
    Ok(())
}

/// The parts of a bundle of weights, with limits that a trial has found.
pub(super) async fn measured(
    weights: &Weights,
    described: &Described,
    settings: &SettingArgs,
) -> Result<Parts, Failure> {
    let mut bundle = weights.bundle(described).map_err(Failure::usage)?;
    let server = EphemeralServer::open(settings).await?;
    let limits = trial::limits(&server, &mut bundle).await;
    server.close().await;
    let limits = limits?;
    bundle.notes.iter().for_each(|note| output::note(note));
    Ok(bundle.parts(limits)?)
}

/// Temporary files are private; a bundle is made to be given away.
fn open_to_others(file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.set_permissions(fs::Permissions::from_mode(0o644))?)
}

fn read_signing_key(path: &Path) -> Result<SigningKey> {
    let pem = fs::read_to_string(path)
        .with_context(|| format!("the signing key {} cannot be read", path.display()))?;
    SigningKey::from_pem(&pem).with_context(|| {
        format!(
            "{} is not an ed25519 private key; `openssl genpkey -algorithm ed25519` makes one",
            path.display()
        )
    })
}

/// Checks a bundle through the code of the server.
pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let _log = ephemeral_server::log(args.verbose, &args.settings)?;
    block_on(async {
        let server = EphemeralServer::strict(&args.settings).await?;
        let outcome = match server.admit(&args.bundle).await {
            Ok(status) => {
                for note in &status.notes {
                    output::note(note);
                }
                report(&status, &server, args.json)
            }
            Err(error) => Err(error.context(format!("{} is refused", args.bundle.display()))),
        };
        server.close().await;
        Ok(outcome?)
    })
}

fn report(status: &VersionStatus, server: &EphemeralServer, json: bool) -> Result<()> {
    let caller = crate::auth::Caller::anonymous();
    let live = server
        .app()
        .registry()
        .ready(&status.id.to_string(), &caller)?;
    let inspection = &live.inspection;
    let names = inspection.capabilities.names();
    let budget = &live.budget;
    let load_fuel = status.limits.as_ref().map_or(0, |limits| limits.load_fuel);
    let reasons = inspection.determinism.reasons().iter();
    if json {
        let open: Vec<_> = reasons
            .map(|open| {
                json!({
                    "instruction": open.instruction,
                    "leaves_open": open.freedom.name(),
                    "setting": open.freedom.setting(),
                    "places": open.places,
                })
            })
            .collect();
        return output::json(&json!({
            "id": status.id.to_string(),
            "digest": status.digest.to_string(),
            "bytes": status.bytes,
            "capabilities": names,
            "determinism": {
                "class": inspection.determinism.class().name(),
                "reasons": open,
            },
            "notes": status.notes,
            "requires": {
                "memories": inspection.memories,
                "memory_bytes": inspection.memory_bytes_initial,
                "tables": inspection.tables,
                "artefact_bytes": inspection.artefact_bytes,
                "snapshot": inspection.snapshot,
                "snapshot_digest": inspection.snapshot_digest,
                "load_fuel": inspection.load.map(|load| load.fuel),
                "load_memory_bytes": inspection.load.map(|load| load.memory_bytes),
            },
            "limits": {
                "fuel": budget.fuel,
                "load_fuel": load_fuel,
                "memory_bytes": budget.memory_bytes_max,
                "output_bytes": budget.output_bytes_max,
                "deadline_ms": u64::try_from(budget.wall_time.as_millis()).unwrap_or(u64::MAX),
            },
        }));
    }
    let loaded = match inspection.load {
        Some(load) => format!("yes, `load` took {} fuel, memory kept after it", load.fuel),
        None => "no".to_owned(),
    };
    let repeats = determinism_words(
        inspection.determinism.class().name(),
        reasons.map(|open| (open.instruction.as_str(), open.freedom.name())),
    )
    .replace('\n', "\n                ");
    output::line(format!(
        "{id} is sound\n  digest        {digest}\n  size          {bytes}, compiled {compiled}\n  \
         capabilities  {capabilities}\n  repeats       {repeats}\n  needs         {memory} at the start, \
         {memories}, {tables}\n  snapshot      {loaded}\n  limits        \
         {cap} of memory, {output} of output, {deadline}\n  fuel          {fuel} a request, \
         {load_fuel} for load",
        id = status.id,
        digest = status.digest,
        bytes = size(status.bytes),
        compiled = size(inspection.artefact_bytes),
        capabilities = names.join(", "),
        memory = size(inspection.memory_bytes_initial),
        memories = count(inspection.memories, "memory", "memories"),
        tables = count(inspection.tables, "table", "tables"),
        cap = ByteSize::bytes(budget.memory_bytes_max),
        output = ByteSize::bytes(budget.output_bytes_max),
        deadline = DurationText::from(budget.wall_time),
        fuel = budget.fuel,
    ))
}

fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A size for people, rounded.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
