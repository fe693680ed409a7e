//! Programs that others have written speak to the server.

use crate::kit::{TlsHost, has, run};

/// The same request by each, with what says that it went well.
#[tokio::test]
async fn openssl_curl_and_python_get_their_answers() {
    let host = TlsHost::start(&[]).await;
    let trusted = host.folder.write("authority.pem", &host.authority.pem());
    let (url, port) = (host.url("/v1/models"), host.address().port());
    let at = format!("127.0.0.1:{port}");
    let resolve = format!("localhost:{port}:127.0.0.1");
    if has("openssl") {
        for version in ["-tls1_2", "-tls1_3"] {
            let (_, said) = run(
                "openssl",
                &[
                    "s_client",
                    "-connect",
                    &at,
                    "-servername",
                    "localhost",
                    "-CAfile",
                    &trusted,
                    "-verify_return_error",
                    "-verify_hostname",
                    "localhost",
                    version,
                    "-alpn",
                    "h2,http/1.1",
                ],
            )
            .await;
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
            assert!(said.contains("ALPN protocol: h2"), "{said}");
        }
        let old = [
            "s_client",
            "-connect",
            &at,
            "-tls1_1",
            "-cipher",
            "ALL:@SECLEVEL=0",
        ];
        assert!(!run("openssl", &old).await.0, "1.1 is not spoken");
    }
    if has("curl") {
        for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let arguments = [
                "-sS",
                flag,
                "--cacert",
                &trusted,
                "--resolve",
                &resolve,
                "-o",
                "/dev/null",
                "-w",
                "%{http_version} %{http_code}",
                &url,
            ];
            let (_, said) = run("curl", &arguments).await;
            assert_eq!(said, format!("{version} 200"));
        }
        let wrong = [
            "-sS",
            "--cacert",
            &trusted,
            &format!("https://{at}/v1/models"),
        ];
        let (went_well, said) = run("curl", &wrong).await;
        assert!(!went_well, "the certificate is for another name: {said}");
    }
    if has("python3") {
        let script = "import ssl, sys, urllib.request as r\n\
            context = ssl.create_default_context(cafile=sys.argv[1])\n\
            print(r.urlopen(sys.argv[2], context=context, timeout=20).status)";
        let (_, said) = run("python3", &["-c", script, &trusted, &url]).await;
        assert_eq!(said.trim(), "200");
    }
}
