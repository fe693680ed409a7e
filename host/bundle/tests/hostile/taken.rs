//! Archives that are unusual and right: what each is, and its bytes.

use belljar_bundle::hostile::{
    Entry, GNU, Tar, begin, good, gzip, manifest, skippable_zstd_frame, zstd,
};

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
    let mut taken = vec![
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
    ];
    taken.extend(pieces(&bytes));
    taken.extend(layouts());
    taken.extend(names());
    taken.extend(records());
    taken.extend(companions());
    taken
}

/// Streams that are compressed in pieces, with frames between them that decoders skip.
fn pieces(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let halves = bytes.split_at(700);
    let skipped = |magic: u8, content: &[u8]| {
        let mut frame = skippable_zstd_frame(content);
        frame[0] = magic;
        frame
    };
    let mut pieces = vec![
        (
            "two gzip members",
            [gzip(halves.0), gzip(halves.1)].concat(),
        ),
        (
            "an empty gzip member at the end, by bgzip",
            [gzip(bytes), gzip(b"")].concat(),
        ),
        (
            "an empty gzip member in front",
            [gzip(b""), gzip(bytes)].concat(),
        ),
        ("two zstd frames", [zstd(halves.0), zstd(halves.1)].concat()),
        (
            "an empty zstd frame at the end",
            [zstd(bytes), zstd(b"")].concat(),
        ),
        (
            "as pzstd writes it, a frame to skip before each of its own",
            [
                skipped(0x50, &[9, 0, 0, 0]),
                zstd(halves.0),
                skipped(0x50, &[9, 0, 0, 0]),
                zstd(halves.1),
            ]
            .concat(),
        ),
        (
            "frames to skip of no length, at both ends",
            [
                skipped(0x5f, b"").repeat(3),
                zstd(bytes),
                skipped(0x51, b"").repeat(3),
            ]
            .concat(),
        ),
        (
            "a long index at the end",
            [zstd(bytes), skipped(0x5e, &[7; 200_000])].concat(),
        ),
    ];
    for magic in 0x50..=0x5f {
        let skip = skipped(magic, b"a mark");
        pieces.push((
            "a frame to skip, in front and at the end",
            [skip.clone(), zstd(bytes), skip].concat(),
        ));
    }
    pieces
}

/// Headers in the layouts of real writers.
fn layouts() -> Vec<(&'static str, Vec<u8>)> {
    const TIMES: &[u8; 24] = b"15302635267 15302635267 ";
    let content = &[("data/w.txt", &b"x"[..])];
    let one = |entry: Entry| begin(WASM, content).entry(entry).end();
    let file = || Entry::file("data/w.txt", *b"x");
    let in_data = || Entry {
        prefix: b"data".to_vec(),
        ..Entry::file("w.txt", *b"x")
    };
    let deep = "p".repeat(130);
    let deep_path = format!("{deep}/w.txt");
    vec![
        ("xustar without a prefix", one(file().patched(476, *TIMES))),
        ("xustar with a prefix", one(in_data().patched(476, *TIMES))),
        ("xstar, with its mark at the end", {
            one(in_data().patched(476, *TIMES).patched(508, *b"tar\0"))
        }),
        ("xustar with the longest prefix", {
            let entry = Entry {
                prefix: deep.into_bytes(),
                ..Entry::file("w.txt", *b"x")
            };
            let tar = begin(WASM, &[(deep_path.as_str(), b"x")]);
            tar.entry(entry.patched(476, *TIMES)).end()
        }),
        (
            "star's times, ended by zeros as Commons Compress writes them",
            one(file()
                .patched(476, *b"15302635267\x0015302635267\0")
                .patched(508, *b"tar\0")),
        ),
        (
            "something left behind the zeros of all texts",
            one(file()
                .patched(20, *b"\0left behind")
                .patched(157, *b"\0a link")
                .patched(265, *b"me\0you")
                .patched(297, *b"us\0them")
                .patched(345, *b"\0a prefix")),
        ),
        ("a header from before ustar", {
            one(Entry {
                magic: [0; 8],
                ..file()
            })
        }),
        ("directories from before ustar, which end with a slash", {
            let old = |name| Entry {
                magic: [0; 8],
                kind: 0,
                ..Entry::file(name, [])
            };
            let tar = begin(WASM, content).entry(old("data/"));
            tar.entry(Entry {
                magic: [0; 8],
                kind: 0,
                ..file()
            })
            .end()
        }),
        ("a magic without a version, by JTar", {
            one(Entry {
                magic: *b"ustar\0\0\0",
                ..file()
            })
        }),
    ]
}

