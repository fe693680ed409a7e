//! Builds archives to upload. Written apart from the packer of the product, so that the two
//! check each other, and so that a test can build what the packer would refuse to.

use belljar_bundle::Digest;

/// An archive in the making.
#[derive(Clone, Debug)]
pub struct TestBundle {
    id: String,
    manifest: String,
    files: Vec<(String, Vec<u8>)>,
    assets: String,
}

impl TestBundle {
    /// A bundle of one component.
    #[must_use]
    pub fn new(name: &str, version: &str, component: &[u8]) -> Self {
        let manifest = format!(
            "schema = 1\nname = \"{name}\"\nversion = \"{version}\"\ncomponent = \"model.wasm\"\n"
        );
        Self {
            id: format!("{name}@{version}"),
            manifest,
            files: vec![("model.wasm".to_owned(), component.to_vec())],
            assets: String::new(),
        }
    }

    /// A bundle of the embedded `echo` under another name.
    #[must_use]
    pub fn echo(name: &str, version: &str) -> Self {
        Self::new(name, version, belljar::embedded::ECHO_COMPONENT)
    }

    /// A bundle of a recording, whose file has these lines behind its first.
    #[must_use]
    pub fn recording(name: &str, version: &str, exchanges: &[serde_json::Value]) -> Self {
        let mut text = String::from("{\"recording\":1,\"ignored\":[\"$.user\"]}\n");
        for exchange in exchanges {
            text.push_str(&format!("{exchange}\n"));
        }
        Self {
            id: format!("{name}@{version}"),
            manifest: format!(
                "schema = 1\nname = \"{name}\"\nversion = \"{version}\"\nrecording = \
                 \"exchanges.jsonl\"\n"
            ),
            files: vec![("exchanges.jsonl".to_owned(), text.into_bytes())],
            assets: String::new(),
        }
    }

    /// A bundle of a guest that misbehaves (see `guest-models/hostile`), version 1.0.0, under
    /// the guest's own name.
    ///
    /// # Panics
    ///
    /// When there is no such guest.
    #[must_use]
    pub fn hostile(guest: &str) -> Self {
        Self::new(guest, "1.0.0", &belljar_test_guests::bytes(guest))
    }

    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A line for the top of the manifest, for example `license = "MIT"`.
    #[must_use]
    pub fn with_line(mut self, line: &str) -> Self {
        self.manifest.push_str(line);
        self.manifest.push('\n');
        self
    }

    /// What the manifest asks for: the lines of its `[limits]`.
    #[must_use]
    pub fn with_limits(mut self, lines: &str) -> Self {
        self.assets.insert_str(0, &format!("[limits]\n{lines}\n"));
        self
    }

    /// One more file, named in `[assets]`.
    #[must_use]
    pub fn with_asset(mut self, name: &str, content: &[u8]) -> Self {
        if !self.assets.contains("[assets]") {
            self.assets.push_str("[assets]\n");
        }
        self.assets
            .push_str(&format!("\"{name}\" = \"{}\"\n", Digest::of(content)));
        self.files.push((name.to_owned(), content.to_vec()));
        self
    }

    /// The archive, not compressed.
    ///
    /// # Panics
    ///
    /// When a name does not fit into a tar header.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        let payload = self.files.first();
        let payload = payload
            .map(|(name, content)| format!("\"{name}\" = \"{}\"", Digest::of(content)))
            .unwrap_or_default();
        let Self {
            manifest, assets, ..
        } = self;
        let manifest = format!("{manifest}{assets}[digests]\n{payload}\n");
        let mut archive = tar::Builder::new(Vec::new());
        let first = ("model.toml".to_owned(), manifest.into_bytes());
        for (name, content) in std::iter::once(&first).chain(&self.files) {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, name, content.as_slice())
                .expect("a test names its files so that they fit a header");
        }
        archive
            .into_inner()
            .expect("writing to memory does not fail")
    }
}
