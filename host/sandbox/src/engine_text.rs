//! What the engine says in words alone. Its versions may change the words; the tests that name
//! each of these faults run real components, so that such a change is seen.

/// What a text of the engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineText<'a> {
    /// One crossing made the host allocate more than it may.
    HostcallBytes,
    /// The store has no handle left.
    NoHandle,
    /// The store has more of something than it may: a count that came to `used`.
    Count { what: &'a str, used: u64 },
    /// The process had no address space left.
    NoAddressSpace,
    /// Nothing that the linker has goes by that name and type.
    NoImport(&'a str),
    /// A component needs more than a slot of the pool has.
    LargerThanSlot,
    /// Anything else.
    Other,
}

impl<'a> EngineText<'a> {
    /// Reads a text of the engine.
    pub(crate) fn read(text: &'a str) -> Self {
        let has = |part: &str| text.contains(part);
        if has("fuel allocated for hostcalls") {
            Self::HostcallBytes
        } else if has("store handle limit exceeded") || has("resource table has no free keys") {
            Self::NoHandle
        } else if let Some((what, used)) = count(text) {
            Self::Count { what, used }
        } else if has("os error 12") || has("Cannot allocate memory") {
            Self::NoAddressSpace
        } else if has("exceeds the configured maximum") {
            Self::LargerThanSlot
        } else if has("matching implementation was not found") {
            text.split('`').nth(1).map_or(Self::Other, Self::NoImport)
        } else {
            Self::Other
        }
    }
}

/// A count of the store, for example `resource limit exceeded: memory count too high at 9`.
fn count(text: &str) -> Option<(&str, u64)> {
    let (what, used) = text
        .strip_prefix("resource limit exceeded: ")?
        .split_once(" count too high at ")?;
    Some((what, used.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_known() {
        for (text, says) in [
            (
                "fuel allocated for hostcalls has been exhausted",
                EngineText::HostcallBytes,
            ),
            ("store handle limit exceeded", EngineText::NoHandle),
            ("resource table has no free keys", EngineText::NoHandle),
            (
                "resource limit exceeded: memory count too high at 9",
                EngineText::Count {
                    what: "memory",
                    used: 9,
                },
            ),
            (
                "resource limit exceeded: memory count too high at x",
                EngineText::Other,
            ),
            (
                "mmap: Cannot allocate memory (os error 12)",
                EngineText::NoAddressSpace,
            ),
            (
                "component imports instance `a:b/c`, but a matching implementation was not found \
                 in the linker",
                EngineText::NoImport("a:b/c"),
            ),
            (
                "the instance size of 9 exceeds the configured maximum of 8",
                EngineText::LargerThanSlot,
            ),
            ("", EngineText::Other),
        ] {
            assert_eq!(EngineText::read(text), says, "{text}");
        }
    }
}
