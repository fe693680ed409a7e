//! Drives the server over real HTTP.
