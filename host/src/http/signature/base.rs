//! The bytes that a signature is over.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Method, Uri};

use super::SignatureFault;

/// What of a request can be signed.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) method: &'a Method,
    /// In lower case.
    pub(crate) scheme: &'a str,
    /// The host and its port, as the client names them.
    pub(crate) authority: Cow<'a, str>,
    /// As it was sent.
    pub(crate) target: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

impl Message<'_> {
    /// The signature base (RFC 9421, section 2.5) of components and of the parameters behind them.
    pub(crate) fn base<S: AsRef<str>>(
        &self,
        components: &[S],
        params: &str,
    ) -> Result<Vec<u8>, SignatureFault> {
        let mut base = Vec::with_capacity(USUAL_BYTES);
        for component in components {
            let component = component.as_ref();
            base.push(b'"');
            base.extend_from_slice(component.as_bytes());
            base.extend_from_slice(b"\": ");
            self.write(component, &mut base)?;
            base.push(b'\n');
        }
        base.extend_from_slice(b"\"@signature-params\": ");
        base.extend_from_slice(params.as_bytes());
        Ok(base)
    }

    /// Writes the value of one component.
    fn write(&self, component: &str, base: &mut Vec<u8>) -> Result<(), SignatureFault> {
        let path = || match self.target.path() {
            "" => "/",
            path => path,
        };
        let target = || {
            let target = self.target.path_and_query();
            match target.map_or("/", |target| target.as_str()) {
                "" => Cow::Borrowed("/"),
                query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
                target => Cow::Borrowed(target),
            }
        };
        let mut put = |text: &str| base.extend_from_slice(text.as_bytes());
        match component {
            "@method" => put(self.method.as_str()),
            "@scheme" => put(self.scheme),
            "@authority" => put(&self.normal_authority()),
            "@path" => put(path()),
            "@query" => {
                put("?");
                put(self.target.query().unwrap_or_default());
            }
            "@request-target" => put(&target()),
            "@target-uri" => {
                put(self.scheme);
                put("://");
                put(&self.normal_authority());
                put(&target());
            }
            name => return self.write_header(name, base),
        }
        Ok(())
    }

    /// The values of all lines of a header, without the blanks around them (section 2.1).
    fn write_header(&self, name: &str, base: &mut Vec<u8>) -> Result<(), SignatureFault> {
        let header = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .filter(|header| header.as_str() == name)
            .ok_or(SignatureFault::Component)?;
        let mut lines = self.headers.get_all(&header).iter();
        let Some(first) = lines.next() else {
            return Err(SignatureFault::Absent(header));
        };
        base.extend_from_slice(first.as_bytes().trim_ascii());
        for line in lines {
            base.extend_from_slice(b", ");
            base.extend_from_slice(line.as_bytes().trim_ascii());
        }
        Ok(())
    }

    /// The authority in lower case, without the port that is the scheme's own (section 2.2.3).
    fn normal_authority(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let usual_port = if self.scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        match authority.strip_suffix(usual_port) {
            // The end of an address of IPv6 is no port.
            Some(host) if !host.contains(':') || host.ends_with(']') => host.to_owned(),
            _ => authority,
        }
    }
}

/// Room for the base of a usual request, in bytes.
const USUAL_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(scheme: &str, authority: &str, target: &str, component: &str, expect: &str) {
        let target = target.parse().unwrap();
        let message = Message {
            method: &Method::POST,
            scheme,
            authority: authority.into(),
            target: &target,
            headers: &HeaderMap::new(),
        };
        let base = message.base(&[component], "()").unwrap();
        let line = format!("\"{component}\": {expect}\n\"@signature-params\": ()");
        assert_eq!(String::from_utf8(base).unwrap(), line);
    }

    /// The examples of RFC 9421, section 2.2.
    #[test]
    fn derived_components_are_those_of_the_standard() {
        let www = "www.example.com";
        let with_query = "/path?param=value";
        check("https", www, with_query, "@method", "POST");
        check("https", www, with_query, "@authority", "www.example.com");
        check("https", www, with_query, "@scheme", "https");
        check("https", www, with_query, "@request-target", with_query);
        check("https", www, with_query, "@path", "/path");
        let whole = "https://www.example.com/path?param=value";
        check("https", www, with_query, "@target-uri", whole);
        check("https", www, whole, "@target-uri", whole);
        let query = "/path?param=value&foo=bar&baz=bat%2Dman";
        let expect = "?param=value&foo=bar&baz=bat%2Dman";
        check("https", www, query, "@query", expect);
        check("https", www, "/path?queryString", "@query", "?queryString");
        check("https", www, "/path", "@query", "?");
        check("https", www, "https://www.example.com", "@path", "/");
        check(
            "https",
            www,
            "https://www.example.com?a",
            "@request-target",
            "/?a",
        );
    }

    #[test]
    fn an_authority_is_in_lower_case_and_has_no_usual_port() {
        for (scheme, authority, expect) in [
            ("https", "WWW.Example.com:443", "www.example.com"),
            ("https", "www.example.com:80", "www.example.com:80"),
            ("http", "www.example.com:80", "www.example.com"),
            ("http", "[::1]:80", "[::1]"),
            ("http", "[::80]", "[::80]"),
        ] {
            check(scheme, authority, "/", "@authority", expect);
        }
    }

    #[test]
    fn a_header_is_all_of_its_lines() {
        let mut headers = HeaderMap::new();
        for value in ["  a ", "b", ""] {
            headers.append("x-list", HeaderValue::from_static(value));
        }
        let message = Message {
            method: &Method::GET,
            scheme: "http",
            authority: "h".into(),
            target: &Uri::from_static("/"),
            headers: &headers,
        };
        let base = message.base(&["x-list"], "()").unwrap();
        assert!(base.starts_with(b"\"x-list\": a, b, \n"));
        let absent = message.base(&["x-none"], "()").unwrap_err();
        assert!(matches!(absent, SignatureFault::Absent(_)));
        for name in ["X-List", "@unknown", "@status", "x list", ""] {
            assert_eq!(message.base(&[name], "()"), Err(SignatureFault::Component));
        }
    }
}
