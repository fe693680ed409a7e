//! What a compiled component needs of a slot, and whether it is there.

use crate::{CompileError, Inspection, SlotCaps};
use wasmtime::component::Component;

/// What `Component::resources_required` counts memory in; other page sizes are not enabled.
pub(crate) const WASM_PAGE_BYTES: u64 = 64 << 10;

/// What a component needs of a slot.
pub(crate) fn needs(component: &Component) -> Result<Inspection, CompileError> {
    let Some(needs) = component.resources_required() else {
        return Err(CompileError::Unsupported {
            reason: "the component instantiates modules that it imports".into(),
        });
    };
    let pages = needs.max_initial_memory_size.unwrap_or(0);
    Ok(Inspection {
        memories: needs.num_memories,
        memory_bytes_initial: pages.saturating_mul(WASM_PAGE_BYTES),
        tables: needs.num_tables,
        table_elements_initial: needs.max_initial_table_size.unwrap_or(0),
        ..Inspection::default()
    })
}

/// Whether a component fits what a slot of the pool and the budget both hold.
pub(crate) fn fits(needs: &Inspection, slot: SlotCaps) -> Result<(), CompileError> {
    let too_large = |what: &str, needs: u64, has: u64| {
        Err(CompileError::TooLargeForPool {
            reason: format!("the component needs {needs} {what}; a slot of this host has {has}"),
        })
    };
    if needs.memories > slot.memories_max {
        let has = slot.memories_max.into();
        return too_large("linear memories", needs.memories.into(), has);
    }
    if needs.tables > slot.tables_max {
        return too_large("tables", needs.tables.into(), slot.tables_max.into());
    }
    let memory = needs.memory_bytes_initial;
    if memory > slot.memory_bytes_max {
        return too_large("bytes in one memory", memory, slot.memory_bytes_max);
    }
    let table = needs.table_elements_initial;
    if table > slot.table_elements_max {
        return too_large("elements in one table", table, slot.table_elements_max);
    }
    Ok(())
}
