//! Traces, as a collector gets them: a real one, which decodes what it is sent, and fails, hangs
//! and talks nonsense.

mod collector;
mod context;
mod failures;
mod settings;
mod spans;
