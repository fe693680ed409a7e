//! The runtimes in the binary: components that make a model of weights alone. They are kept
//! compressed, and nothing of them is read before somebody packs weights.

use std::io;

/// A component that runs the weights it finds in the assets of its bundle.
#[derive(Clone, Copy)]
pub struct Runtime {
    /// The name of its package among the guests.
    pub name: &'static str,
    /// The form of weights that it runs, as the option of the command line is called.
    pub weights: &'static str,
    /// The files that such weights are made of.
    pub files: WeightFiles,
    /// The help of the option.
    pub help: &'static str,
    /// The component, as zstd has it.
    compressed: &'static [u8],
}

/// The files that weights are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFiles {
    /// One file, which the runtime finds under this name.
    One(&'static str),
    /// Files of a folder, which keep their names.
    Folder {
        /// Those that have to be there.
        needed: &'static [&'static str],
        /// Those that are taken where they are there.
        optional: &'static [&'static str],
    },
}

macro_rules! runtimes {
    ($($name:literal runs $weights:literal $help:literal, $files:expr;)*) => {
        /// All of them. A new one is a row here and one in `build.rs`.
        pub static RUNTIMES: &[Runtime] = &[$(Runtime {
            name: $name,
            weights: $weights,
            files: $files,
            help: $help,
            compressed: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm.zst")),
        },)*];
    };
}

runtimes! {
    "llama" runs "gguf" "Weights of a language model, in GGUF", WeightFiles::One("model.gguf");
    "embedder" runs "safetensors" "Weights of a sentence encoder or a reranker, in safetensors",
        WeightFiles::Folder {
            needed: &["model.safetensors", "config.json", "tokenizer.json"],
            optional: &[
                "1_Pooling/config.json",
                "embedder.json",
                "modules.json",
                "sentence_bert_config.json",
                "tokenizer_config.json",
            ],
        };
    "onnx" runs "onnx" "A model over tensors, in ONNX", WeightFiles::One("model.onnx");
}

/// Bytes of a component at most: what a server takes by default.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

impl Runtime {
    /// The runtime of weights of this form.
    #[must_use]
    pub fn of(weights: &str) -> Option<&'static Self> {
        RUNTIMES.iter().find(|runtime| runtime.weights == weights)
    }

    /// The WebAssembly component.
    ///
    /// # Errors
    ///
    /// When the binary is damaged.
    pub fn component(&self) -> io::Result<Vec<u8>> {
        zstd::bulk::decompress(self.compressed, COMPONENT_BYTES_MAX)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The component's bytes would fill the log.
        f.debug_struct("Runtime")
            .field("name", &self.name)
            .field("weights", &self.weights)
            .field("files", &self.files)
            .field("compressed_bytes", &self.compressed.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_is_a_component_without_a_path_of_the_building_machine() {
        let home = std::env::home_dir().unwrap();
        let home = memchr::memmem::Finder::new(home.to_str().unwrap()).into_owned();
        for runtime in RUNTIMES {
            let component = runtime.component().unwrap();
            // The version field of a component's header: format 13, layer 1.
            assert_eq!(
                component.get(..8),
                Some(&b"\0asm\x0d\0\x01\0"[..]),
                "{runtime:?}"
            );
            assert_eq!(home.find(&component), None, "{runtime:?}");
            assert_eq!(Runtime::of(runtime.weights).unwrap().name, runtime.name);
        }
    }

    /// What is not asked for costs its size in the binary, and should cost no more.
    #[test]
    fn each_is_small() {
        for runtime in RUNTIMES {
            assert!(runtime.compressed.len() < 2 << 20, "{runtime:?}");
        }
    }
}
