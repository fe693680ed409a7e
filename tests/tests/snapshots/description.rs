//! The description of the HTTP API.

use belljar_tests::TestHost;

use crate::expect;

#[tokio::test]
async fn the_openapi_document() {
    let host = TestHost::start().await;
    let answer = host.anonymous().get("/openapi.json").await;
    let document = answer.expect_status(200).json();
    expect("openapi", &serde_json::to_string_pretty(&document).unwrap());
}
