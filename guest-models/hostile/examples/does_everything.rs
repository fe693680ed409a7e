//! Not hostile: has each capability there is, with the least that each can do, to show that one
//! component can export them all.

use belljar_guest::text::{Generate, stream};
use belljar_guest::{
    Embeddings, Error, Images, Lifecycle, Media, Moderation, Ranking, Speech, Tensors, Text,
    Tokenizer, Transcription, embeddings, images, moderation, ranking, speech, tensors, text,
    transcription,
};

struct Guest;

impl Lifecycle for Guest {}

impl Tensors for Guest {
    fn infer(request: tensors::Request) -> Result<tensors::Response, Error> {
        Ok(tensors::Response::from(request.inputs))
    }
}

impl Text for Guest {
    fn start(request: text::Request) -> Result<impl Generate + 'static, Error> {
        Ok(stream([request.last_user_text()]))
    }
}

impl Embeddings for Guest {
    fn embed(
        inputs: Vec<embeddings::Input>,
        dimensions: Option<u32>,
    ) -> Result<embeddings::Response, Error> {
        let vector = vec![1.0; dimensions.unwrap_or(1) as usize];
        let vectors = vec![vector; inputs.len()];
        Ok(embeddings::Response {
            vectors,
            prompt_tokens: 1,
        })
    }
}

impl Moderation for Guest {
    fn classify(inputs: Vec<moderation::Input>) -> Result<Vec<moderation::Verdict>, Error> {
        let harmless = |_| moderation::Verdict {
            flagged: false,
            categories: vec![],
        };
        Ok(inputs.iter().map(harmless).collect())
    }
}

impl Images for Guest {
    fn generate(request: images::Request) -> Result<images::Response, Error> {
        let image = Media {
            mime: request.mime,
            data: vec![],
        };
        let picture = images::Picture {
            image,
            revised_prompt: None,
        };
        let pictures = vec![picture; request.count as usize];
        Ok(images::Response {
            pictures,
            prompt_tokens: 1,
            completion_tokens: 1,
        })
    }
}

impl Speech for Guest {
    fn synthesize(request: speech::Request) -> Result<Media, Error> {
        Ok(Media {
            mime: request.mime,
            data: request.input.into_bytes(),
        })
    }
}

impl Transcription for Guest {
    fn transcribe(request: transcription::Request) -> Result<transcription::Response, Error> {
        let text = String::from_utf8_lossy(&request.audio.data).into_owned();
        let (segments, words) = (vec![], vec![]);
        let language = request.language;
        Ok(transcription::Response {
            text,
            language,
            duration_us: 0,
            segments,
            words,
        })
    }
}

impl Ranking for Guest {
    fn rank(_query: String, documents: Vec<String>) -> Result<ranking::Response, Error> {
        let score = |index| ranking::Score {
            index,
            relevance: 0.0,
        };
        let scores = (0..documents.len() as u32).map(score).collect();
        Ok(ranking::Response {
            scores,
            prompt_tokens: 1,
        })
    }
}

/// Each byte is a token.
impl Tokenizer for Guest {
    fn encode(text: String) -> Result<Vec<u32>, Error> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn decode(tokens: Vec<u32>) -> Result<Vec<Vec<u8>>, Error> {
        let byte = |token: u32| match u8::try_from(token) {
            Ok(byte) => Ok(vec![byte]),
            Err(_) => Err(Error::invalid_input("`tokens`: there are 256 of them")),
        };
        tokens.into_iter().map(byte).collect()
    }
}

belljar_guest::export!(
    Guest: lifecycle, tensors, text, embeddings, moderation, images, speech, transcription, ranking,
    tokenizer
);
