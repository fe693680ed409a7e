//! `belljar tls`: a certificate to try TLS with.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::{Failure, PlaceArgs, output};
use crate::clock::time_of_day;

#[derive(Debug, Subcommand)]
pub(super) enum TlsCommand {
    /// Make a certificate for this machine, and an authority to trust for it
    Dev(DevArgs),
}

#[derive(Args, Debug)]
pub(super) struct DevArgs {
    /// Folder for the files (default: tls in the data directory)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Another name or address that it is for, beside localhost
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Names that every such certificate is for.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The longest time that browsers take certificates for.
const DAYS: u64 = 397;
const DAY_S: u64 = 24 * 60 * 60;
const YEAR_8000_S: u64 = 190_000_000_000;

pub(super) fn tls(command: &TlsCommand) -> Result<(), Failure> {
    match command {
        TlsCommand::Dev(args) => dev(args),
    }
}

/// The texts of the three files.
struct Made {
    authority: String,
    certificate: String,
    key: String,
}

fn dev(args: &DevArgs) -> Result<(), Failure> {
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => args.place.data_dir()?.join("tls"),
    };
    let made = make(&args.host)?;
    let [authority, certificate, key] =
        ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
    for path in [&authority, &certificate, &key] {
        if fs::symlink_metadata(path).is_ok() {
            let error = anyhow!(
                "{} is there already and stays as it is: remove it, or choose another folder with \
                 --out",
                path.display()
            );
            return Err(error.into());
        }
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    write(&key, 0o600, &made.key)?;
    write(&certificate, 0o644, &made.certificate)?;
    write(&authority, 0o644, &made.authority)?;
    output::line(format!(
        "made for {} days; clients that trust {} take it:\n\n\
         belljar serve --tls-cert {} --tls-key {}\n\
         curl --cacert {} https://localhost:8000/health/live",
        DAYS,
        authority.display(),
        certificate.display(),
        key.display(),
        authority.display(),
    ))?;
    Ok(())
}

/// Makes an authority, and a certificate that it vouches for. The authority's key is forgotten:
/// who trusts it trusts this one certificate, which clients of every kind take, while many do not
/// take one that vouches for itself.
fn make(hosts: &[String]) -> Result<Made, Failure> {
    let mut names: Vec<String> = OWN_NAMES.map(str::to_owned).into();
    let is_own = |host: &&String| OWN_NAMES.contains(&host.as_str());
    names.extend(hosts.iter().filter(|host| !is_own(host)).cloned());
    let mut authority = CertificateParams::default();
    let mut certificate = CertificateParams::new(names)
        .map_err(|error| Failure::usage(anyhow!("--host wants names and addresses: {error}")))?;
    let now = u64::try_from(time_of_day().as_second()).unwrap_or(0);
    // Seconds from the Unix epoch, and none of a year that cannot be written.
    let at =
        |seconds: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.min(YEAR_8000_S));
    for params in [&mut authority, &mut certificate] {
        // From a day ago on, for clocks that differ.
        params.not_before = at(now.saturating_sub(DAY_S));
        params.not_after = at(now.saturating_add(DAYS * DAY_S));
        params.distinguished_name = DistinguishedName::new();
    }
    let name = |params: &mut CertificateParams, name| {
        params.distinguished_name.push(DnType::CommonName, name);
    };
    name(
        &mut authority,
        "Belljar, for one certificate of this machine",
    );
    name(&mut certificate, "localhost");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    certificate.use_authority_key_identifier_extension = true;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    Ok(Made {
        certificate: certificate.signed_by(&key, &authority)?.pem(),
        authority: authority.pem(),
        key: key.serialize_pem(),
    })
}

/// Writes a file that is not there yet.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(mode).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
