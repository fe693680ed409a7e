//! Who learns of what.

use belljar::auth::Caller;
use belljar::models::{ModelError, UploadRequest};
use belljar_tests::TestBundle;
use tempfile::TempDir;

use crate::kit::{Host, config, id, key};

#[tokio::test]
async fn nobody_learns_of_models_that_are_not_theirs() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("mine", "1.0.0")).await;
    host.push(&TestBundle::echo("theirs", "1.0.0")).await;
    let caller = key(&host.keys, "infer,models:read,models:write", Some("mine")).await;
    let registry = &host.registry;
    assert!(registry.ready("mine", &caller).is_ok());
    let (theirs, name) = (id("theirs@1.0.0"), "theirs".parse().unwrap());
    let unknown = |reference: &str| {
        registry
            .ready(reference, &caller)
            .unwrap_err()
            .to_string()
            .replace(reference, "X")
    };
    assert_eq!(unknown("theirs"), unknown("nobodys"));
    assert_eq!(unknown("theirs@1.0.0"), unknown("nobodys@1.0.0"));
    assert_eq!(unknown("theirs@2.0.0"), unknown("nobodys@1.0.0"));
    for error in [
        registry.model(&name, &caller).unwrap_err(),
        registry.version(&theirs, &caller).unwrap_err(),
        registry.activate(&theirs, &caller).await.unwrap_err(),
        registry.deactivate(&name, &caller).await.unwrap_err(),
        registry.remove_version(&theirs, &caller).await.unwrap_err(),
        registry.remove_model(&name, &caller).await.unwrap_err(),
    ] {
        assert!(matches!(error, ModelError::NotFound { .. }), "{error}");
    }
    let names: Vec<_> = registry
        .list(&caller)
        .into_iter()
        .map(|model| model.name)
        .collect();
    assert_eq!(names, ["mine".parse().unwrap()]);
    let body = std::io::Cursor::new(TestBundle::echo("theirs", "2.0.0").tar());
    let refused = registry
        .upload(
            body,
            UploadRequest {
                caller,
                quota: Default::default(),
                activate: true,
            },
        )
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ModelError::NameNotAllowed { .. }),
        "{refused}"
    );
    // And without the scope nothing is managed, whosever it is.
    let reader = key(&host.keys, "infer,models:read", None).await;
    for caller in [reader, Caller::anonymous()] {
        let refused = registry.remove_version(&theirs, &caller).await.unwrap_err();
        assert!(matches!(refused, ModelError::Denied(_)), "{refused}");
        let body = std::io::Cursor::new(TestBundle::echo("x", "1.0.0").tar());
        let refused = registry
            .upload(
                body,
                UploadRequest {
                    caller,
                    quota: Default::default(),
                    activate: true,
                },
            )
            .await
            .unwrap_err();
        assert!(matches!(refused, ModelError::Denied(_)), "{refused}");
    }
    assert!(registry.ready("theirs", &Caller::anonymous()).is_ok());
}

#[tokio::test]
async fn odd_references_are_not_found() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    let long = "x".repeat(100_000);
    for reference in [
        "", "@", "m@", "@1.0.0", "m@1", "m@1.0.0@", "M", "../m", "m\0", "m@9.9.9", &long,
    ] {
        let error = host.ready(reference).unwrap_err();
        assert!(
            matches!(error, ModelError::NotFound { .. }),
            "{reference:?}: {error}"
        );
        assert!(error.to_string().len() < 1_000);
    }
}

#[test]
fn what_only_the_host_may_know_is_not_told() {
    let error = ModelError::Host {
        detail: "/secret/path".to_owned(),
    };
    assert!(error.is_host_fault());
    assert!(!error.to_string().contains("secret"));
}
