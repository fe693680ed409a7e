//! Where an answer is not what it should be.

use std::fmt;

use serde_json::Value;

/// Characters of a text that are shown.
const SHOWN_MAX: usize = 80;
/// Differences of one example that are told.
const DIFFERENCES_MAX: usize = 5;

/// A place of an answer that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    place: String,
    what: String,
}

impl Difference {
    pub(super) fn new(place: &str, what: String) -> Self {
        Self {
            place: place.to_owned(),
            what,
        }
    }

    /// Two texts, from where they begin to differ.
    pub(super) fn of_texts(place: &str, got: &str, wanted: &str) -> Self {
        let same = got
            .char_indices()
            .zip(wanted.chars())
            .find(|((_, a), b)| a != b)
            .map_or(got.len().min(wanted.len()), |((at, _), _)| at);
        let from = got.floor_char_boundary(same.saturating_sub(SHOWN_MAX / 2));
        let rest = |text: &str| shown(text.get(from..).unwrap_or_default());
        let after = if from > 0 {
            format!(" (after {from} bytes that are the same)")
        } else {
            String::new()
        };
        Self::new(
            place,
            format!("is {}, and not {}{after}", rest(got), rest(wanted)),
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.what)
    }
}

/// A text in quotation marks, cut to what fits a line.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{:?} …", text.get(..at).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Compares what came with what was to come. Numbers may be away by the tolerance; of objects only
/// the members that are named count.
pub(super) fn values(
    place: &str,
    got: &Value,
    wanted: &Value,
    tolerance: f64,
    found: &mut Vec<Difference>,
) {
    if found.len() >= DIFFERENCES_MAX {
        return;
    }
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                let place = format!("{place}.{name}");
                match got.get(name) {
                    Some(got) => values(&place, got, wanted, tolerance, found),
                    None => {
                        let names: Vec<&str> = got.keys().map(String::as_str).collect();
                        let is = format!("is not there: there are {}", names.join(", "));
                        found.push(Difference::new(&place, is));
                    }
                }
            }
        }
        (Value::Array(got), Value::Array(wanted)) => {
            if got.len() != wanted.len() {
                let is = format!("has {} elements, and not {}", got.len(), wanted.len());
                found.push(Difference::new(place, is));
                return;
            }
            for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
                values(&format!("{place}[{index}]"), got, wanted, tolerance, found);
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let is_same = a == b
                || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if (a - b).abs() <= tolerance);
            if !is_same {
                let within = if tolerance > 0.0 {
                    format!(" (within {tolerance})")
                } else {
                    String::new()
                };
                found.push(Difference::new(
                    place,
                    format!("is {a}, and not {b}{within}"),
                ));
            }
        }
        (got, wanted) if got == wanted => {}
        (Value::String(got), Value::String(wanted)) => {
            found.push(Difference::of_texts(place, got, wanted));
        }
        (got, wanted) => {
            let (got, wanted) = (shown(&got.to_string()), shown(&wanted.to_string()));
            found.push(Difference::new(
                place,
                format!("is {got}, and not {wanted}"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(got: &Value, wanted: &Value, tolerance: f64) -> Vec<String> {
        let mut found = Vec::new();
        values("output", got, wanted, tolerance, &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_place_that_differs_is_named_up_to_a_few() {
        let got = json!({"a": [1, 2, 3], "b": {"c": "x", "d": null}, "e": 1});
        assert!(told(&got, &json!({"a": [1, 2, 3], "b": {"c": "x"}}), 0.0).is_empty());
        assert_eq!(
            told(
                &got,
                &json!({"a": [1, 2], "b": {"c": "y", "d": 1, "f": 1}}),
                0.0
            ),
            [
                "output.a has 3 elements, and not 2",
                "output.b.c is \"x\", and not \"y\"",
                "output.b.d is \"null\", and not \"1\"",
                "output.b.f is not there: there are c, d",
            ]
        );
        let many = json!(vec![0; 100]);
        assert_eq!(
            told(&many, &json!(vec![1; 100]), 0.5).len(),
            DIFFERENCES_MAX
        );
        assert!(
            told(&json!([1]), &json!([1.0]), 0.0).is_empty(),
            "one number"
        );
    }

    #[test]
    fn long_texts_are_shown_from_where_they_differ() {
        let same = "a".repeat(200);
        let found = Difference::of_texts("text", &format!("{same}b"), &format!("{same}c"));
        let told = found.to_string();
        assert!(
            told.len() < 300 && told.contains("b\"") && told.contains("after 160 bytes"),
            "{told}"
        );
    }
}
