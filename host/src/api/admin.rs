//! What administrators ask: keys, bans, anomalies, and the configuration that is in force.

mod anomalies;
mod bans;
mod config;
mod key_lookup;
mod keys;

use super::Failures;
use crate::http::policy::Routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(keys::routes())
        .merge(anomalies::routes())
        .merge(key_lookup::routes())
        .merge(bans::routes())
        .merge(config::routes())
}
