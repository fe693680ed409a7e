//! From the author's traits to the component's exports.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::marker::PhantomData;

use crate::bindings::{
    embeddings, images, lifecycle, moderation, ranking, speech, tensors, text, tokenizer,
    transcription,
};
use crate::text::{Chunk, Generate, Usage};
use crate::{
    Embeddings, Error, Images, Lifecycle, Media, Moderation, Ranking, Speech, Tensors, Text,
    Tokenizer, Transcription,
};

/// Exports a model: its type, then the capabilities the component shall have.
///
/// Capabilities: `lifecycle`, `tensors`, `text`, `embeddings`, `moderation`, `images`, `speech`,
/// `transcription`, `ranking`, `tokenizer`; for each, the type must implement the trait of that name.
///
/// ```
/// # use belljar_guest::{Error, Lifecycle, Tensors, tensors::{Request, Response}};
/// struct MyModel;
/// impl Lifecycle for MyModel {}
/// impl Tensors for MyModel {
///     fn infer(request: Request) -> Result<Response, Error> {
///         Ok(Response::from(request.inputs))
///     }
/// }
/// belljar_guest::export!(MyModel: lifecycle, tensors);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($model:ty: $($capability:ident),+ $(,)?) => {
        $($crate::__export_one!($model, $capability);)+
    };
}

/// The generated macro wants a plain name for the type that implements the interface, hence the
/// alias. Natively there is nothing to export to: ELF reads the `@` in an interface's name as a
/// symbol version, and only the trait's presence is checked.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_one {
    ($model:ty, lifecycle) => {
        $crate::__export_one!(@ $model, Lifecycle, lifecycle, __belljar_export_lifecycle);
    };
    ($model:ty, tensors) => {
        $crate::__export_one!(@ $model, Tensors, tensors, __belljar_export_tensors);
    };
    ($model:ty, text) => {
        $crate::__export_one!(@ $model, Text, text, __belljar_export_text);
    };
    ($model:ty, embeddings) => {
        $crate::__export_one!(@ $model, Embeddings, embeddings, __belljar_export_embeddings);
    };
    ($model:ty, moderation) => {
        $crate::__export_one!(@ $model, Moderation, moderation, __belljar_export_moderation);
    };
    ($model:ty, images) => {
        $crate::__export_one!(@ $model, Images, images, __belljar_export_images);
    };
    ($model:ty, speech) => {
        $crate::__export_one!(@ $model, Speech, speech, __belljar_export_speech);
    };
    ($model:ty, transcription) => {
        $crate::__export_one!(@ $model, Transcription, transcription, __belljar_export_transcription);
    };
    ($model:ty, ranking) => {
        $crate::__export_one!(@ $model, Ranking, ranking, __belljar_export_ranking);
    };
    ($model:ty, tokenizer) => {
        $crate::__export_one!(@ $model, Tokenizer, tokenizer, __belljar_export_tokenizer);
    };
    (@ $model:ty, $trait:ident, $module:ident, $export:ident) => {
        const _: () = {
            #[cfg(target_family = "wasm")]
            type Exported = $crate::__private::Glue<$model>;
            #[cfg(target_family = "wasm")]
            $crate::bindings::$module::$export!(Exported with_types_in $crate::bindings::$module);

            const fn implements<M: $crate::$trait>() {}
            implements::<$model>();
        };
    };
    ($model:ty, $other:ident) => {
        compile_error!(concat!(
            "`", stringify!($other), "` is no capability: use lifecycle, tensors, text, ",
            "embeddings, moderation, images, speech, transcription, ranking or tokenizer"
        ));
    };
}

