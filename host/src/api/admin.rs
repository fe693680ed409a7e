//! What administrators ask: keys, tokens, bans, anomalies, backups, the configuration that is in
//! force and that it is read again, and how the server is.

mod anomalies;
mod backup;
mod bans;
mod config;
mod jwt;
mod key_change;
mod key_lookup;
mod keys;
mod reload;
mod status;

use super::Failures;
use crate::http::policy::Routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(keys::routes())
        .merge(anomalies::routes())
        .merge(backup::routes())
        .merge(jwt::routes())
        .merge(key_change::routes())
        .merge(key_lookup::routes())
        .merge(bans::routes())
        .merge(config::routes())
        .merge(reload::routes())
        .merge(status::routes())
}
