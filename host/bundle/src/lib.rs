//! A hostile archive in, a checked bundle out.
