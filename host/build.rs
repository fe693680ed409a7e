//! Builds the guests and embeds them.
fn main() {}
