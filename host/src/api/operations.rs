//! What operators and their machines ask: what this server is, whether it is well, its metrics.

mod health;
mod metrics;
mod root;

pub(crate) use metrics::operators_route as metrics_route;

use super::Failures;
use crate::http::policy::Routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(root::routes())
        .merge(health::routes())
        .merge(metrics::routes())
}
