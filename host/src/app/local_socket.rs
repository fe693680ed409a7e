//! `server.sock` in the data directory: how commands on the same machine reach a server whose port
//! speaks TLS. Its certificate is for a name that others call it by, and it may ask its clients for
//! certificates; whoever can enter the data directory is trusted with all of that.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The file of a socket, which goes when the value does.
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
        Self::listen_at(&data_dir.join(FILE_NAME), 0o600)
    }

    /// Listens on a socket of that mode. One that a server has left behind which was killed is
    /// replaced; one that is listened on, and what is no socket, stays.
    pub(super) fn listen_at(path: &Path, mode: u32) -> io::Result<(UnixListener, Self)> {
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "it is there already, and is no socket",
                ));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another program listens on it",
                ));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let file = Self(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok((listener, file))
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
