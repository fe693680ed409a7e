//! The host's side of `wit/`, generated. Nothing here is written by hand.
#![expect(missing_docs, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "full-model",
    imports: { default: trappable },
    exports: { default: async },
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});
