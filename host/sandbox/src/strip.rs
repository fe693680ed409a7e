//! A component without what is only for people: names, debug information, and which tools made it.

use std::ops::Range;

use wasmparser::{Encoding, Parser, Payload};

/// How a module and a component begin.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// The sections of a component with a module and with a component in them.
const MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

/// The bytes are no component.
#[derive(Debug, thiserror::Error)]
#[error("it is not a WebAssembly component: {0}")]
pub struct NotAComponent(String);

/// Leaves out the names of functions, debug information and what names the tools, on every level.
/// What runs stays as it is.
///
/// # Errors
/// When the bytes are no component.
pub fn strip_component(component: &[u8]) -> Result<Vec<u8>, NotAComponent> {
    let wrong = |error: &dyn std::fmt::Display| NotAComponent(error.to_string());
    let mut outer: Vec<Vec<u8>> = Vec::new();
    let mut out = Vec::with_capacity(component.len());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| wrong(&error))?;
        match &payload {
            Payload::Version { encoding, .. } => out.extend_from_slice(match encoding {
                Encoding::Module => &MODULE,
                Encoding::Component => &COMPONENT,
            }),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                outer.push(std::mem::take(&mut out));
                continue;
            }
            Payload::End(_) => {
                let Some(mut around) = outer.pop() else {
                    continue;
                };
                let id = if out.starts_with(&COMPONENT) {
                    COMPONENT_SECTION
                } else {
                    MODULE_SECTION
                };
                push_section(&mut around, id, &out);
                out = around;
                continue;
            }
            Payload::CustomSection(section) if is_for_people(section.name()) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let content = bytes(component, range).ok_or_else(|| wrong(&"a section is cut"))?;
            push_section(&mut out, id, content);
        }
    }
    Ok(out)
}

fn bytes(of: &[u8], range: Range<usize>) -> Option<&[u8]> {
    of.get(range)
}

fn is_for_people(section: &str) -> bool {
    matches!(section, "name" | "component-name" | "producers") || section.starts_with(".debug_")
}

/// Appends a section: its number, its length as LEB128, and its content.
fn push_section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    const MORE: u8 = 0x80;
    out.push(id);
    let mut length = content.len();
    while length >= usize::from(MORE) {
        out.push((length % usize::from(MORE)) as u8 | MORE);
        length /= usize::from(MORE);
    }
    out.push(length as u8);
    out.extend_from_slice(content);
}
