//! The model that a request names, for whoever looks at it before its handler.

use serde::Deserialize;
use std::borrow::Cow;

/// How the path of a request begins that names its model there, as Azure's clients have it.
const DEPLOYMENTS: &str = "/openai/deployments/";

/// The one member of a body that says which model is meant.
#[derive(Deserialize)]
struct Named<'b> {
    #[serde(borrow)]
    model: Option<Cow<'b, str>>,
}

/// The name of the model that a request asks for: that of its path, else that of its body, where
/// that is JSON and names one.
pub(super) fn asked_model<'r>(path: &'r str, body: &'r [u8]) -> Option<Cow<'r, str>> {
    let in_path = path.strip_prefix(DEPLOYMENTS);
    let in_path = in_path.and_then(|rest| rest.split('/').next());
    let in_body = || serde_json::from_slice::<Named<'_>>(body).ok()?.model;
    in_path.map(Cow::Borrowed).or_else(in_body)
}

#[cfg(test)]
mod tests {
    use super::asked_model;

    #[test]
    fn a_path_comes_before_a_body() {
        for (path, body, expected) in [
            ("/v1/chat/completions", r#"{"model":"a"}"#, Some("a")),
            ("/v1/chat/completions", r#"{"model":"\u0061b"}"#, Some("ab")),
            ("/v1/chat/completions", r#"{"other":1}"#, None),
            ("/v1/chat/completions", r#"{"model":1}"#, None),
            ("/v1/chat/completions", "no JSON", None),
            (
                "/openai/deployments/d/chat/completions",
                r#"{"model":"a"}"#,
                Some("d"),
            ),
            ("/openai/deployments/d", "", Some("d")),
        ] {
            let asked = asked_model(path, body.as_bytes());
            assert_eq!(asked.as_deref(), expected, "{path} {body}");
        }
    }
}
