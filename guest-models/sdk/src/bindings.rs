//! The guest's side of `wit/`, generated: one set of bindings a capability.
//!
//! The host finds what a model can do from what its component exports, so a model must export
//! the interfaces it implements and no others. Each interface therefore gets a world of its
//! own here; the linker merges the worlds that a model really uses.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

/// What models import, and the types that all capabilities share.
pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package belljar:sdk-base;
            world base {
                import belljar:model/types@0.1.0;
                import belljar:model/assets@0.1.0;
                import belljar:model/log@0.1.0;
                import belljar:model/state@0.1.0;
            }
        ",
        world: "belljar:sdk-base/base",
        additional_derives: [PartialEq],
        generate_all,
    });
}

macro_rules! capability {
    ($module:ident, $macro_name:literal, $inline:literal, $world:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                inline: $inline,
                world: $world,
                with: { "belljar:model/types@0.1.0": crate::bindings::base::belljar::model::types },
                additional_derives: [PartialEq],
                pub_export_macro: true,
                export_macro_name: $macro_name,
            });
        }
    };
}

capability!(
    lifecycle,
    "__belljar_export_lifecycle",
    "package belljar:sdk-lifecycle; world lifecycle-only { export belljar:model/lifecycle@0.1.0; }",
    "belljar:sdk-lifecycle/lifecycle-only"
);
capability!(
    tensors,
    "__belljar_export_tensors",
    "package belljar:sdk-tensors; world tensors-only { export belljar:model/tensors@0.1.0; }",
    "belljar:sdk-tensors/tensors-only"
);
capability!(
    text,
    "__belljar_export_text",
    "package belljar:sdk-text; world text-only { export belljar:model/text@0.1.0; }",
    "belljar:sdk-text/text-only"
);
capability!(
    embeddings,
    "__belljar_export_embeddings",
    "package belljar:sdk-embeddings; world embeddings-only { export belljar:model/embeddings@0.1.0; }",
    "belljar:sdk-embeddings/embeddings-only"
);
capability!(
    moderation,
    "__belljar_export_moderation",
    "package belljar:sdk-moderation; world moderation-only { export belljar:model/moderation@0.1.0; }",
    "belljar:sdk-moderation/moderation-only"
);
capability!(
    images,
    "__belljar_export_images",
    "package belljar:sdk-images; world images-only { export belljar:model/images@0.1.0; }",
    "belljar:sdk-images/images-only"
);
capability!(
    speech,
    "__belljar_export_speech",
    "package belljar:sdk-speech; world speech-only { export belljar:model/speech@0.1.0; }",
    "belljar:sdk-speech/speech-only"
);
capability!(
    transcription,
    "__belljar_export_transcription",
    "package belljar:sdk-transcription; world transcription-only { export belljar:model/transcription@0.1.0; }",
    "belljar:sdk-transcription/transcription-only"
);
capability!(
    ranking,
    "__belljar_export_ranking",
    "package belljar:sdk-ranking; world ranking-only { export belljar:model/ranking@0.1.0; }",
    "belljar:sdk-ranking/ranking-only"
);
capability!(
    tokenizer,
    "__belljar_export_tokenizer",
    "package belljar:sdk-tokenizer; world tokenizer-only { export belljar:model/tokenizer@0.1.0; }",
    "belljar:sdk-tokenizer/tokenizer-only"
);
