//! Components that differ in nothing but what is in their memory, as all models have it that are
//! built on one base: their code is compiled once, with a filling in place of the memory, and for
//! each of them the filling is replaced in the compiled file.

use wasm_encoder::{
    Component, ComponentSectionId, ConstExpr, DataCountSection, DataSection, Module, RawSection,
    SectionId,
};
use wasmparser::{
    BinaryReader, DataKind, DataSectionReader, ImportSectionReader, MemorySectionReader, Operator,
    TypeRef,
};

/// Bytes of the header of a module and of a component.
const HEADER_BYTES: usize = 8;
/// Bytes of a WebAssembly page; other sizes are not enabled.
const PAGE_BYTES: u64 = 64 << 10;
/// Bytes of a memory that is filled.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// A component in two parts: what is compiled of it, and the memory that it begins with.
pub(crate) struct Parted<'a> {
    sections: Vec<Part<'a>>,
    memory: Vec<u8>,
}

/// A section of the component.
enum Part<'a> {
    /// Any other, or a module whose memory is not the one.
    Whole(Section<'a>),
    /// The module that defines the memory.
    Holder(Holder<'a>),
}

/// A module that defines a memory.
struct Holder<'a> {
    sections: Vec<Section<'a>>,
    /// The data that code refers to, which come before those that the memory begins with. A snapshot
    /// has an empty one here for each that was in the component before.
    passive: Vec<&'a [u8]>,
}

#[derive(Clone, Copy)]
struct Section<'a> {
    id: u8,
    content: &'a [u8],
}

impl<'a> Parted<'a> {
    /// The parts of a component. `None` where it has not one memory with active data of a constant
    /// place alone: such a component is compiled as it is.
    pub(crate) fn of(component: &'a [u8]) -> Option<Self> {
        let mut memory = None;
        let mut parts = Vec::new();
        for section in sections(component)? {
            let is_module = section.id == ComponentSectionId::CoreModule as u8;
            let holder = if is_module {
                holder(sections(section.content)?)?
            } else {
                None
            };
            parts.push(match holder {
                // A second one.
                Some(_) if memory.is_some() => return None,
                Some((holder, found)) => {
                    memory = Some(found);
                    Part::Holder(holder)
                }
                None => Part::Whole(section),
            });
        }
        Some(Self {
            sections: parts,
            memory: memory?,
        })
    }

    /// The memory that it begins with.
    pub(crate) fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// A digest of all of it but what is in its memory.
    pub(crate) fn skeleton(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut add = |section: &Section<'_>| {
            hasher.update(&[section.id]);
            hasher.update(&(section.content.len() as u64).to_le_bytes());
            hasher.update(section.content);
        };
        for part in &self.sections {
            match part {
                Part::Whole(section) => add(section),
                Part::Holder(holder) => {
                    // Ids that no section has.
                    let mark = |id, content| Section { id, content };
                    add(&mark(u8::MAX, &[]));
                    let kept = holder.sections.iter().filter(|section| !is_data(section));
                    kept.for_each(&mut add);
                    for data in &holder.passive {
                        add(&mark(u8::MAX - 1, data));
                    }
                    add(&mark(u8::MAX, &[]));
                }
            }
        }
        hasher.update(&(self.memory.len() as u64).to_le_bytes());
        hasher.finalize()
    }

    /// The same component, whose memory has a filling that is found in what is compiled of it.
    pub(crate) fn filled(&self) -> Vec<u8> {
        let mut component = Component::new();
        for part in &self.sections {
            match part {
                Part::Whole(section) => {
                    component.section(&raw(section));
                }
                Part::Holder(holder) => {
                    let module = self.filled_module(holder);
                    component.section(&RawSection {
                        id: ComponentSectionId::CoreModule as u8,
                        data: &module,
                    });
                }
            }
        }
        component.finish()
    }

    fn filled_module(&self, holder: &Holder<'_>) -> Vec<u8> {
        let mut module = Module::new();
        for section in &holder.sections {
            if section.id == SectionId::DataCount as u8 {
                let count = u32::try_from(holder.passive.len() + 1).unwrap_or(u32::MAX);
                module.section(&DataCountSection { count });
            } else if is_data(section) {
                let mut data = DataSection::new();
                for passive in &holder.passive {
                    data.passive(passive.iter().copied());
                }
                data.active(0, &ConstExpr::i32_const(0), filling(self.memory.len()));
                module.section(&data);
            } else {
                module.section(&raw(section));
            }
        }
        module.finish()
    }
}

