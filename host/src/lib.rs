//! The Belljar server.
