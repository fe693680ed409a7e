//! Archives that are unusual and right: what each is, and its bytes.

use belljar_bundle::hostile::{Entry, GNU, Tar, begin, good, gzip, manifest, zstd};

use crate::{WASM, extended};

pub(crate) fn taken() -> Vec<(&'static str, Vec<u8>)> {
    let content = &[("d/a.bin", &b"x"[..])];
    let long = format!("d/{}", "x".repeat(150));
    let bytes = good(WASM, content);
    let text = manifest(WASM, content, "");
    let dotted = Tar::new()
        .directory("./")
        .directory("./d/")
        .file("./d/a.bin", *b"x")
        .file("./model.wasm", WASM)
        .file("./model.toml", text.as_str());
    let times: &[(&str, &[u8])] = &[
        ("mtime", b"1700000000.123456789"),
        ("atime", b"1.5"),
        ("ctime", b"1.5"),
        ("uname", "jürgen".as_bytes()),
        ("LIBARCHIVE.creationtime", b"1"),
        ("LIBARCHIVE.xattr.user.mime", b"dGV4dA=="),
        ("SCHILY.dev", b"64"),
        ("SCHILY.ino", b"5"),
        ("comment", b"any\nbytes \xff\0"),
    ];
    vec![
        ("plain", bytes.clone()),
        ("gzip", gzip(&bytes)),
        ("zstd", zstd(&bytes)),
        (
            "zstd with a window of 8 MiB",
            zstd_frame_with_window_of(&bytes, 23),
        ),
        ("as GNU tar c . writes it, the manifest last", dotted.end()),
        ("padded to a record of 10 KiB", {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().next_multiple_of(10_240), 0);
            bytes
        }),
        ("old-style file types", {
            begin(WASM, content)
                .entry(Entry {
                    kind: 0,
                    ..Entry::file("d/a.bin", *b"x")
                })
                .end()
        }),
        ("GNU headers with times where ustar has a prefix", {
            let entry = Entry {
                magic: GNU,
                ..Entry::file("d/a.bin", *b"x")
            };
            begin(WASM, content)
                .entry(entry.patched(345, *b"14000000000\x0014000000000\0"))
                .end()
        }),
        ("a binary size", {
            let size = Some(b"\x80\0\0\0\0\0\0\0\0\0\0\x01".to_vec());
            begin(WASM, content)
                .entry(Entry {
                    size,
                    ..Entry::file("d/a.bin", *b"x")
                })
                .end()
        }),
        ("a size with spaces", {
            let size = Some(b"         1 \0".to_vec());
            begin(WASM, content)
                .entry(Entry {
                    size,
                    ..Entry::file("d/a.bin", *b"x")
                })
                .end()
        }),
        ("a ustar prefix", {
            let entry = Entry {
                prefix: b"d".to_vec(),
                ..Entry::file("a.bin", *b"x")
            };
            begin(WASM, content).entry(entry).end()
        }),
        (
            "times, owners and attributes in pax",
            extended(&[Entry::pax(times)], "a", "a"),
        ),
        ("a pax header for a directory", {
            begin(WASM, content)
                .entry(Entry::pax(&[("mtime", b"1.5")]))
                .directory("d/")
                .file("d/a.bin", *b"x")
                .end()
        }),
        ("a pax path and size that agree", {
            extended(&[Entry::pax(&[("path", b"a"), ("size", b"1")])], "a", "a")
        }),
        (
            "a long name by GNU tar",
            extended(&[Entry::long_name(&long)], &long[..100], &long),
        ),
        ("a long name by GNU tar --format=pax", {
            extended(
                &[Entry::pax(&[("path", long.as_bytes())])],
                &long[..100],
                &long,
            )
        }),
        ("a long name by bsdtar, one byte shorter", {
            extended(
                &[Entry::pax(&[("path", long.as_bytes())])],
                &long[..99],
                &long,
            )
        }),
        ("a deep name by bsdtar, without its middle", {
            let path = format!("{}/{}/a.bin", "d".repeat(80), "e".repeat(80));
            let short = format!("{}/a.bin", "d".repeat(80));
            extended(&[Entry::pax(&[("path", path.as_bytes())])], &short, &path)
        }),
        ("both kinds of long name", {
            let pax = Entry::pax(&[("path", long.as_bytes())]);
            extended(&[pax, Entry::long_name(&long)], &long[..100], &long)
        }),
        (
            "a name in UTF-8 in the header alone",
            extended(&[], "naïve/日本", "naïve/日本"),
        ),
        ("a name by Python's tarfile", {
            extended(
                &[Entry::pax(&[("path", "naïve".as_bytes())])],
                "na?ve",
                "naïve",
            )
        }),
        ("a name by Go's archive/tar", {
            extended(
                &[Entry::pax(&[("path", "naïve".as_bytes())])],
                "nave",
                "naïve",
            )
        }),
        (
            "an empty file",
            begin(WASM, &[("e", b"")]).file("e", []).end(),
        ),
        (
            "a file of exactly one block",
            begin(WASM, &[("e", &[7; 512])]).file("e", [7; 512]).end(),
        ),
        ("setuid and owners, which are ignored", {
            let entry = Entry::file("d/a.bin", *b"x").patched(100, *b"0006777\x000000000\0");
            begin(WASM, content).entry(entry).end()
        }),
    ]
}

fn zstd_frame_with_window_of(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    std::io::copy(&mut &bytes[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}