/// Where the filling is in a compiled file, from its first byte on, if it is there whole and once.
pub(crate) fn find_filling(compiled: &[u8], bytes: usize) -> Option<usize> {
    let expected = filling(bytes);
    let head = expected.get(..HEAD_BYTES)?;
    // What is mapped begins at a page.
    let mut found = None;
    for at in (0..compiled.len()).step_by(ALIGNMENT_BYTES) {
        let Some(rest) = compiled.get(at..) else {
            break;
        };
        if !rest.starts_with(head) {
            continue;
        }
        if found.is_some() || !rest.starts_with(&expected) {
            return None;
        }
        found = Some(at);
    }
    found
}

/// Puts a memory in the place of the filling, if that is there, and tells whether it was.
pub(crate) fn replace_filling(compiled: &mut [u8], at: usize, memory: &[u8]) -> bool {
    let end = at.saturating_add(memory.len());
    let place = compiled.get_mut(at..end);
    let place = place.filter(|place| **place == filling(memory.len()));
    place.map(|place| place.copy_from_slice(memory)).is_some()
}

/// Bytes by which the beginning of the filling is known.
const HEAD_BYTES: usize = 64;
/// What the image of a memory is aligned to in a compiled file: a page of the machine, or more.
const ALIGNMENT_BYTES: usize = 4096;

/// Bytes that are nowhere else, none of which is zero: zeros at its ends would be left out of the
/// image.
fn filling(bytes: usize) -> Vec<u8> {
    let mut state = 0x6265_6c6c_6a61_7221_u64;
    let mut filled = vec![0; bytes];
    for word in filled.chunks_mut(size_of::<u64>()) {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = (state | 0x0101_0101_0101_0101).to_le_bytes();
        word.copy_from_slice(bytes.get(..word.len()).unwrap_or_default());
    }
    filled
}

fn raw<'a>(section: &Section<'a>) -> RawSection<'a> {
    RawSection {
        id: section.id,
        data: section.content,
    }
}

fn is_data(section: &Section<'_>) -> bool {
    section.id == SectionId::Data as u8 || section.id == SectionId::DataCount as u8
}

/// The sections of a module or a component.
fn sections(binary: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut reader = BinaryReader::new(binary.get(HEADER_BYTES..)?, 0);
    let mut found = Vec::new();
    while !reader.eof() {
        let id = reader.read_u8().ok()?;
        let bytes = reader.read_var_u32().ok()?;
        let content = reader.read_bytes(usize::try_from(bytes).ok()?).ok()?;
        found.push(Section { id, content });
    }
    Some(found)
}

/// What a module is that defines a memory and has data for it, with that memory; `None` within for
/// any other. `None` where data are placed by more than constants.
fn holder(sections: Vec<Section<'_>>) -> Option<Option<(Holder<'_>, Vec<u8>)>> {
    let content = |id: SectionId| {
        let found = sections.iter().find(|section| section.id == id as u8);
        found.map(|section| BinaryReader::new(section.content, 0))
    };
    let (Some(memories), Some(data)) = (content(SectionId::Memory), content(SectionId::Data))
    else {
        return Some(None);
    };
    let mut memories = MemorySectionReader::new(memories).ok()?.into_iter();
    let defined = memories.next()?.ok()?;
    if memories.next().is_some() || defined.memory64 || defined.page_size_log2.is_some() {
        return None;
    }
    if let Some(imports) = content(SectionId::Import) {
        for import in ImportSectionReader::new(imports).ok()?.into_imports() {
            if matches!(import.ok()?.ty, TypeRef::Memory(_)) {
                return None;
            }
        }
    }
    let bytes = defined.initial.checked_mul(PAGE_BYTES)?;
    if bytes == 0 || bytes > MEMORY_BYTES_MAX {
        return None;
    }
    let mut memory = vec![0; usize::try_from(bytes).ok()?];
    let mut passive = Vec::new();
    let mut has_active = false;
    for segment in DataSectionReader::new(data).ok()? {
        let segment = segment.ok()?;
        match segment.kind {
            // Behind one that is active it would have another number in the filled module.
            DataKind::Passive if has_active => return None,
            DataKind::Passive => passive.push(segment.data),
            DataKind::Active {
                memory_index: 0,
                offset_expr,
            } => {
                has_active = true;
                let mut operators = offset_expr.get_operators_reader();
                let (Operator::I32Const { value }, Operator::End) =
                    (operators.read().ok()?, operators.read().ok()?)
                else {
                    return None;
                };
                let start = usize::try_from(value.cast_unsigned()).ok()?;
                let end = start.checked_add(segment.data.len())?;
                memory.get_mut(start..end)?.copy_from_slice(segment.data);
            }
            DataKind::Active { .. } => return None,
        }
    }
    let holder = Holder { sections, passive };
    Some(has_active.then_some((holder, memory)))
}
