//! What administrators ask: keys, tokens, bans, anomalies, backups, the configuration that is in
//! force and that it is read again, how the server is, and the worlds of testers.

mod anomalies;
mod backup;
mod bans;
mod config;
mod journal;
mod jwt;
mod key_change;
mod key_lookup;
mod keys;
mod reload;
mod status;
mod world_rules;
mod worlds;

use super::Failures;
use crate::http::policy::Routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(keys::routes())
        .merge(anomalies::routes())
        .merge(backup::routes())
        .merge(journal::routes())
        .merge(jwt::routes())
        .merge(key_change::routes())
        .merge(key_lookup::routes())
        .merge(bans::routes())
        .merge(config::routes())
        .merge(reload::routes())
        .merge(status::routes())
        .merge(world_rules::routes())
        .merge(worlds::routes())
}
