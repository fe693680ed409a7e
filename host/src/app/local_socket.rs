//! `server.sock` in the data directory: how commands on the same machine reach a server whose port
//! speaks TLS. Its certificate is for a name that others call it by, and it may ask its clients for
//! certificates; whoever can enter the data directory is trusted with all of that.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The socket of the data directory, which goes when the value does.
#[derive(Debug)]
pub struct LocalSocket(PathBuf);

const FILE_NAME: &str = "server.sock";

impl LocalSocket {
    /// Listens on the socket of a data directory that this process holds.
    ///
    /// # Errors
    ///
    /// When it cannot be made, for example because its path is longer than the system takes.
    pub fn listen(data_dir: &Path) -> io::Result<(UnixListener, Self)> {
        let path = data_dir.join(FILE_NAME);
        // Only a server that was killed leaves one behind.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        // The directory is closed to others already.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok((listener, Self(path)))
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
