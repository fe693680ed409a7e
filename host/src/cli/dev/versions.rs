//! The versions under which the states of a project are tried: pre-releases of the one that it says,
//! so that none of them takes the place of a release.

use anyhow::{Context as _, Result};
use belljar_bundle::ModelVersion;

/// The identifier before the number.
const MARK: &str = "dev";

/// The pre-release of that number: `1.0.0-dev.3` of `1.0.0`, `1.0.0-rc.1.dev.3` of `1.0.0-rc.1`.
pub(super) fn numbered(version: &ModelVersion, number: u64) -> Result<ModelVersion> {
    let version = version.as_semver();
    let core = format!("{}.{}.{}", version.major, version.minor, version.patch);
    let before = match version.pre.is_empty() {
        true => String::new(),
        false => format!("{}.", version.pre),
    };
    let build = match version.build.is_empty() {
        true => String::new(),
        false => format!("+{}", version.build),
    };
    let text = format!("{core}-{before}{MARK}.{number}{build}");
    text.parse()
        .with_context(|| format!("{text} is no version: shorten the one in model.toml"))
}

/// The number of a pre-release that was made of this version; none for any other.
pub(super) fn number(of: &ModelVersion, version: &str) -> Option<u64> {
    let version: ModelVersion = version.parse().ok()?;
    let (_, digits) = version.as_semver().pre.rsplit_once('.')?;
    let number = digits.parse().ok()?;
    (numbered(of, number).ok()? == version).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn numbers_are_found_again_and_in_no_version_of_somebody_elses() {
        for (version, third) in [
            ("1.0.0", "1.0.0-dev.3"),
            ("1.0.0-rc.1", "1.0.0-rc.1.dev.3"),
            ("1.0.0+x", "1.0.0-dev.3+x"),
            ("0.1.0-rc.1+x.y", "0.1.0-rc.1.dev.3+x.y"),
        ] {
            let version = version.parse().unwrap();
            assert_eq!(numbered(&version, 3).unwrap().to_string(), third);
            assert_eq!(number(&version, third), Some(3));
            // It comes before the release that it leads to.
            let earlier: ModelVersion = third.parse().unwrap();
            let release: ModelVersion = version
                .to_string()
                .split(['-', '+'])
                .next()
                .unwrap()
                .parse()
                .unwrap();
            assert!(earlier < release);
        }
        let version = "1.0.0".parse().unwrap();
        for other in [
            "1.0.0",
            "1.0.0-dev",
            "1.0.0-dev.x",
            "1.0.0-dev.3.4",
            "1.0.1-dev.3",
            "1.0.0-rc.3",
            "1.0.0-rc.1.dev.3",
            "1.0.0-dev.3+x",
            "1.0.0-dev.03",
            "no version",
        ] {
            assert_eq!(number(&version, other), None, "{other}");
        }
        let long: ModelVersion = format!("1.0.0-{}", "x".repeat(58)).parse().unwrap();
        assert!(numbered(&long, 1).is_err());
    }
}
