//! `server.json` in the data directory: how commands on the same machine find the server.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The content of the discovery file: where a running server can be reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DiscoveryFile {
    /// The base address, such as `http://127.0.0.1:8000`.
    pub url: String,
    /// The socket for commands of this machine, where the address speaks TLS or wants a PROXY
    /// header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The id of the server's process.
    pub pid: u32,
    /// The version of the server.
    pub version: String,
}

/// The file on the disk, which goes when the value does.
#[derive(Debug)]
pub struct PublishedFile(PathBuf);

const FILE_NAME: &str = "server.json";

impl DiscoveryFile {
    /// The content that this process writes, which listens on `address`, and may speak TLS there.
    #[must_use]
    pub fn of(address: SocketAddr, with_tls: bool) -> Self {
        let scheme = if with_tls { "https" } else { "http" };
        Self {
            url: format!("{scheme}://{}", reached_by(address)),
            socket: None,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The content that the server of a data directory has written, if there is one. A server that
    /// was killed leaves the file behind.
    #[must_use]
    pub fn read(data_dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(data_dir.join(FILE_NAME)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether the process that has written it is still there.
    #[must_use]
    pub fn is_of_a_process(&self) -> bool {
        let pid = i32::try_from(self.pid).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the data directory cannot be written.
    pub fn publish(&self, data_dir: &Path) -> io::Result<PublishedFile> {
        let path = data_dir.join(FILE_NAME);
        let staging = data_dir.join("server.json.new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staging)?;
        let text = serde_json::to_string_pretty(self)?;
        writeln!(file, "{text}")?;
        drop(file);
        fs::rename(&staging, &path)?;
        Ok(PublishedFile(path))
    }
}

impl Drop for PublishedFile {
    fn drop(&mut self) {
        // What stays behind names a process that is gone; clients say so.
        let _ = fs::remove_file(&self.0);
    }
}

/// The address by which this machine reaches a server that listens on `address`.
fn reached_by(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_discovery_file_lives_as_long_as_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let file = DiscoveryFile::of("0.0.0.0:8000".parse().unwrap(), false);
        assert_eq!(file.url, "http://127.0.0.1:8000");
        let published = file.publish(dir.path()).unwrap();
        assert_eq!(DiscoveryFile::read(dir.path()), Some(file));
        drop(published);
        assert_eq!(DiscoveryFile::read(dir.path()), None);
    }

    #[test]
    fn addresses_become_urls() {
        let url = |address: &str, tls| DiscoveryFile::of(address.parse().unwrap(), tls).url;
        assert_eq!(url("[::]:1", false), "http://[::1]:1");
        assert_eq!(url("10.0.0.1:2", true), "https://10.0.0.1:2");
    }
}
