//! The messages of the calls, as `build.rs` makes them from `host/proto`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::indexing_slicing,
    reason = "generated code; `host/proto` says what its messages mean"
)]

/// The Open Inference Protocol.
pub mod inference {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// What is told of the calls. That of before the first version has the same messages.
pub mod reflection {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

/// The health checks of gRPC.
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}