/// Makes the model's own crate free of WASI: an allocator, and a panic that traps.
///
/// The standard library's panic message is what imports WASI, and each import that takes a
/// pointer makes the component two core instances larger. A model that calls this, declares
/// `#![cfg_attr(target_family = "wasm", no_std)]` and uses `alloc` instead of `std` starts
/// measurably faster. The price: a panic's message is lost, and the host sees only `unreachable`.
#[macro_export]
macro_rules! without_std {
    () => {
        #[cfg(target_family = "wasm")]
        #[global_allocator]
        static ALLOCATOR: $crate::__private::bare::Allocator =
            $crate::__private::bare::Allocator::new();

        #[cfg(target_family = "wasm")]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn cabi_realloc(
            old: *mut u8,
            old_bytes: usize,
            align: usize,
            new_bytes: usize,
        ) -> *mut u8 {
            // SAFETY: passed on as the host gave it.
            unsafe {
                $crate::__private::bare::cabi_realloc(&ALLOCATOR, old, old_bytes, align, new_bytes)
            }
        }

        // `memcmp` and its like, which the standard library would have brought along.
        #[cfg(target_family = "wasm")]
        #[link(name = "c")]
        unsafe extern "C" {}

        #[cfg(target_family = "wasm")]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            core::arch::wasm32::unreachable()
        }
    };
}

/// Carries an author's type to the generated traits.
pub struct Glue<M>(PhantomData<M>);

impl<M: Lifecycle> lifecycle::exports::belljar::model::lifecycle::Guest for Glue<M> {
    fn load() -> Result<(), Error> {
        M::load()
    }
}

impl<M: Tensors> tensors::exports::belljar::model::tensors::Guest for Glue<M> {
    fn metadata() -> crate::tensors::Metadata {
        M::metadata()
    }

    fn infer(request: crate::tensors::Request) -> Result<crate::tensors::Response, Error> {
        M::infer(request)
    }
}

impl<M: Text> text::exports::belljar::model::text::Guest for Glue<M> {
    type Generation = Running;

    fn start(
        request: crate::text::Request,
    ) -> Result<text::exports::belljar::model::text::Generation, Error> {
        let running = Running(RefCell::new(Box::new(M::start(request)?)));
        Ok(text::exports::belljar::model::text::Generation::new(
            running,
        ))
    }
}

/// The resource behind a `generation` handle. The `RefCell` is never borrowed twice: a component
/// is entered by one call at a time.
pub struct Running(RefCell<Box<dyn Generate>>);

impl text::exports::belljar::model::text::GuestGeneration for Running {
    fn next(&self, max_chunks: u32) -> Result<Vec<Chunk>, Error> {
        self.0.borrow_mut().next(max_chunks)
    }

    fn usage(&self) -> Usage {
        self.0.borrow().usage()
    }
}

impl<M: Embeddings> embeddings::exports::belljar::model::embeddings::Guest for Glue<M> {
    fn embed(
        inputs: Vec<crate::embeddings::Input>,
        dimensions: Option<u32>,
    ) -> Result<crate::embeddings::Response, Error> {
        M::embed(inputs, dimensions)
    }
}

impl<M: Moderation> moderation::exports::belljar::model::moderation::Guest for Glue<M> {
    fn classify(
        inputs: Vec<crate::moderation::Input>,
    ) -> Result<Vec<crate::moderation::Verdict>, Error> {
        M::classify(inputs)
    }
}

impl<M: Images> images::exports::belljar::model::images::Guest for Glue<M> {
    fn generate(request: crate::images::Request) -> Result<crate::images::Response, Error> {
        M::generate(request)
    }
}

impl<M: Speech> speech::exports::belljar::model::speech::Guest for Glue<M> {
    fn synthesize(request: crate::speech::Request) -> Result<Media, Error> {
        M::synthesize(request)
    }
}

impl<M: Transcription> transcription::exports::belljar::model::transcription::Guest for Glue<M> {
    fn transcribe(
        request: crate::transcription::Request,
    ) -> Result<crate::transcription::Response, Error> {
        M::transcribe(request)
    }
}

impl<M: Tokenizer> tokenizer::exports::belljar::model::tokenizer::Guest for Glue<M> {
    fn encode(text: String) -> Result<Vec<u32>, Error> {
        M::encode(text)
    }

    fn decode(tokens: Vec<u32>) -> Result<Vec<Vec<u8>>, Error> {
        M::decode(tokens)
    }
}

impl<M: Ranking> ranking::exports::belljar::model::ranking::Guest for Glue<M> {
    fn rank(query: String, documents: Vec<String>) -> Result<crate::ranking::Response, Error> {
        M::rank(query, documents)
    }
}
