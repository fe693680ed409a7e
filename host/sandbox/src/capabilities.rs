//! The capabilities that a model can have: one table of the contract's interfaces, which says
//! how each is reached, and what follows from a row.

use crate::{
    LoadError, RunError, bindings::exports::belljar::model as contract, fault::short,
    state::GuestState,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

/// How a capability is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is called once, when a version is made ready.
    Load,
    /// Requests ask for it on these routes of the host.
    Routes(&'static [&'static str]),
    /// The contract has it, and no route of this host asks for it yet.
    Nothing,
}

/// Makes everything that there is once for each row.
macro_rules! capabilities {
    (
        load: { $($loaded:ident $load:ident,)* }
        routes: { $($served:ident $serve:ident [$($route:literal),+ $(,)?],)* }
        nothing: { $($idle:ident $unserved:ident,)* }
    ) => {
        /// An interface of the contract that a component may export. The SDK has a trait of the
        /// same name for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "the names of the interfaces")]
        pub enum Capability {
            $($loaded,)* $($served,)* $($idle,)*
        }

        impl Capability {
            /// Every capability.
            pub const ALL: &[Self] = &[
                $(Self::$loaded,)* $(Self::$served,)* $(Self::$idle,)*
            ];

            /// The name of the interface, for example `text`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$loaded => stringify!($load),)*
                    $(Self::$served => stringify!($serve),)*
                    $(Self::$idle => stringify!($unserved),)*
                }
            }

            /// How it is reached.
            #[must_use]
            pub const fn reach(self) -> Reach {
                match self {
                    $(Self::$loaded => Reach::Load,)*
                    $(Self::$served => Reach::Routes(&[$($route),+]),)*
                    $(Self::$idle => Reach::Nothing,)*
                }
            }
        }

        /// The functions of a component that requests ask for, looked up once.
        pub(crate) struct Functions {
            $($serve: Option<contract::$serve::GuestIndices>,)*
        }

        impl Functions {
            /// Finds those of each capability that the model has.
            pub(crate) fn find(
                pre: &InstancePre<GuestState>,
                has: Capabilities,
            ) -> Result<Self, LoadError> {
                Ok(Self {
                    $($serve: has
                        .has(Capability::$served)
                        .then(|| contract::$serve::GuestIndices::new(pre))
                        .transpose()
                        .map_err(|error| LoadError::Contract {
                            interface: Capability::$served.name(),
                            reason: short(&format!("{error:#}")),
                        })?,)*
                })
            }

            /// Checks that the types of each are the contract's.
            pub(crate) fn check(
                &self,
                store: &mut Store<GuestState>,
                instance: &Instance,
            ) -> Result<(), RunError> {
                $(if let Some(indices) = &self.$serve {
                    indices
                        .load(&mut *store, instance)
                        .map_err(|error| other_types(Capability::$served, &error))?;
                })*
                Ok(())
            }

            $(
                #[doc = concat!("Where an instance has the functions of `", stringify!($serve), "`.")]
                pub(crate) fn $serve(&self) -> Result<&contract::$serve::GuestIndices, RunError> {
                    self.$serve.as_ref().ok_or(RunError::NoCapability {
                        interface: Capability::$served.name(),
                    })
                }
            )*
        }
    };
}

capabilities! {
    load: {
        Lifecycle lifecycle,
    }
    routes: {
        Tensors tensors ["POST /infer", "POST /v2/models/{name}/infer"],
        Text text ["POST /v1/chat/completions", "POST /v1/completions", "POST /v1/responses", "POST /v1/messages"],
        Embeddings embeddings ["POST /v1/embeddings"],
        Moderation moderation ["POST /v1/moderations"],
        Ranking ranking ["POST /v1/rerank", "POST /v1/score"],
        Tokenizer tokenizer ["POST /tokenize", "POST /detokenize"],
    }
    nothing: {
        Images images,
        Speech speech,
        Transcription transcription,
    }
}

