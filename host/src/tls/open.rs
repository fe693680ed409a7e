//! The clients of open connections, so that what they were let in for ends when their certificates
//! do not hold any more.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Client, ShownCertificate};

/// The certificates of the connections that are open.
#[derive(Default)]
pub(super) struct OpenClients(Mutex<Vec<Weak<ShownCertificate>>>);

impl OpenClients {
    /// Adds the client of a connection that has been made.
    pub(super) fn add(&self, client: &Client) {
        let mut open = self.0.lock();
        // Those that have gone leave before the list would grow, so it is at most twice as long as
        // there were connections at once.
        if open.len() == open.capacity() {
            open.retain(|client| client.strong_count() > 0);
        }
        open.push(Arc::downgrade(&client.0));
    }

    /// Whether no client of a connection has shown a certificate lately.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Judges all anew that have to be. Checking a signature takes some hundred microseconds, so
    /// this is nothing for a thread that serves.
    pub(super) fn judge(&self) {
        let open: Vec<Client> = {
            let mut open = self.0.lock();
            open.retain(|client| client.strong_count() > 0);
            open.iter().filter_map(Weak::upgrade).map(Client).collect()
        };
        for client in open {
            let _ = client.standing();
        }
    }
}
