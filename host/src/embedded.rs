//! The models that ship inside the binary, and the runtimes that make models of weights: compiled
//! by `build.rs` from `guest-models/`, and run like any other, in a sandbox that trusts them no
//! more. And what authors of models start from.

mod authors;
mod runtimes;

pub use authors::{author_file, author_files};
pub use runtimes::{RUNTIMES, Runtime, WeightFiles};

/// A component in the binary, with what its manifest needs.
#[derive(Clone, Copy)]
pub struct EmbeddedModel {
    /// The name it is served under.
    pub name: &'static str,
    /// Semantic version. It is that of this package, because the two are built together.
    pub version: &'static str,
    /// The WebAssembly component.
    pub component: &'static [u8],
    /// The description in listings, one sentence.
    pub description: &'static str,
    /// Caps the manifest asks for.
    pub limits: EmbeddedLimits,
}

/// The caps that the manifest of an embedded model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedLimits {
    /// Linear memory, in bytes.
    pub memory_bytes_max: u64,
    /// Fuel of one request.
    pub fuel: u64,
    /// Time of one request on the wall clock, in milliseconds.
    pub wall_time_ms: u64,
    /// The answer, in bytes.
    pub output_bytes_max: u64,
}

impl std::fmt::Debug for EmbeddedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The component's bytes would fill the log.
        f.debug_struct("EmbeddedModel")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("component_bytes", &self.component.len())
            .finish_non_exhaustive()
    }
}

/// Writes plausible nonsense, vectors, verdicts and rankings, repeatably.
pub static FAKE_COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fake.wasm"));

/// Gives each tensor back under its own name.
pub static ECHO_COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo.wasm"));

/// The fake generator, as served on the first start.
pub static FAKE: EmbeddedModel = EmbeddedModel {
    name: "fake",
    version: env!("CARGO_PKG_VERSION"),
    component: FAKE_COMPONENT,
    description: "A deterministic stand-in for a language model: chat, tools, structured answers, embeddings, moderations, rankings.",
    limits: EmbeddedLimits {
        memory_bytes_max: 64 << 20,
        fuel: 2_000_000_000,
        wall_time_ms: 10_000,
        output_bytes_max: 32 << 20,
    },
};

/// The smallest model, for trying out `/infer`.
pub static ECHO: EmbeddedModel = EmbeddedModel {
    name: "echo",
    version: env!("CARGO_PKG_VERSION"),
    component: ECHO_COMPONENT,
    description: "Gives each tensor back under its own name.",
    limits: EmbeddedLimits {
        memory_bytes_max: 256 << 20,
        fuel: 1_000_000_000,
        wall_time_ms: 5_000,
        output_bytes_max: 64 << 20,
    },
};

/// All of them.
pub static ALL: [&EmbeddedModel; 2] = [&FAKE, &ECHO];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_component_and_not_a_core_module() {
        for model in ALL {
            // The version field of a component's header: format 13, layer 1.
            assert_eq!(
                model.component.get(..8),
                Some(&b"\0asm\x0d\0\x01\0"[..]),
                "{model:?}"
            );
        }
    }

    #[test]
    fn names_and_versions_make_a_manifest() {
        for model in ALL {
            assert!(model.name.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(semver::Version::parse(model.version).is_ok());
        }
    }

    #[test]
    fn no_path_of_the_building_machine_is_inside() {
        let home = std::env::home_dir().expect("tests run with a home directory");
        let home = home
            .to_str()
            .expect("the home directory is UTF-8")
            .as_bytes();
        for model in ALL {
            let found = model
                .component
                .windows(home.len())
                .any(|window| window == home);
            assert!(!found, "{model:?}");
        }
    }
}