fn other_types(capability: Capability, error: &wasmtime::Error) -> RunError {
    RunError::InvalidOutput {
        reason: short(&format!(
            "`belljar:model/{}` is exported with other types than the contract's: {error:#}",
            capability.name()
        )),
    }
}

impl Capability {
    /// The capability of that interface.
    #[must_use]
    pub fn named(interface: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|capability| capability.name() == interface)
    }

    /// Whether a route asks for it.
    #[must_use]
    pub const fn is_served(self) -> bool {
        matches!(self.reach(), Reach::Routes(_))
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The capabilities of a model: the contract's interfaces that its component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Capability>", into = "Vec<Capability>")]
pub struct Capabilities(u32);

impl Capabilities {
    /// Whether the model has a capability.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Each of them, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .iter()
            .copied()
            .filter(move |capability| self.has(*capability))
    }

    /// Those that a route of this host asks for.
    pub(crate) fn served() -> Self {
        Capability::ALL
            .iter()
            .copied()
            .filter(|capability| capability.is_served())
            .collect()
    }

    /// The names of the interfaces that are exported.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Capability::name).collect()
    }

    pub(crate) fn add(&mut self, capability: Capability) {
        self.0 |= capability.bit();
    }
}

impl fmt::Display for Capabilities {
    /// Writes the names, quoted and in a sentence's list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        let last = names.len().saturating_sub(1);
        for (index, name) in names.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index == last => " and ",
                _ => ", ",
            };
            write!(f, "{before}`{name}`")?;
        }
        Ok(())
    }
}

impl From<Vec<Capability>> for Capabilities {
    fn from(list: Vec<Capability>) -> Self {
        list.into_iter().collect()
    }
}

impl From<Capabilities> for Vec<Capability> {
    fn from(capabilities: Capabilities) -> Self {
        capabilities.iter().collect()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(list: I) -> Self {
        let mut capabilities = Self::default();
        for capability in list {
            capabilities.add(capability);
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs};

    fn of_the_repository(path: &str) -> String {
        fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn names() -> BTreeSet<&'static str> {
        Capability::ALL.iter().map(|each| each.name()).collect()
    }

    #[test]
    fn the_table_holds_each_export_of_the_contract_and_no_other() {
        let contract = of_the_repository("wit/model.wit");
        let (_, world) = contract.split_once("world full-model {").unwrap();
        let (world, _) = world.split_once('}').unwrap();
        let exports: BTreeSet<_> = world
            .lines()
            .filter_map(|line| line.trim().strip_prefix("export ")?.strip_suffix(';'))
            .collect();
        assert_eq!(names(), exports);
    }

    #[test]
    fn the_sdk_exports_each_by_a_trait_of_its_name() {
        let sdk = of_the_repository("guest-models/sdk/src/export.rs");
        let arms: BTreeSet<_> = sdk
            .lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("($model:ty, ")?
                    .strip_suffix(") => {")
            })
            .filter(|name| !name.starts_with('$'))
            .collect();
        assert_eq!(names(), arms);
        for capability in Capability::ALL {
            let name = capability.name();
            let arm = format!("(@ $model, {capability:?}, {name}, __belljar_export_{name})");
            assert!(sdk.contains(&arm), "{arm}");
        }
    }

    #[test]
    fn they_are_kept_by_name() {
        let has: Capabilities = [Capability::Text, Capability::Lifecycle]
            .into_iter()
            .collect();
        let kept = serde_json::to_string(&has).unwrap();
        assert_eq!(kept, r#"["lifecycle","text"]"#);
        assert_eq!(serde_json::from_str::<Capabilities>(&kept).unwrap(), has);
        assert_eq!(has.names(), ["lifecycle", "text"]);
        assert_eq!(has.to_string(), "`lifecycle` and `text`");
        assert!(has.has(Capability::Text) && !has.has(Capability::Tensors));
    }
}
