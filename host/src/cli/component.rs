//! Makes a component of a core module that a C compiler has built, so that an author needs a
//! compiler and a linker and nothing else.
//!
//! A module says what it is by the names of its exports and imports, as the canonical ABI has them:
//! `belljar:model/tensors@0.1.0#infer`. The world is made of those. A module that carries a world of
//! its own, as `wit-bindgen` links it in, keeps that one.

use std::collections::BTreeSet;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::embedded::author_file;

/// The contract, as packages of it are named.
const CONTRACT: &str = "belljar:model/";

/// The preview of WASI that C libraries are built on.
const PREVIEW1: &str = WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

/// What a core module has to do with the host.
#[derive(Debug, Default)]
struct Surface {
    /// Interfaces of the contract, with their version: `belljar:model/tensors@0.1.0`.
    exports: BTreeSet<String>,
    imports: BTreeSet<String>,
    /// Modules that are imported from and are none of the contract.
    others: BTreeSet<String>,
    /// A world of its own is linked into it.
    typed: bool,
    /// The allocator that the host puts arguments with.
    realloc: bool,
}

impl Surface {
    fn read(core: &[u8]) -> Result<Self, String> {
        let mut surface = Self::default();
        for payload in Parser::new(0).parse_all(core) {
            match payload.map_err(|error| format!("it cannot be read: {error}"))? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let module = import.map_err(|error| error.to_string())?.module;
                        // What belongs to a resource that the module itself exports.
                        if module.starts_with("[export]") {
                            continue;
                        }
                        if module.starts_with(CONTRACT) {
                            surface.imports.insert(module.to_owned());
                        } else {
                            surface.others.insert(module.to_owned());
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let name = export.map_err(|error| error.to_string())?.name;
                        surface.realloc |= name == "cabi_realloc";
                        if let Some((interface, _)) = name.split_once('#')
                            && interface.starts_with(CONTRACT)
                        {
                            surface.exports.insert(interface.to_owned());
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    surface.typed |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    /// Why nothing can be made of it, if that can be seen here.
    fn refusal(&self) -> Option<String> {
        if self.typed {
            return None;
        }
        if self.exports.is_empty() {
            return Some(
                "it exports none of the interfaces of belljar:model. In C an export is named \
                 `belljar:model/tensors@0.1.0#infer`, as the bindings in sdk/ do it; in Rust, build \
                 for wasm32-wasip2"
                    .to_owned(),
            );
        }
        if let Some(other) = self
            .others
            .iter()
            .find(|module| module.as_str() != PREVIEW1)
        {
            let hint = match other.as_str() {
                "env" => {
                    ": a function is declared and nowhere defined; link what defines it, or \
                     remove -Wl,--allow-undefined to have the linker name it"
                }
                "wasi_unstable" => {
                    ": that is WASI before its first preview; build with a C \
                     library of wasi-libc"
                }
                _ => "",
            };
            return Some(format!(
                "it imports from `{other}`, which no host has{hint}"
            ));
        }
        if !self.realloc {
            return Some(
                "it does not export cabi_realloc, with which the host makes room for arguments: \
                 link the bindings in sdk/, or define it as they do"
                    .to_owned(),
            );
        }
        None
    }

    /// The world that the names make.
    fn world(&self) -> String {
        let lines = |keyword: &str, names: &BTreeSet<String>| -> String {
            names
                .iter()
                .map(|name| format!("  {keyword} {name};\n"))
                .collect()
        };
        format!(
            "package belljar:packed;\nworld packed {{\n{}{}}}\n",
            lines("import", &self.imports),
            lines("export", &self.exports),
        )
    }
}

/// The component of a core module.
///
/// # Errors
/// What is wrong with the module, and what mends it.
pub(super) fn make_component(core: &[u8]) -> Result<Vec<u8>, String> {
    let surface = Surface::read(core)?;
    if let Some(refusal) = surface.refusal() {
        return Err(refusal);
    }
    let mut module = core.to_vec();
    if !surface.typed {
        embed(&mut module, &surface)?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder
        .validate(true)
        .module(&module)
        .map_err(|error| told(&error))?;
    if surface.others.contains(PREVIEW1) {
        encoder
            .adapter(PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .map_err(|error| told(&error))?;
    }
    encoder.encode().map_err(|error| told(&error))
}

/// Writes into the module the types of what it exports and imports.
fn embed(module: &mut Vec<u8>, surface: &Surface) -> Result<(), String> {
    let contract = author_file("wit/model.wit")
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .ok_or("this program is damaged: it has no contract")?;
    let mut resolve = Resolve::default();
    resolve
        .push_source("model.wit", contract)
        .map_err(|error| told(&error))?;
    let package = resolve
        .push_source("packed.wit", &surface.world())
        .map_err(|error| {
            format!(
                "it names what is not in this version of the contract (wit/model.wit): {}",
                told(&error)
            )
        })?;
    let world = resolve
        .select_world(&[package], Some("packed"))
        .map_err(|error| told(&error))?;
    let canonical_names = false;
    embed_component_metadata(
        module,
        &resolve,
        world,
        StringEncoding::UTF8,
        canonical_names,
    )
    .map_err(|error| told(&error))
}

/// An error with its causes on one line.
fn told(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error
        .chain()
        .map(|cause| cause.to_string().trim().replace('\n', " "))
        .collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A module with exports and imports, each a function of no arguments.
    fn module(imports: &[(&str, &str)], exports: &[&str]) -> Vec<u8> {
        use wasm_encoder::{
            CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
            ImportSection, Module, TypeSection,
        };
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imported = ImportSection::new();
        for (from, name) in imports {
            imported.import(from, name, EntityType::Function(0));
        }
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut exported = ExportSection::new();
        for name in exports {
            let function = u32::try_from(imports.len()).unwrap();
            exported.export(name, ExportKind::Func, function);
        }
        let mut code = CodeSection::new();
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imported)
            .section(&functions)
            .section(&exported)
            .section(&code);
        module.finish()
    }

    const INFER: &str = "belljar:model/tensors@0.1.0#infer";

    #[track_caller]
    fn refused(imports: &[(&str, &str)], exports: &[&str], because: &str) {
        let error = make_component(&module(imports, exports)).unwrap_err();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn what_cannot_become_a_component_is_told() {
        refused(&[], &["infer"], "exports none of the interfaces");
        refused(
            &[("env", "expf")],
            &[INFER, "cabi_realloc"],
            "declared and nowhere defined",
        );
        refused(
            &[("wasi_unstable", "fd_write")],
            &[INFER, "cabi_realloc"],
            "WASI before its first preview",
        );
        refused(&[], &[INFER], "does not export cabi_realloc");
        refused(
            &[],
            &["belljar:model/tensors@0.9.0#infer", "cabi_realloc"],
            "not in this version of the contract",
        );
    }

    #[test]
    fn a_world_is_made_of_names() {
        let core = module(
            &[
                ("belljar:model/assets@0.1.0", "size"),
                (PREVIEW1, "fd_write"),
            ],
            &[INFER, "belljar:model/lifecycle@0.1.0#load", "memory"],
        );
        let surface = Surface::read(&core).unwrap();
        assert_eq!(
            surface.world(),
            "package belljar:packed;\nworld packed {\n  import belljar:model/assets@0.1.0;\n  \
             export belljar:model/lifecycle@0.1.0;\n  export belljar:model/tensors@0.1.0;\n}\n"
        );
    }

    #[test]
    fn what_is_no_module_is_told() {
        let error = make_component(b"\0asm\x01\0\0\0\xff").unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
