//! What authors of models start from, as it is in the repository: templates of projects, the SDK of
//! each language, the contract. It ships in the binary, so that what `belljar new` writes goes with
//! what the same binary serves.

/// Files by their names, in no order that means something. `build.rs` lists the folders.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/authors.rs"));

/// The files below a folder, with their names in it: `templates/js/all`, `sdk-c`, `wit`.
pub fn author_files(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(name, bytes)| {
        let inside = name.strip_prefix(folder)?.strip_prefix('/')?;
        Some((inside, *bytes))
    })
}

/// A file by its whole name, such as `wit/model.wit`.
#[must_use]
pub fn author_file(name: &str) -> Option<&'static [u8]> {
    FILES
        .iter()
        .find_map(|(there, bytes)| (*there == name).then_some(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_and_each_sdk_are_there() {
        assert!(author_file("wit/model.wit").is_some_and(|wit| wit.starts_with(b"///")));
        for folder in [
            "sdk-rust/src",
            "sdk-python/belljar_guest",
            "sdk-js",
            "sdk-c",
        ] {
            assert!(author_files(folder).next().is_some(), "{folder}");
        }
        // A name is a path and not a beginning of one.
        assert_eq!(author_files("sdk-").count(), 0);
    }
}
