//! What can be said of a component before it is compiled: what it imports, what it exports,
//! which features of WebAssembly it uses. Cheap, so that a refusal costs no compilation.

use crate::{Capabilities, Capability, CompileError, fault::short, imports::is_granted};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The package whose interfaces are capabilities.
const CONTRACT_PREFIX: &str = "belljar:model/";
/// The versions of it that this host serves.
const CONTRACT_VERSION_PREFIX: &str = "0.1.";

/// Components and modules inside one another. What `wasm-tools compose` makes is a few deep.
///
/// To validate and compile a component in a component costs what all around it hold: 20 000 of
/// them, in 235 KiB, took 36 s and 9 GiB.
const DEPTH_MAX: u32 = 100;

/// Reads the outermost imports and exports, and validates the rest.
pub(crate) fn inspect(
    component: &[u8],
    enabled: WasmFeatures,
) -> Result<Capabilities, CompileError> {
    if !Parser::is_component(component) {
        let what = if Parser::is_core_wasm(component) {
            "a core WebAssembly module and no component: `belljar pack` of its project folder makes one \
             of it, or build one (in Rust, target wasm32-wasip2)"
        } else {
            "not WebAssembly"
        };
        return Err(CompileError::Invalid {
            reason: format!("the file is {what}"),
        });
    }
    let invalid = |error: wasmparser::BinaryReaderError| CompileError::Invalid {
        reason: short(&error.to_string()),
    };
    check_depth(component)?;
    let mut capabilities = Capabilities::default();
    let mut refused = Vec::new();
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth = depth.saturating_add(1)
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(invalid)?.name.name;
                    if !is_granted(name) {
                        refused.push(short(name));
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    note_export(export.map_err(invalid)?.name.name, &mut capabilities)?;
                }
            }
            _ => {}
        }
    }
    if let Some(name) = refused.into_iter().next() {
        return Err(CompileError::RefusedImport { name });
    }
    check_reach(capabilities)?;
    validate(component, enabled)?;
    Ok(capabilities)
}

/// Walks from section to section, and reads none. What is broken is found by who reads it.
fn check_depth(component: &[u8]) -> Result<(), CompileError> {
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
        if depth > DEPTH_MAX {
            return Err(CompileError::TooDeep { limit: DEPTH_MAX });
        }
    }
    Ok(())
}

fn note_export(name: &str, capabilities: &mut Capabilities) -> Result<(), CompileError> {
    let Some(interface) = name.strip_prefix(CONTRACT_PREFIX) else {
        return Ok(());
    };
    let (interface, version) = interface.split_once('@').unwrap_or((interface, ""));
    if !version.starts_with(CONTRACT_VERSION_PREFIX) {
        return Err(CompileError::Invalid {
            reason: format!(
                "the component exports `{}`; this host serves version {CONTRACT_VERSION_PREFIX}x",
                short(name)
            ),
        });
    }
    if let Some(capability) = Capability::named(interface) {
        capabilities.add(capability);
    }
    Ok(())
}

/// Refuses a component that no request could ever ask for anything.
fn check_reach(capabilities: Capabilities) -> Result<(), CompileError> {
    if capabilities.iter().any(Capability::is_served) {
        return Ok(());
    }
    let idle: Capabilities = capabilities
        .iter()
        .filter(|capability| *capability != Capability::Lifecycle)
        .collect();
    if idle == Capabilities::default() {
        let reason = format!(
            "the component exports none of the interfaces of belljar:model that this host serves: {}",
            Capabilities::served()
        );
        return Err(CompileError::Invalid { reason });
    }
    Err(CompileError::NotServed { capabilities: idle })
}

/// Validates with the host's features, and where that fails finds out which other ones would
/// have helped.
fn validate(component: &[u8], enabled: WasmFeatures) -> Result<(), CompileError> {
    let valid_with = |features| Validator::new_with_features(features).validate_all(component);
    let Err(error) = valid_with(enabled) else {
        return Ok(());
    };
    let all = WasmFeatures::all();
    if valid_with(all).is_err() {
        return Err(CompileError::Invalid {
            reason: short(&error.to_string()),
        });
    }
    let missing: Vec<String> = all
        .difference(enabled)
        .iter_names()
        .filter(|(_, flag)| valid_with(all.difference(*flag)).is_err())
        .map(|(name, _)| name.to_lowercase())
        .collect();
    Err(CompileError::Unsupported {
        reason: format!(
            "the component uses features of WebAssembly that this host does not enable: {}",
            if missing.is_empty() {
                short(&error.to_string())
            } else {
                missing.join(", ")
            }
        ),
    })
}
