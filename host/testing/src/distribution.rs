//! How long something takes, or how fast it goes, from one time to the next: a distribution with
//! bounds, in one syntax wherever one is asked for.
//!
//! | text | values |
//! | --- | --- |
//! | `200ms` | always this |
//! | `uniform(100ms..300ms)` | each from the first to the last alike |
//! | `normal(200ms,20ms)` | by mean and standard deviation |
//! | `lognormal(200ms,50ms)` | by mean and standard deviation of the values themselves |
//! | `gamma(200ms,50ms)` | by mean and standard deviation |
//! | `recorded(NAME)` | those of a column that was recorded, each alike |
//!
//! Each but the first takes `min=` and `max=` behind the rest: what lies outside becomes the bound.
//! Times are not negative, and speeds at least a token a second, where nothing is said.

mod recorded;

pub use recorded::{COLUMN_VALUES_MAX, Column, FILE_COLUMNS_MAX, Recorded, RecordedError};

use crate::quantity::{self, QuantityError, shown};
use rand::Rng;
use rand_distr::{Distribution as _, Gamma, LogNormal, Normal, Uniform};
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

/// The fastest that prompts are read, in tokens a second.
pub const SPEED_MAX: f64 = 1e9;

/// What a distribution is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A time, in seconds.
    Time,
    /// A speed, in tokens a second.
    Speed,
}

impl Quantity {
    /// A number with its unit.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn read(self, text: &str) -> Result<f64, DistributionError> {
        match self {
            Self::Time => Ok(quantity::time(text)?.as_secs_f64()),
            Self::Speed => {
                let number = text.trim().strip_suffix("/s").map(str::trim);
                let number = number.and_then(|number| number.parse::<f64>().ok());
                number
                    .filter(|speed| (1.0..=SPEED_MAX).contains(speed))
                    .ok_or_else(|| DistributionError::Speed(shown(text)))
            }
        }
    }

    /// The least and the most that there is, where no bounds are given.
    fn range(self) -> (f64, f64) {
        match self {
            Self::Time => (0.0, quantity::TIME_MAX.as_secs_f64()),
            Self::Speed => (1.0, SPEED_MAX),
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Time => quantity::time_text(duration(value)).to_string(),
            Self::Speed => format!("{value}/s"),
        }
    }
}

/// A time in whole microseconds. The last bit of a logarithm, which differs between libraries, is
/// far below.
fn duration(seconds: f64) -> Duration {
    // A float becomes the nearest number that there is.
    Duration::from_micros((seconds * 1e6).round() as u64)
}

/// What is wrong with the text of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistributionError {
    /// A number that should be a time.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// A number that should be a speed.
    #[error("`{0}` is no speed: expected tokens a second from 1 to 1e9, as in `8000/s`")]
    Speed(String),
    /// A name that no distribution has.
    #[error(
        "there is no distribution `{0}`: expected a value alone, or one of `uniform`, `normal`, \
         `lognormal`, `gamma`, `recorded`"
    )]
    Unknown(String),
    /// Something is missing, or there is too much.
    #[error("expected {expected}, not `{text}`")]
    Arguments {
        /// What there is.
        text: String,
        /// How it is written.
        expected: &'static str,
    },
    /// A lower bound above the upper one.
    #[error("`{0}`: the first of two bounds is above the second")]
    Order(String),
    /// A mean of nothing, which has no such distribution.
    #[error("`{0}`: the mean has to be above zero")]
    Mean(String),
    /// A column that nobody has recorded.
    #[error("there is no recorded column `{name}`{}", those_known(known))]
    NoColumn {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A column of something else.
    #[error(
        "the recorded column `{0}` holds speeds where times are wanted, or the other way round"
    )]
    WrongColumn(String),
}

fn those_known(known: &[String]) -> String {
    if known.is_empty() {
        return ": no file of recorded values is set".to_owned();
    }
    format!(": there are `{}`", known.join("`, `"))
}

/// A distribution of times or of speeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    quantity: Quantity,
    shape: Shape,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant(f64),
    Uniform(Uniform<f64>, f64, f64),
    Normal(Normal<f64>),
    LogNormal(LogNormal<f64>, Moments),
    Gamma(Gamma<f64>, Moments),
    Recorded(Arc<Column>),
}

/// What a distribution was asked for by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    mean: f64,
    deviation: f64,
}

/// How the shapes are written, for messages.
const UNIFORM: &str = "`uniform(FROM..TO)`";
const NORMAL: &str = "`normal(MEAN,DEVIATION)`";
const LOG_NORMAL: &str = "`lognormal(MEAN,DEVIATION)`";
const GAMMA: &str = "`gamma(MEAN,DEVIATION)`";
const RECORDED: &str = "`recorded(NAME)`";

