//! Networks that an administrator has exempted, beside those of the configuration.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{Ban, BanError, Bans, Exemption, rows};
use crate::audit::{Actor, Event, EventKind};
use crate::net::Network;

/// Exemptions. Each violation and each request of a banned address walks through them.
pub(super) const EXEMPTIONS_MAX: usize = 1_000;

/// Characters of a note.
pub(super) const NOTE_CHARACTERS_MAX: usize = 200;

impl Bans {
    /// Exempts a network: its bans end, and its violations no longer count. On disk when it
    /// returns. A network that is exempt gets the new note.
    ///
    /// # Errors
    ///
    /// When the note cannot be kept, there is no room, or the database fails.
    pub async fn exempt(
        &self,
        network: Network,
        note: String,
        actor: Actor,
    ) -> Result<Exemption, BanError> {
        let inner = &*self.0;
        if note.chars().count() > NOTE_CHARACTERS_MAX || note.chars().any(char::is_control) {
            return Err(BanError::Note);
        }
        let _turn = inner.change.lock().await;
        let mut exemptions = (**inner.exemptions.load()).clone();
        if exemptions.len() >= EXEMPTIONS_MAX && !exemptions.contains_key(&network) {
            return Err(BanError::TooMany);
        }
        let exemption = Exemption {
            network,
            note,
            created: to_the_millisecond(inner.clock.now()),
            created_by: actor.key_id.clone(),
        };
        let ended: Vec<Arc<Ban>> = {
            let in_force = inner.in_force.read();
            let inside = |ban: &Arc<Ban>| network.contains(ban.subject.address);
            in_force.iter().filter(inside).collect()
        };
        rows::save_exemption(&inner.db, &exemption).await?;
        rows::delete_bans(&inner.db, ended.iter().map(|ban| &ban.subject)).await?;
        exemptions.insert(network, exemption.clone());
        inner.exemptions.store(Arc::new(exemptions));
        self.forget(&ended);
        inner
            .abuse
            .lock()
            .forgive_all(|subject| network.contains(subject.address));
        for ban in &ended {
            inner.audit.record(&self.lifted(ban, actor.clone()));
        }
        inner
            .audit
            .record(&event(EventKind::ExemptionAdded, actor, network));
        Ok(exemption)
    }

    /// Ends an exemption. On disk when it returns.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn unexempt(&self, network: Network, actor: Actor) -> Result<(), BanError> {
        let inner = &*self.0;
        let _turn = inner.change.lock().await;
        let mut exemptions = (**inner.exemptions.load()).clone();
        if exemptions.remove(&network).is_none() {
            return Err(BanError::NotExempt { network });
        }
        rows::delete_exemption(&inner.db, network).await?;
        inner.exemptions.store(Arc::new(exemptions));
        inner
            .audit
            .record(&event(EventKind::ExemptionRemoved, actor, network));
        Ok(())
    }

    /// All exemptions that administrators have made, in the order of their networks.
    #[must_use]
    pub fn exemptions(&self) -> Vec<Exemption> {
        self.0.exemptions.load().values().cloned().collect()
    }
}

fn event(kind: EventKind, actor: Actor, network: Network) -> Event {
    Event::new(kind, actor, &[("network", json!(network.to_string()))])
}

/// A time as exactly as it is stored, so that it reads the same before and after a restart.
fn to_the_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
