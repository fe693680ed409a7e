//! The server over real HTTP: one file a resource, and every refusal.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod aliases;
mod asked_faults;
mod audio;
mod auth;
mod azure;
mod biases;
mod bodies;
mod cache_metrics;
mod caps;
mod chat;
mod chat_members;
mod chat_turns;
mod completions;
mod echoes;
mod embeddings;
mod envelope;
mod fake;
mod fault_streams;
mod faults;
mod generate;
mod grpc;
mod health;
mod host;
mod infer;
mod keys;
mod latency;
mod leaving;
mod logs;
mod memory;
mod messages;
mod models;
mod moderations;
mod openai_models;
mod openapi;
mod origins;
mod policies;
mod queues;
mod ranking;
mod receipts;
mod recordings;
mod responses;
mod rules;
mod runs;
mod status;
mod stored_chats;
mod swap;
mod testing_off;
mod times;
mod tokens;
mod upload_bounds;
mod v2;
mod vllm_metrics;
mod wire;
mod words;
mod world_times;
mod worlds;
