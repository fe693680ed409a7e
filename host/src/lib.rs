//! The Belljar server: hosts models that nobody has to trust.
//!
//! A reader finds the path of a request in the list of modules: `http` takes it in, `auth`
//! says who calls, `models` hands out what can run, and the packages `belljar_bundle` and
//! `belljar_sandbox` below keep uploads and runs inside their bounds.
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod embedded;
pub mod examples;
pub mod flame;
pub mod fsck;
pub mod generation;
pub mod guard;
pub mod http;
pub mod ids;
pub mod inference;
pub mod ledger;
pub mod limits;
pub mod models;
pub mod net;
pub mod outgoing;
pub mod receipts;
pub mod runs;
pub mod secrets;
pub mod stored;
pub mod telemetry;
pub mod testing;
pub mod tls;
pub mod traces;
pub mod webhook;
