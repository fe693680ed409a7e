//! Writes the pages of `docs/` that are made from tables in the code.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::write(docs.join("audit-events.md"), belljar::audit::reference())?;
    std::fs::write(docs.join("faults.md"), belljar::testing::faults_page())?;
    std::fs::write(docs.join("fsck.md"), belljar::fsck::reference())?;
    std::fs::write(
        docs.join("model-toml.md"),
        belljar::config::manifest_reference(),
    )?;
    std::fs::write(
        docs.join("rules.md"),
        belljar_testing::rules::rules_reference(),
    )?;
    std::fs::write(
        docs.join("metrics.md"),
        belljar::telemetry::metrics::reference(),
    )
}
