//! Programs that others have written speak to the server.

use belljar_tests::TestHost;

use crate::kit::{Authority, Folder, TlsHost, has, run, s_client};

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
            let more = ["-verify_hostname", "localhost", version];
            let alpn = ["-alpn", "h2,http/1.1"];
            let arguments = [&s_client(&at, &trusted)[..], &more, &alpn].concat();
            let (_, said) = run("openssl", &arguments).await;
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

/// A certificate that is over, one for another name, and one of a stranger are believed by nobody.
#[tokio::test]
async fn certificates_that_are_not_good_are_refused_by_openssl_curl_and_python() {
    let (authority, stranger) = (Authority::new("the test"), Authority::new("a stranger"));
    let folder = Folder::new();
    let trusted = folder.write("authority.pem", &authority.pem());
    let over = authority.issue_with(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    for (why, issued) in [
        ("expired", over),
        ("wrong host", authority.issue(&["elsewhere.example"])),
        ("unknown authority", stranger.issue(&["localhost"])),
    ] {
        let files = folder.certificate("server", &issued);
        let settings = files.each_ref().map(|(key, value)| (*key, value.as_str()));
        let host = TestHost::start_with(&settings).await;
        let port = host.address().port();
        let at = format!("127.0.0.1:{port}");
        let url = format!("https://localhost:{port}/health/live");
        if has("openssl") {
            let more = ["-verify_hostname", "localhost"];
            let arguments = [&s_client(&at, &trusted)[..], &more].concat();
            let (went_well, said) = run("openssl", &arguments).await;
            assert!(!went_well, "{why}: {said}");
            assert!(
                !said.contains("Verify return code: 0 (ok)"),
                "{why}: {said}"
            );
        }
        if has("curl") {
            let resolve = format!("localhost:{port}:127.0.0.1");
            let arguments = ["-sS", "--cacert", &trusted, "--resolve", &resolve, &url];
            let (went_well, said) = run("curl", &arguments).await;
            assert!(!went_well && said.contains("curl: (60)"), "{why}: {said}");
        }
        if has("python3") {
            let script = "import socket, ssl, sys\n\
                context = ssl.create_default_context(cafile=sys.argv[1])\n\
                plain = socket.create_connection(('127.0.0.1', int(sys.argv[2])), timeout=20)\n\
                try:\n    context.wrap_socket(plain, server_hostname='localhost')\n\
                except ssl.SSLCertVerificationError as error:\n    print('refused', error.verify_code)";
            let arguments = ["-c", script, &trusted, &port.to_string()];
            let (_, said) = run("python3", &arguments).await;
            assert!(said.starts_with("refused"), "{why}: {said}");
        }
    }
}