/// What writers put into the header where the real name stands in an extension.
fn names() -> Vec<(&'static str, Vec<u8>)> {
    let pax = |what, header: &[u8], path: &str| {
        let pax = Entry::pax(&[("path", path.as_bytes())]);
        (what, extended(&[pax], header, path))
    };
    let gnu =
        |what, header: &[u8], path: &str| (what, extended(&[Entry::long_name(path)], header, path));
    let long = format!("data/{}.txt", "l".repeat(150));
    // Go ends the field where a slash would be its last byte.
    let slash = format!("{}/w.txt", "g".repeat(99));
    let cut = format!("data/{}", "ü".repeat(60));
    vec![
        pax("the word of tar-stream", b"PaxHeader", "data/ü.txt"),
        pax("a folder of its own", b"PaxHeaders.17/u.txt", "data/ü.txt"),
        gnu("the word of GNU, left as the name", b"././@LongLink", &long),
        gnu("the same for a short name", b"././@LongLink", "data/w.txt"),
        pax(
            "a name cut within a character",
            &cut.as_bytes()[..100],
            &cut,
        ),
        gnu("the same by a GNU long name", &cut.as_bytes()[..98], &cut),
        pax(
            "a short name cut within a character",
            b"data/\xc3",
            "data/ü.txt",
        ),
        pax(
            "a digest",
            b"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4",
            &long,
        ),
        pax("a digest in a folder", b"long/8f434346", "data/w.txt"),
        pax("a name of DOS", b"DATA/W.TXT", "data/w.txt"),
        pax("a numbered name of DOS", b"DATA/LLLLLL~1.TXT", &long),
        pax("a name without its folder", b"w.txt", "data/w.txt"),
        pax(
            "an escape, by Commons Compress",
            b"data/%U00FC.txt",
            "data/ü.txt",
        ),
        pax("nothing", b"", "data/w.txt"),
        pax(
            "a name that Go has cut at a slash",
            &slash.as_bytes()[..99],
            &slash,
        ),
        pax(
            "signs for what is not ASCII, by Python",
            b"data/?.txt",
            "data/ü.txt",
        ),
        ("a GNU long name that ends with several zeros", {
            let mut name = Entry::long_name("data/w.txt");
            name.content.extend([0; 20]);
            extended(&[name], "data/w.txt", "data/w.txt")
        }),
        ("a GNU long name that does not end with a zero", {
            let mut name = Entry::long_name("data/w.txt");
            name.content.pop();
            extended(&[name], "data/w.txt", "data/w.txt")
        }),
        ("the word of tar-stream for a directory", {
            begin(WASM, &[("ü/a", b"x")])
                .entry(Entry::pax(&[("path", "ü/".as_bytes())]))
                .directory("PaxHeader")
                .file("ü/a", *b"x")
                .end()
        }),
    ]
}

/// Pax records that say nothing about what a file is.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    const HARMLESS: &[(&str, &[u8])] = &[
        ("comment", b"00d53b7f220e2c992459bd343019ff2b228d4cd7"),
        ("mtime", b"1700000000"),
        ("atime", b"1700000000.5"),
        ("ctime", b"1"),
        ("uid", b"1000"),
        ("gid", b"1000"),
        ("uname", b"me"),
        ("gname", b"us"),
        ("charset", b"ISO-IR 8859 1 1998"),
        ("hdrcharset", b"BINARY"),
        ("realtime.offset", b"1"),
        ("security.selinux", b"system_u:object_r:x\0"),
        ("SCHILY.dev", b"64"),
        ("LIBARCHIVE.creationtime", b"1"),
        ("RHT.security.selinux", b"x"),
        ("MSWINDOWS.rawsd", b"x"),
        ("ACME.build", b"7"),
    ];
    let utf8 = &[
        ("hdrcharset", &b"ISO-IR 10646 2000 UTF-8"[..]),
        ("path", "ü".as_bytes()),
    ];
    fn global(records: &[(&str, &[u8])]) -> Entry {
        Entry {
            kind: b'g',
            ..Entry::pax(records)
        }
    }
    let bytes = good(WASM, &[("a", b"x")]);
    vec![
        (
            "harmless records of a file",
            extended(&[Entry::pax(HARMLESS)], "a", "a"),
        ),
        (
            "the mark of names in UTF-8",
            extended(&[Entry::pax(utf8)], "ü", "ü"),
        ),
        ("a global header by git archive", {
            let commit = [("comment", &b"00d53b7f220e2c992459bd343019ff2b228d4cd7"[..])];
            Tar::new().entry(global(&commit)).raw(&bytes).cut()
        }),
        ("a global header of all harmless records, compressed", {
            gzip(&Tar::new().entry(global(HARMLESS)).raw(&bytes).cut())
        }),
        ("global headers between files and at the end", {
            begin(WASM, &[("a", b"x")])
                .entry(global(HARMLESS))
                .file("a", *b"x")
                .entry(global(HARMLESS))
                .entry(global(&[]))
                .end()
        }),
        ("a global header between files, a pax header after it", {
            extended(&[global(HARMLESS), Entry::pax(HARMLESS)], "a", "a")
        }),
    ]
}

/// What macOS puts beside files.
fn companions() -> Vec<(&'static str, Vec<u8>)> {
    let content = &[("d/a.bin", &b"x"[..])];
    let double = b"\0\x05\x16\x07 attributes";
    vec![
        ("companions before their files", {
            let tar = Tar::new()
                .file("._model.toml", *double)
                .file("._model.wasm", *double);
            tar.raw(begin(WASM, content).cut())
                .file("d/._a.bin", *double)
                .file("d/a.bin", *b"x")
                .end()
        }),
        ("a folder of companions", {
            begin(WASM, content)
                .file("d/a.bin", *b"x")
                .directory("__MACOSX/")
                .directory("__MACOSX/d/")
                .file("__MACOSX/d/._a.bin", *double)
                .file(".DS_Store", *b"Bud1")
                .end()
        }),
        ("a companion of the folder itself", {
            begin(WASM, content)
                .file("./._.", *double)
                .file("d/a.bin", *b"x")
                .end()
        }),
        (
            "a companion that the manifest names",
            good(WASM, &[("._a", b"x"), ("a", b"y")]),
        ),
    ]
}

fn zstd_frame_with_window_of(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    std::io::copy(&mut &bytes[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}
