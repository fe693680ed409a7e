//! What becomes of the tokens' vectors: the settings of a sentence encoder beside its weights.

use belljar_guest::kernels::Precision;

use crate::error::LoadError;
use crate::json::{Object, small_file};
use crate::shape::{Head, Shape};

const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling/config.json";
const SENTENCE: &str = "sentence_bert_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
/// What this runtime is told beside the files of the model.
pub const OPTIONS: &str = "embedder.json";

/// Longer than any text: what some files say where nothing is known.
const TOKENS_UNKNOWN: f64 = 1e9;

/// What becomes of the tokens' vectors, and how texts are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How one vector is made of those of the tokens.
    pub pooling: Pooling,
    /// Whether vectors have the length one.
    pub is_unit: bool,
    /// The most tokens of a text, with its marks.
    pub tokens_max: usize,
    /// Whether texts are made lower case before anything else.
    pub is_lower_case: bool,
    /// What the weights are held as.
    pub precision: Precision,
    /// Whether what does not fit is left away, and not refused.
    pub cuts: bool,
}

/// How one vector is made of those of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all.
    Mean,
    /// The first.
    First,
}

impl Settings {
    /// Reads the settings of a bundle; those that are not there are the usual ones.
    ///
    /// # Errors
    ///
    /// [`LoadError`], with the name of what is wrong or not supported.
    pub fn read(shape: &Shape) -> Result<Self, LoadError> {
        let mut settings = Self {
            pooling: Pooling::Mean,
            is_unit: true,
            tokens_max: shape.positions,
            is_lower_case: false,
            precision: Precision::F32,
            cuts: false,
        };
        if shape.head == Head::Vectors {
            settings.read_modules()?;
            settings.read_pooling(shape)?;
        }
        settings.read_length()?;
        settings.read_options()?;
        Ok(settings)
    }

    fn read_modules(&mut self) -> Result<(), LoadError> {
        let Some(value) = small_file(MODULES)? else {
            return Ok(());
        };
        let modules = value
            .as_array()
            .ok_or_else(|| LoadError::file(MODULES, "is no list of modules"))?;
        self.is_unit = false;
        for (index, module) in modules.iter().enumerate() {
            let module = Object {
                file: MODULES,
                value: module,
            };
            let name = module.text("type")?.unwrap_or_default();
            match name.rsplit('.').next() {
                Some("Transformer" | "Pooling") => {}
                Some("Normalize") => self.is_unit = true,
                _ => {
                    let problem = format!(
                        "is `{name}`, which is not supported; Transformer, Pooling, Normalize are"
                    );
                    return Err(module.wrong(&format!("{index}.type"), problem));
                }
            }
        }
        Ok(())
    }

    fn read_pooling(&mut self, shape: &Shape) -> Result<(), LoadError> {
        const PREFIX: &str = "pooling_mode_";
        let Some(value) = small_file(POOLING)? else {
            return Ok(());
        };
        let config = Object {
            file: POOLING,
            value: &value,
        };
        for name in ["word_embedding_dimension", "embedding_dimension"] {
            let Some(width) = config.optional_size(name, 1, usize::MAX)? else {
                continue;
            };
            if width != shape.width {
                let problem = format!("is {width}, and the model has {}", shape.width);
                return Err(config.wrong(name, problem));
            }
        }
        let mut modes: Vec<&str> = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            match name.strip_prefix(PREFIX) {
                Some(mode) if value.as_bool() == Some(true) => modes.push(mode),
                _ => {}
            }
        }
        modes.extend(config.text("pooling_mode")?);
        self.pooling = match modes.as_slice() {
            [] | ["mean_tokens" | "mean"] => Pooling::Mean,
            ["cls_token" | "cls"] => Pooling::First,
            others => {
                let problem = format!(
                    "is `{}`, which is not supported; mean_tokens, cls_token are, one of them",
                    others.join("`, `")
                );
                return Err(config.wrong("pooling_mode", problem));
            }
        };
        Ok(())
    }

    /// The first file that says how long a text may be is believed, up to what the weights have.
    fn read_length(&mut self) -> Result<(), LoadError> {
        let positions = self.tokens_max;
        if let Some(value) = small_file(SENTENCE)? {
            let config = Object {
                file: SENTENCE,
                value: &value,
            };
            self.is_lower_case = config.flag("do_lower_case")?;
            if let Some(tokens) = config.optional_size("max_seq_length", 1, usize::MAX)? {
                self.tokens_max = tokens.min(positions);
                return Ok(());
            }
        }
        if let Some(value) = small_file(TOKENIZER)? {
            let config = Object {
                file: TOKENIZER,
                value: &value,
            };
            let tokens = config.number("model_max_length")?;
            if let Some(tokens) = tokens.filter(|tokens| *tokens < TOKENS_UNKNOWN) {
                if tokens < 1.0 {
                    return Err(config.wrong("model_max_length", "should be above zero"));
                }
                self.tokens_max = (tokens as usize).min(positions);
            }
        }
        Ok(())
    }

    fn read_options(&mut self) -> Result<(), LoadError> {
        let Some(value) = small_file(OPTIONS)? else {
            return Ok(());
        };
        let options = Object {
            file: OPTIONS,
            value: &value,
        };
        let members = value
            .as_object()
            .ok_or_else(|| LoadError::file(OPTIONS, "is no object"))?;
        for name in members.keys() {
            let one_of = |problem: &str| Err(options.wrong(name, problem.to_owned()));
            match (name.as_str(), options.text(name)?) {
                ("precision", Some("f32")) => self.precision = Precision::F32,
                ("precision", Some("int8")) => self.precision = Precision::Int8,
                ("precision", _) => return one_of("should be \"f32\" or \"int8\""),
                ("too_long", Some("refuse")) => self.cuts = false,
                ("too_long", Some("cut")) => self.cuts = true,
                ("too_long", _) => return one_of("should be \"refuse\" or \"cut\""),
                _ => return one_of("is not known; `precision`, `too_long` are"),
            }
        }
        Ok(())
    }
}
