//! Notices that files have changed, and reads them again.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at};
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

/// The time between two looks at the certificates of clients on open connections. With the time
/// that it takes to end a stream, well under the second in which that is promised.
const CLIENTS_PERIOD: Duration = Duration::from_millis(250);

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY_HOURS: u64 = 24;

/// The next tick; none ever comes where there is no interval.
async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

impl Tls {
    /// Looks at the files until `stop`, and takes up what has changed; ends what was let in with
    /// certificates of clients that do not hold any more. Tells once a day of files that end soon.
    ///
    /// A change is taken up once a second look finds nothing new: the key is written after the
    /// certificate, and the two belong together.
    pub async fn watch(&self, stop: CancellationToken) {
        tokio::join!(self.watch_files(&stop), self.watch_clients(&stop));
    }

    async fn watch_clients(&self, stop: &CancellationToken) {
        let mut looks = interval(CLIENTS_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            if self.0.open.is_empty() {
                continue;
            }
            let tls = self.clone();
            // A look that has panicked has ended nothing; the next one is due soon.
            let _ = tokio::task::spawn_blocking(move || tls.0.open.judge()).await;
        }
    }

    async fn watch_files(&self, stop: &CancellationToken) {
        let period = self.config().watch_period;
        let mut looks = (!period.is_zero()).then(|| {
            let mut looks = interval(period);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks
        });
        let mut hours = interval_at(Instant::now() + HOUR, HOUR);
        let mut hour: u64 = 0;
        let mut seen = None;
        // What could not be used is told once.
        let mut refused = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tick(looks.as_mut()) => {}
                _ = hours.tick() => {
                    hour = hour.wrapping_add(1);
                    self.note_ends(hour.is_multiple_of(DAY_HOURS));
                    continue;
                }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn warnings(&self) -> usize {
            let text = String::from_utf8(self.0.lock().clone()).unwrap();
            text.matches("the certificate expires soon").count()
        }
    }

    /// A certificate with its key that ends in 4096, which is soon by a long enough warning.
    fn config(folder: &std::path::Path, watch_period: Duration) -> Config {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = folder.join("both.pem");
        let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(&file, pem).unwrap();
        Config {
            certificates: vec![file],
            watch_period,
            expiry_warning: Duration::MAX,
            ..Config::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_soon_is_told_once_a_day_whether_files_are_watched_or_not() {
        for period in [Duration::ZERO, Duration::from_secs(10)] {
            let folder = tempfile::tempdir().unwrap();
            let paper = Paper::default();
            let out = paper.clone();
            let lines = tracing_subscriber::fmt()
                .with_writer(move || out.clone())
                .finish();
            let _heard = tracing::subscriber::set_default(lines);
            let tls = Tls::load(&config(folder.path(), period)).unwrap();
            assert_eq!(paper.warnings(), 1, "when it is read");
            let stop = CancellationToken::new();
            let watching = tls.watch(stop.clone());
            let days = async {
                tokio::time::sleep(HOUR * 23).await;
                assert_eq!(paper.warnings(), 1);
                tokio::time::sleep(HOUR * 2).await;
                assert_eq!(paper.warnings(), 2);
                tokio::time::sleep(HOUR * 48).await;
                assert_eq!(paper.warnings(), 4);
                stop.cancel();
            };
            tokio::join!(watching, days);
        }
    }
}
