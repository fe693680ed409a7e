//! What of a request says who asks: which headers and which parts of a query, and the texts that
//! stand in them.

/// Bytes from which on a text counts as a secret wherever it stands: one of three letters would be
/// found in every answer.
pub const SECRET_BYTES_MIN: usize = 8;

/// Parts of the names of headers that let their bearer in.
const SECRET_HEADER_PARTS: [&str; 7] = [
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "password",
    "secret",
    "signature",
];

/// A header that ends in `-key` and lets nobody in: it says that a request is one asked before.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whether a header of this name, in lower case, lets its bearer in. None such is written down, in
/// a journal or a recording, nor seen by a rule, whatever anyone asks for.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    name.ends_with("token")
        || (name.ends_with("-key") && name != IDEMPOTENCY_KEY)
        || SECRET_HEADER_PARTS.iter().any(|part| name.contains(part))
}

/// Names of what is never kept of a query.
const SECRET_PARAMETERS: [&str; 13] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "code",
    "key",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-signature",
];

/// What of a request nobody may read: its credentials, with and without what says of which kind
/// they are.
#[must_use]
pub fn secrets_of<'r>(
    headers: impl Iterator<Item = (&'r str, &'r str)>,
    query: &str,
) -> Vec<String> {
    let mut secrets = Vec::new();
    for (_, value) in headers.filter(|(name, _)| is_secret_header(name)) {
        secrets.push(value.to_owned());
        let parts = value.split([' ', ';', ',', '=']).map(str::trim);
        secrets.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    for (_, value) in pairs.filter(|(name, _)| is_secret_parameter(name)) {
        secrets.push(value.to_owned());
        secrets.push(percent_decoded(value));
    }
    secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// A query as it is kept and compared: without its secrets, its pairs in order.
pub(crate) fn query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut kept: Vec<&str> = pairs
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !is_secret_parameter(name)
        })
        .collect();
    kept.sort_unstable();
    kept.join("&")
}

fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.contains(&percent_decoded(name).to_ascii_lowercase().as_str())
}

/// Text as it was before it was written with `%`. What cannot be read stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, further)) = rest.split_first() {
        let digits = further
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) if *first == b'%' => {
                bytes.push(byte);
                rest = further.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = further;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::is_secret_header;

    #[test]
    fn what_lets_its_bearer_in_is_secret_by_its_name() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "ocp-apim-subscription-key",
            "signature",
            "signature-input",
            "x-vault-token",
            "x-client-secret",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["idempotency-key", "content-type", "x-request-id", "keyed"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }
}
