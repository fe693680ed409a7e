//! Notices that files have changed, and reads them again.

use std::os::unix::fs::MetadataExt as _;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Tls;
use super::config::Config;

/// What tells a file from the one that was there before: links are followed, so a folder that
/// is swapped as a whole counts, too.
pub(super) type Fingerprint = Vec<Option<(u64, u64, i64, i64, u64)>>;

pub(super) fn fingerprint(config: &Config) -> Fingerprint {
    let of = |path| {
        let about = std::fs::metadata(path).ok()?;
        Some((
            about.dev(),
            about.ino(),
            about.mtime(),
            about.mtime_nsec(),
            about.size(),
        ))
    };
    config.files().map(of).collect()
}

impl Tls {
    /// Looks at the files until `stop`, and takes up what has changed.
    ///
    /// A change is taken up once a second look finds nothing new: the key is written after the
    /// certificate, and the two belong together.
    pub async fn watch(&self, stop: CancellationToken) {
        let period = self.config().watch_period;
        if period.is_zero() {
            return;
        }
        let mut tick = interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = None;
        // What could not be used is told once.
        let mut refused = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let config = self.config();
            let now = Some(fingerprint(&config));
            let is_new = now.as_ref() != Some(&self.fingerprint()) && now != refused;
            if is_new && now == seen && !self.take_up(&config) {
                refused.clone_from(&now);
            }
            seen = now;
        }
    }

    /// Whether what is in the files now could be used.
    fn take_up(&self, config: &Config) -> bool {
        match self.reload(config) {
            Ok(()) => tracing::info!("the certificates have been read again"),
            Err(error) => {
                tracing::error!("the certificates stay as they are: {error}");
                return false;
            }
        }
        true
    }
}
