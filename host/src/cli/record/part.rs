//! What has been recorded so far: a file beside the recording that grows by a line with each
//! exchange, on the disk before the answer has ended. It is what is left when the process is killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_testing::recording::{EXCHANGES_MAX, FILE_BYTES_MAX, Header, ModelNames, Recording};
use belljar_testing::scrub::Scrubbed;

/// The file that grows.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    exchanges: usize,
    /// Places in which something was taken out, since this process began.
    places: usize,
}

impl Part {
    /// A fresh one for a recording, or what is left of it.
    pub(super) fn open(recording: &Path, header: &Header, resume: bool) -> Result<Self> {
        let shown = recording.display();
        if recording.exists() {
            bail!("{shown} is there already: remove it, or name another file");
        }
        let mut name = recording.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        if resume {
            return Self::left(path);
        }
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => anyhow!(
                "{} is what a recording that did not end has left: --resume goes on with it, or \
                 remove it",
                path.display()
            ),
            _ => anyhow!("{} cannot be made: {error}", path.display()),
        })?;
        lock(&file, &path)?;
        let line = format!("{}\n", header.to_line()?);
        let begun = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(&path));
        begun.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            path,
            file,
            bytes: line.len() as u64,
            exchanges: 0,
            places: 0,
        })
    }

    /// Reads what is left: every line that is whole. One that was cut off is taken away.
    fn left(path: PathBuf) -> Result<Self> {
        let shown = path.display().to_string();
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let mut file =
            opened.with_context(|| format!("there is nothing left to go on with: {shown}"))?;
        lock(&file, &path)?;
        let bytes = whole_lines(&mut file).with_context(|| format!("{shown} cannot be read"))?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(0))?;
        let read = Recording::read(BufReader::new(&file), ModelNames::Recorded);
        let read = read.with_context(|| format!("{shown} cannot be gone on with"))?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        Ok(Self {
            path,
            exchanges: read.exchanges().len(),
            file,
            bytes,
            places: 0,
        })
    }

    /// How many exchanges it has.
    pub(super) fn exchanges(&self) -> usize {
        self.exchanges
    }

    /// In how many places something was taken out.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an exchange to the disk. When this returns it stays there, whatever happens.
    pub(super) fn append(&mut self, exchange: &Scrubbed) -> Result<()> {
        if self.exchanges == EXCHANGES_MAX {
            bail!("the recording has {EXCHANGES_MAX} exchanges, which is all that one can have");
        }
        let line = format!("{}\n", exchange.to_line()?);
        let bytes = self.bytes + line.len() as u64;
        if bytes > FILE_BYTES_MAX {
            bail!("the recording would have more than {FILE_BYTES_MAX} bytes");
        }
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A line by half would be in the way of the next one.
            let undone = self.file.set_len(self.bytes);
            let undone = undone.and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
            return Err(match undone {
                Ok(_) => anyhow!("{} cannot be written: {error}", self.path.display()),
                Err(undo) => anyhow!("{} is damaged: {error}, {undo}", self.path.display()),
            });
        }
        self.bytes = bytes;
        self.exchanges += 1;
        self.places += exchange.places();
        Ok(())
    }

    /// Takes it away, when what it has is elsewhere.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// Makes the names in the folder of a file last.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            bail!("another process records into {}", path.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// Bytes up to the end of the last line that has one.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut whole = 0;
    let mut at = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(whole);
        }
        if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
            whole = at + last as u64 + 1;
        }
        at += count as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_testing::recording::Exchange;
    use belljar_testing::scrub::{ScrubRules, Scrubber};

    fn exchange() -> Scrubbed {
        let line = concat!(
            r#"{"request":{"method":"GET","path":"/"},"#,
            r#""answer":{"status":200,"after_ms":0.0}}"#,
        );
        let exchange = Exchange::from_line(line).unwrap();
        Scrubber::new(ScrubRules::default()).scrub(exchange, &[])
    }

    #[test]
    fn what_was_written_is_gone_on_with_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let recording = folder.path().join("case.tar");
        let header = Header::new(&[]);
        let mut part = Part::open(&recording, &header, false).unwrap();
        part.append(&exchange()).unwrap();
        part.append(&exchange()).unwrap();
        let error = Part::open(&recording, &header, true).err().unwrap();
        assert!(error.to_string().contains("another process"), "{error}");
        let path = part.path().to_owned();
        drop(part);
        let error = Part::open(&recording, &header, false).err().unwrap();
        assert!(error.to_string().contains("--resume goes on"), "{error}");

        let whole = std::fs::read(&path).unwrap();
        let last = whole.len()
            - 1
            - whole[..whole.len() - 1]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .unwrap();
        for torn in [1, 20, last - 1] {
            std::fs::write(&path, &whole[..whole.len() - torn]).unwrap();
            let mut part = Part::open(&recording, &header, true).unwrap();
            assert_eq!(part.exchanges(), 1, "{torn}");
            part.append(&exchange()).unwrap();
            drop(part);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{torn}");
        }
        std::fs::write(&path, [&whole[..], b"x\n"].concat()).unwrap();
        let error = Part::open(&recording, &header, true).err().unwrap();
        assert!(format!("{error:#}").contains("line 4"), "{error:#}");
        std::fs::write(&recording, "").unwrap();
        let error = Part::open(&recording, &header, true).err().unwrap();
        assert!(error.to_string().contains("is there already"), "{error}");
    }
}