impl Distribution {
    /// A distribution from its text. `recorded` has the columns that it may name.
    ///
    /// # Errors
    ///
    /// When it is none, and when it names a column that is not there.
    pub fn read(
        text: &str,
        quantity: Quantity,
        recorded: &Recorded,
    ) -> Result<Self, DistributionError> {
        let text = text.trim();
        let Some((name, rest)) = text.split_once('(') else {
            if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Err(DistributionError::Unknown(shown(text)));
            }
            return Ok(Self::constant(quantity.read(text)?, quantity));
        };
        let wrong = |expected| DistributionError::Arguments {
            text: shown(text),
            expected,
        };
        let expected = match name.trim() {
            "uniform" => UNIFORM,
            "normal" => NORMAL,
            "lognormal" => LOG_NORMAL,
            "gamma" => GAMMA,
            "recorded" => RECORDED,
            _ => return Err(DistributionError::Unknown(shown(name.trim()))),
        };
        let arguments = rest.strip_suffix(')').ok_or_else(|| wrong(expected))?;
        let mut plain = Vec::new();
        let (mut min, mut max) = (None, None);
        for argument in arguments.split(',').map(str::trim) {
            match argument.split_once('=') {
                Some(("min", value)) if min.is_none() => min = Some(quantity.read(value)?),
                Some(("max", value)) if max.is_none() => max = Some(quantity.read(value)?),
                Some(_) => return Err(wrong("`min=` and `max=` once each, behind the rest")),
                None if min.is_none() && max.is_none() => plain.push(argument),
                None => return Err(wrong("`min=` and `max=` behind the rest")),
            }
        }
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err(DistributionError::Order(shown(text)));
        }
        let moments = || match plain.as_slice() {
            [mean, deviation] => {
                let deviation = match quantity {
                    Quantity::Time => quantity.read(deviation)?,
                    // No deviation at all is none too small.
                    Quantity::Speed if deviation.trim() == "0/s" => 0.0,
                    Quantity::Speed => quantity.read(deviation)?,
                };
                let mean = quantity.read(mean)?;
                Ok(Moments { mean, deviation })
            }
            _ => Err(wrong(expected)),
        };
        let no_mean = || DistributionError::Mean(shown(text));
        let shape = match expected {
            UNIFORM => {
                let [range] = plain.as_slice() else {
                    return Err(wrong(expected));
                };
                let (from, to) = range.split_once("..").ok_or_else(|| wrong(expected))?;
                let (from, to) = (quantity.read(from)?, quantity.read(to)?);
                let uniform = Uniform::new_inclusive(from, to);
                let uniform = uniform.map_err(|_| DistributionError::Order(shown(text)))?;
                Shape::Uniform(uniform, from, to)
            }
            NORMAL => {
                let Moments { mean, deviation } = moments()?;
                Shape::Normal(Normal::new(mean, deviation).map_err(|_| wrong(expected))?)
            }
            LOG_NORMAL => {
                let moments = moments()?;
                let of = LogNormal::from_mean_cv(moments.mean, moments.deviation / moments.mean);
                Shape::LogNormal(of.map_err(|_| no_mean())?, moments)
            }
            GAMMA => {
                let moments = moments()?;
                if moments.deviation == 0.0 {
                    Shape::Constant(moments.mean)
                } else {
                    let scale = moments.deviation.powi(2) / moments.mean;
                    let of = Gamma::new(moments.mean / scale, scale);
                    Shape::Gamma(of.map_err(|_| no_mean())?, moments)
                }
            }
            _ => {
                let [name] = plain.as_slice() else {
                    return Err(wrong(expected));
                };
                let column = recorded.column(name).ok_or_else(|| {
                    let name = shown(name);
                    let known = recorded.names().map(str::to_owned).collect();
                    DistributionError::NoColumn { name, known }
                })?;
                if column.quantity() != quantity {
                    return Err(DistributionError::WrongColumn(shown(name)));
                }
                Shape::Recorded(Arc::clone(column))
            }
        };
        Ok(Self {
            quantity,
            shape,
            min,
            max,
        })
    }

    /// The same value always.
    #[must_use]
    pub fn constant(value: f64, quantity: Quantity) -> Self {
        Self {
            quantity,
            shape: Shape::Constant(value),
            min: None,
            max: None,
        }
    }

    /// A value: in seconds, or in tokens a second.
    pub fn sample(&self, generator: &mut (impl Rng + ?Sized)) -> f64 {
        let value = match &self.shape {
            Shape::Constant(value) => return *value,
            Shape::Uniform(of, ..) => of.sample(generator),
            Shape::Normal(of) => of.sample(generator),
            Shape::LogNormal(of, _) => of.sample(generator),
            Shape::Gamma(of, _) => of.sample(generator),
            Shape::Recorded(column) => column.sample(generator),
        };
        let (least, most) = self.quantity.range();
        // No number is none that anybody could wait for.
        let value = if value.is_nan() { least } else { value };
        let value = value.max(self.min.unwrap_or(least));
        value.min(self.max.unwrap_or(most)).clamp(least, most)
    }

    /// A time, in whole microseconds.
    pub fn sample_time(&self, generator: &mut (impl Rng + ?Sized)) -> Duration {
        duration(self.sample(generator))
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: f64| self.quantity.text(value);
        let two = |f: &mut fmt::Formatter<'_>, name, mean, deviation| {
            write!(f, "{name}({},{}", text(mean), text(deviation))
        };
        match &self.shape {
            Shape::Constant(value) => return f.write_str(&text(*value)),
            Shape::Uniform(_, from, to) => write!(f, "uniform({}..{}", text(*from), text(*to))?,
            Shape::Normal(of) => two(f, "normal", of.mean(), of.std_dev())?,
            Shape::LogNormal(_, of) => two(f, "lognormal", of.mean, of.deviation)?,
            Shape::Gamma(_, of) => two(f, "gamma", of.mean, of.deviation)?,
            Shape::Recorded(column) => write!(f, "recorded({}", column.name())?,
        }
        for (name, bound) in [("min", self.min), ("max", self.max)] {
            if let Some(bound) = bound {
                write!(f, ",{name}={}", text(bound))?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests;
