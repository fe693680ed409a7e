//! Archives that must be refused: what each is, the code of its refusal, and its bytes.

use belljar_bundle::hostile::{
    Entry, GNU, Tar, begin, good, gzip, manifest, record, skippable_zstd_frame, zstd,
    zstd_frame_with_window,
};

use crate::{WASM, extended};

// One row a line or two, so that the table can be read as one.
#[rustfmt::skip]
pub(crate) fn refused() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let long = format!("d/{}", "x".repeat(150));
    let long_header = long[..100].to_owned();
    vec![
        // The stream.
        ("nothing at all", "archive_empty", vec![]),
        ("a zip", "format_refused", b"PK\x03\x04 and so on".to_vec()),
        ("an xz", "format_refused", b"\xfd7zXZ\0 and so on".to_vec()),
        ("a bzip2", "format_refused", b"BZh91AY&SY".to_vec()),
        ("bare wasm", "format_refused", WASM.to_vec()),
        ("a pickle", "format_refused", b"\x80\x04\x95....".to_vec()),
        ("a multipart body", "format_refused", b"--boundary\r\n".to_vec()),
        ("text", "archive_truncated", b"hello".to_vec()),
        ("a page of text", "header_field", vec![b'x'; 2048]),
        ("a cut gzip", "archive_truncated", cut(gzip(&good(WASM, &[])), 100)),
        ("a cut zstd", "archive_truncated", cut(zstd(&good(WASM, &[])), 100)),
        ("a gzip with a wrong checksum", "decode_failed", {
            let bytes = gzip(&good(WASM, &[]));
            let at = bytes.len() - 6;
            with_changed(bytes, at)
        }),
        ("a zstd with a wrong checksum", "decode_failed", {
            let bytes = checksummed_zstd(&good(WASM, &[]));
            let at = bytes.len() - 1;
            with_changed(bytes, at)
        }),
        ("a zstd of a dictionary", "decode_failed",
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 0x07][..], &[0x01, 0, 0]].concat()),
        ("a zstd with a block of a reserved type", "decode_failed",
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00][..], &[0x07, 0, 0]].concat()),
        ("bytes after a gzip", "compressed_trailing", [gzip(&good(WASM, &[])), b"x".to_vec()].concat()),
        ("zeros after a gzip", "compressed_trailing", [gzip(&good(WASM, &[])), vec![0; 512]].concat()),
        ("bytes after a zstd", "compressed_trailing", [zstd(&good(WASM, &[])), b"x".to_vec()].concat()),
        ("a second archive in a second gzip member", "trailing_garbage",
            [gzip(&good(WASM, &[])), gzip(&good(WASM, &[]))].concat()),
        ("text in a second gzip member", "trailing_garbage", [gzip(&good(WASM, &[])), gzip(b"more")].concat()),
        ("bytes after the second gzip member", "compressed_trailing",
            [gzip(&good(WASM, &[])), gzip(b""), b"x".to_vec()].concat()),
        ("thousands of empty gzip members", "several_streams",
            [gzip(&good(WASM, &[])), gzip(b"").repeat(5000)].concat()),
        ("a gzip member for each byte", "several_streams",
            good(WASM, &[]).chunks(1).flat_map(gzip).collect()),
        ("a second archive in a second zstd frame", "trailing_garbage",
            [zstd(&good(WASM, &[])), zstd(&good(WASM, &[]))].concat()),
        ("thousands of empty zstd frames", "several_streams",
            [zstd(&good(WASM, &[])), zstd(b"").repeat(5000)].concat()),
        ("a skippable frame longer than the stream", "archive_truncated",
            [zstd(&good(WASM, &[])), cut(skippable_zstd_frame(b"index"), 10)].concat()),
        ("a skippable frame in front longer than the stream", "archive_truncated",
            cut(skippable_zstd_frame(&[0; 900]), 500)),
        ("a cut header of a skippable frame", "archive_truncated",
            [zstd(&good(WASM, &[])), cut(skippable_zstd_frame(b""), 6)].concat()),
        ("skippable frames alone", "archive_empty", skippable_zstd_frame(b"index").repeat(3)),
        ("a skippable frame before a plain tar", "compressed_trailing",
            [skippable_zstd_frame(b"index"), good(WASM, &[])].concat()),
        ("a cut second zstd frame", "archive_truncated",
            [zstd(&good(WASM, &[])), cut(zstd(&[0; 512]), 9)].concat()),
        ("text in a second zstd frame", "trailing_garbage", [zstd(&good(WASM, &[])), zstd(b"more")].concat()),
        ("a gzip in a gzip", "archive_truncated", gzip(&gzip(b"x"))),
        ("a zstd window of 16 MiB", "window_too_large", zstd_frame_with_window(24)),
        ("a zstd window of 2 GiB", "window_too_large", zstd_frame_with_window(31)),
        ("a gzip bomb", "ratio_too_high", gzip(&good(WASM, &[("a", &[0; 1_900_000])]))),
        ("a zstd bomb", "ratio_too_high", zstd(&good(WASM, &[("a", &[0; 1_900_000])]))),
        ("much padding behind the end marker", "padding_too_long",
            [good(WASM, &[]), vec![0; (256 << 10) + 512]].concat()),
        ("a bomb behind the end marker", "padding_too_long",
            zstd(&[good(WASM, &[]), vec![0; 100 << 20]].concat())),
        ("a bomb of headers", "ratio_too_high", gzip(&many_pax_headers(25))),
        ("too many bytes as sent", "compressed_too_large", good(WASM, &[("a", &noise(1_100_000))])),
        ("too many bytes as sent, compressed", "compressed_too_large",
            gzip(&good(WASM, &[("a", &noise(1_100_000))]))),
        // The end.
        ("no end marker", "end_marker_missing", begin(WASM, &[]).cut()),
        ("half an end marker", "end_marker_missing", begin(WASM, &[]).raw([0; 512]).cut()),
        ("one and a half zero blocks", "end_marker_missing", begin(WASM, &[]).raw([0; 800]).cut()),
        ("a lone zero block", "lone_zero_block",
            begin(WASM, &[]).raw([0; 512]).file("a", *b"x").end()),
        ("text after the end", "trailing_garbage", [good(WASM, &[]), b"x".to_vec()].concat()),
        ("a second archive after the end", "trailing_garbage",
            [good(WASM, &[]), good(WASM, &[])].concat()),
        ("text after much padding", "trailing_garbage",
            [good(WASM, &[]), vec![0; 10_000], b"x".to_vec()].concat()),
        // Headers.
        ("a cut header", "archive_truncated", cut(good(WASM, &[]), 300)),
        ("cut content", "archive_truncated", cut(good(WASM, &[]), 700)),
        ("cut padding", "archive_truncated", cut(good(WASM, &[]), 1000)),
        ("a wrong checksum", "header_checksum",
            extra(Entry { checksum_error: 1, ..Entry::file("a", *b"x") })),
        ("a checksum of letters", "header_field", extra(Entry::file("a", *b"x").patched(148, *b"zzzzzz\0 "))),
        ("an unknown magic", "header_unknown",
            extra(Entry { magic: *b"custar00", ..Entry::file("a", *b"x") })),
        ("a ustar of another version", "header_unknown",
            extra(Entry { magic: *b"ustar\x0099", ..Entry::file("a", *b"x") })),
        ("a size of letters", "header_field",
            extra(Entry { size: Some(b"zzzzzzzzzzz\0".to_vec()), ..Entry::file("a", *b"x") })),
        ("an empty size", "header_field",
            extra(Entry { size: Some(vec![0; 12]), ..Entry::file("a", *b"x") })),
        ("a negative size", "header_field",
            extra(Entry { size: Some(vec![0xff; 12]), ..Entry::file("a", *b"x") })),
        ("a size with a sign", "header_field",
            extra(Entry { size: Some(b"-0000000001\0".to_vec()), ..Entry::file("a", *b"x") })),
        ("a size of 2^64", "header_field",
            extra(Entry { size: Some(b"\x80\0\0\x01\0\0\0\0\0\0\0\0".to_vec()), ..Entry::file("a", *b"x") })),
        ("a size of 2^63", "entry_too_large",
            asset(Entry { size: Some(b"\x80\0\0\0\x80\0\0\0\0\0\0\0".to_vec()), ..Entry::file("a", *b"x") })),
        ("the largest octal size", "entry_too_large", asset(Entry::file("a", *b"x").sized(0o77_777_777_777))),
        ("a file over its cap", "entry_too_large", asset(Entry::file("a", *b"x").sized((2 << 20) + 1))),
        ("a size larger than the content", "digest_mismatch",
            asset(Entry::file("a", [b'x'; 100]).sized(600))),
        ("a size smaller than the content", "padding_not_zero",
            asset(Entry::file("a", [b'x'; 600]).sized(10))),
        ("padding that is not zero", "padding_not_zero",
            asset(Entry { padding: 1, ..Entry::file("a", *b"x") })),
        ("padding after the component that is not zero", "padding_not_zero",
            Tar::new().file("model.toml", manifest(WASM, &[], ""))
                .entry(Entry { padding: 7, ..Entry::file("model.wasm", WASM) }).end()),
        ("a file size in a directory", "directory_with_content",
            extra(Entry { content: b"hidden".to_vec(), ..Entry::of_kind(b'5', "d/") })),
        // Kinds.
        ("a hard link", "entry_kind", extra(Entry { link: b"model.wasm".to_vec(), ..Entry::of_kind(b'1', "a") })),
        ("a symbolic link", "entry_kind", extra(Entry { link: b"/etc/passwd".to_vec(), ..Entry::of_kind(b'2', "a") })),
        ("a symbolic link as a parent", "entry_kind",
            begin(WASM, &[]).entry(Entry { link: b"/".to_vec(), ..Entry::of_kind(b'2', "d") }).file("d/x", *b"x").end()),
        ("a character device", "entry_kind", extra(Entry::of_kind(b'3', "a"))),
        ("a block device", "entry_kind", extra(Entry::of_kind(b'4', "a"))),
        ("a FIFO", "entry_kind", extra(Entry::of_kind(b'6', "a"))),
        ("a contiguous file", "entry_kind", extra(Entry::of_kind(b'7', "a"))),
        ("a multi-volume part", "entry_kind", extra(Entry { magic: GNU, ..Entry::of_kind(b'M', "a") })),
        ("a volume label", "entry_kind", extra(Entry { magic: GNU, ..Entry::of_kind(b'V', "a") })),
        ("a dump directory", "entry_kind", extra(Entry { magic: GNU, ..Entry::of_kind(b'D', "a") })),
        ("a Solaris header", "entry_kind", extra(Entry::of_kind(b'X', "a"))),
        ("a long link name", "entry_kind", extra(Entry { magic: GNU, ..Entry::of_kind(b'K', "a") })),
        ("a vendor's type", "entry_kind", extra(Entry::of_kind(b'Z', "a"))),
        ("a type of 0xff", "entry_kind", extra(Entry::of_kind(0xff, "a"))),
        ("a GNU sparse file", "entry_sparse", extra(Entry { magic: GNU, ..Entry::of_kind(b'S', "a") })),
        ("a sparse map on a plain file", "entry_sparse",
            extra(Entry { magic: GNU, ..Entry::file("a", *b"x") }.patched(386, *b"00000000001\0"))),
        ("a real size on a plain file", "entry_sparse",
            extra(Entry { magic: GNU, ..Entry::file("a", *b"x") }.patched(483, *b"00000000009\0"))),
        // Paths.
        ("an empty path", "path_empty", named("")),
        ("an absolute path", "path_absolute", named("/etc/passwd")),
        ("an absolute directory", "path_absolute", extra(Entry::of_kind(b'5', "/d/"))),
        ("a parent", "path_parent", named("../x")),
        ("a parent inside", "path_parent", named("a/../../x")),
        ("a parent at the end", "path_parent", extra(Entry::of_kind(b'5', "a/.."))),
        ("a parent behind a dot", "path_parent", named("./../x")),
        ("an absolute path behind a dot", "path_absolute", named(".//etc/passwd")),
        ("a dot inside", "path_dot", named("a/./x")),
        ("two dots in front", "path_dot", named("././x")),
        ("a dot alone as a file", "path_dot", named(".")),
        ("an empty part", "path_empty_part", named("a//x")),
        ("a file that ends as a directory", "path_empty_part", named("a/")),
        ("a directory with two slashes", "path_empty_part", extra(Entry::of_kind(b'5', "a//"))),
        ("a backslash", "path_backslash", named("..\\x")),
        ("a network path", "path_backslash", named("\\\\server\\share")),
        ("a drive", "path_drive_letter", named("C:x")),
        ("a drive with a slash", "path_drive_letter", named("c:/x")),
        ("a name that goes on behind a zero byte", "file_unnamed", named("b\0a")),
        ("an old header with something in place of a prefix", "header_unknown",
            extra(Entry { magic: [0; 8], prefix: b"d".to_vec(), ..Entry::file("a", *b"x") })),
        ("a zero byte in a long name", "path_nul",
            extended(&[Entry::long_name(format!("{}\0b", "x".repeat(100)))], "x".repeat(100), "a")),
        ("a zero byte in a pax path", "path_nul",
            extended(&[Entry::pax(&[("path", &[&[b'x'; 100][..], b"\0b"].concat())])], "x".repeat(100), "a")),
        ("a pax path that ends the header's early", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"a\0b")])], "a", "a")),
        ("an escape", "path_control", named("a\x1b[2J")),
        ("a line feed", "path_control", named("a\nb")),
        ("a delete", "path_control", named("a\x7f")),
        ("a C1 control", "path_control", named("a\u{9b}")),
        ("a right-to-left override", "path_invisible", named("a\u{202e}gpj.exe")),
        ("a zero-width space", "path_invisible", named("a\u{200b}")),
        ("a byte order mark", "path_invisible", named("\u{feff}a")),
        ("not UTF-8", "path_not_utf8", named(b"a\xff")),
        ("an overlong slash", "path_not_utf8", named(b"..\xc0\xafx")),
        ("a surrogate", "path_not_utf8", named(b"a\xed\xa0\x80")),
        ("a long path", "path_too_long",
            extra(Entry { prefix: vec![b'p'; 155], ..Entry::file([b'n'; 100], *b"x") })),
        ("a deep path", "path_too_deep", named("1/2/3/4/5/6/7/8/9")),
        ("a parent in a prefix", "path_parent",
            extra(Entry { prefix: b"..".to_vec(), ..Entry::file("x", *b"x") })),
        ("an absolute prefix", "path_absolute",
            extra(Entry { prefix: b"/etc".to_vec(), ..Entry::file("x", *b"x") })),
        // Two names for one file, one name for two.
        ("a file twice", "path_duplicate", with_asset(b"x").file("a", *b"x").file("a", *b"x").end()),
        ("the manifest twice", "path_duplicate",
            begin(WASM, &[]).file("model.toml", manifest(WASM, &[], "")).end()),
        ("the component twice", "path_duplicate", begin(WASM, &[]).file("model.wasm", WASM).end()),
        ("a file twice, once behind a dot", "path_duplicate",
            with_asset(b"x").file("a", *b"x").file("./a", *b"x").end()),
        ("a directory twice", "path_duplicate", begin(WASM, &[]).directory("d/").directory("d").end()),
        ("the root twice", "path_duplicate", begin(WASM, &[]).directory("./").directory(".").end()),
        ("another case", "path_collision", with_asset(b"x").file("a", *b"x").file("A", *b"x").end()),
        ("the manifest in another case", "path_collision", named("MODEL.TOML")),
        ("a sharp s", "path_collision",
            begin(WASM, &[("straße", b"x")]).file("straße", *b"x").file("STRASSE", *b"x").end()),
        ("another normalisation", "path_collision",
            begin(WASM, &[("é", b"x")]).file("é", *b"x").file("e\u{301}", *b"x").end()),
        ("a ligature", "path_collision",
            begin(WASM, &[("file", b"x")]).file("file", *b"x").file("ﬁle", *b"x").end()),
        ("a full-width letter", "path_collision", with_asset(b"x").file("a", *b"x").file("ａ", *b"x").end()),
        ("a directory in another case", "path_collision",
            begin(WASM, &[("d/x", b"x")]).file("d/x", *b"x").file("D/y", *b"y").end()),
        ("a file as a directory", "path_file_and_directory",
            with_asset(b"x").file("a", *b"x").file("a/b", *b"x").end()),
        ("a directory as a file", "path_file_and_directory",
            begin(WASM, &[]).directory("d/").file("d", *b"x").end()),
        ("a folder that is the manifest", "path_file_and_directory",
            begin(WASM, &[]).file("model.toml/x", *b"x").end()),
        // Extended headers.
        ("a path in a global pax header", "pax_global", global(&[("path", b"evil")])),
        ("a size in a global pax header", "pax_global", global(&[("comment", b"x"), ("size", b"1")])),
        ("a link in a global pax header", "pax_global", global(&[("linkpath", b"evil")])),
        ("a sparse file in a global pax header", "pax_global", global(&[("GNU.sparse.major", b"1")])),
        ("a real size in a global pax header", "pax_global", global(&[("SCHILY.realsize", b"1")])),
        ("a charset of names in a global pax header", "pax_global", global(&[("hdrcharset", b"KOI8-R")])),
        ("a global pax header that is malformed", "pax_malformed",
            Tar::new().entry(Entry { kind: b'g', content: b"5 path=a\n".to_vec(), ..Entry::pax(&[]) })
                .raw(good(WASM, &[])).cut()),
        ("a huge global pax header", "extension_too_large", global(&[("comment", &[b'x'; 70_000])])),
        ("a global pax header between a pax header and its file", "extension_dangling",
            extended(&[Entry::pax(&[("path", b"a")]), Entry { kind: b'g', ..Entry::pax(&[("comment", b"x")]) }], "a", "a")),
        ("a placeholder that is another file's name", "headers_disagree",
            begin(WASM, &[("d/a", b"x"), ("a", b"y")])
                .entry(Entry::pax(&[("path", b"d/a")])).file("a", *b"x").file("a", *b"y").end()),
        ("a placeholder that is the manifest's name", "headers_disagree",
            begin(WASM, &[("d/model.toml", b"x")])
                .entry(Entry::pax(&[("path", b"d/model.toml")])).file("model.toml", *b"x").end()),
        ("a placeholder that leads out", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"a")])], "../PaxHeader", "a")),
        ("a placeholder that is absolute", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"a")])], "/PaxHeaders/a", "a")),
        ("a pax path that is another", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"b")])], "a", "b")),
        ("a pax path behind an innocent one", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"../../etc/passwd")])], "a", "a")),
        ("a pax path that is absolute", "path_absolute",
            extended(&[Entry::pax(&[("path", b"/a")])], "/a", "a")),
        ("a short form that is too short", "headers_disagree",
            extended(&[Entry::pax(&[("path", long.as_bytes())])], &long[..50], &long)),
        ("an empty pax path", "headers_disagree", extended(&[Entry::pax(&[("path", b"")])], "a", "a")),
        ("a pax size that is larger", "headers_disagree",
            extended(&[Entry::pax(&[("size", b"2048")])], "a", "a")),
        ("a pax size that is smaller", "headers_disagree",
            extended(&[Entry::pax(&[("size", b"0")])], "a", "a")),
        ("a pax size over a header of zero", "headers_disagree",
            with_asset(b"").entry(Entry::pax(&[("size", b"512")])).file("a", []).end()),
        ("a huge pax size", "entry_too_large",
            with_asset(b"").entry(Entry::pax(&[("size", b"99999999999999999")])).file("a", []).end()),
        ("a pax size with a sign", "pax_malformed", extended(&[Entry::pax(&[("size", b"+1")])], "a", "a")),
        ("a pax size with a zero in front", "pax_malformed",
            extended(&[Entry::pax(&[("size", b"01")])], "a", "a")),
        ("a pax path twice", "pax_malformed",
            extended(&[Entry::pax(&[("path", b"a"), ("path", b"a")])], "a", "a")),
        ("a pax size twice", "pax_malformed",
            extended(&[Entry::pax(&[("size", b"1"), ("size", b"1")])], "a", "a")),
        ("a pax record without a length", "pax_malformed", pax_raw(b"path=a\n")),
        ("a pax record that is too long", "pax_malformed", pax_raw(b"99 path=a\n")),
        ("a pax record that is too short", "pax_malformed", pax_raw(b"5 path=a\n")),
        ("a pax record of length zero", "pax_malformed", pax_raw(b"0 path=a\n")),
        ("a pax record without an equals sign", "pax_malformed", pax_raw(b"8 patha\n")),
        ("a pax length that overflows", "pax_malformed", pax_raw(b"18446744073709551617 path=a\n")),
        ("a pax key that is empty", "pax_malformed", pax_raw(b"5 =a\n")),
        ("zeros after the pax records", "pax_malformed",
            pax_raw(&[record("mtime", b"1"), vec![0; 8]].concat())),
        ("a record hidden in a pax value", "headers_disagree",
            extended(&[Entry::pax(&[("comment", b"x\n9 path=b\n"), ("path", b"c")])], "a", "a")),
        ("a pax link", "pax_refused", extended(&[Entry::pax(&[("linkpath", b"/etc/passwd")])], "a", "a")),
        ("a pax charset that is no UTF-8", "pax_refused",
            extended(&[Entry::pax(&[("hdrcharset", b"ISO-IR 8859 1 1998")])], "a", "a")),
        ("a binary name that is no UTF-8", "path_not_utf8",
            extended(&[Entry::pax(&[("hdrcharset", b"BINARY"), ("path", b"\xe4")])], b"\xe4", "a")),
        ("a pax sparse file, 0.1", "pax_refused",
            extended(&[Entry::pax(&[("GNU.sparse.size", b"999"), ("GNU.sparse.map", b"0,1")])], "a", "a")),
        ("a pax sparse file, 1.0", "pax_refused",
            extended(&[Entry::pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"b")])], "a", "a")),
        ("a pax real size", "pax_refused", extended(&[Entry::pax(&[("SCHILY.realsize", b"9")])], "a", "a")),
        ("two pax headers", "extension_repeated",
            extended(&[Entry::pax(&[("path", b"a")]), Entry::pax(&[("mtime", b"1")])], "a", "a")),
        ("two long names", "extension_repeated",
            extended(&[Entry::long_name("a"), Entry::long_name("a")], "a", "a")),
        ("a pax path and a long name", "headers_disagree",
            extended(&[Entry::pax(&[("path", b"a")]), Entry::long_name("b")], "a", "a")),
        ("a long name that is another", "headers_disagree",
            extended(&[Entry::long_name("b")], "a", "b")),
        ("a long name whose header goes on elsewhere", "headers_disagree",
            extended(&[Entry::long_name(&long)], format!("e{}", &long_header[1..]), &long)),
        ("a pax header at the end", "extension_dangling",
            begin(WASM, &[]).entry(Entry::pax(&[("path", b"a")])).end()),
        ("a long name at the end", "extension_dangling", begin(WASM, &[]).entry(Entry::long_name("a")).end()),
        ("a pax header for a link", "entry_kind",
            begin(WASM, &[]).entry(Entry::pax(&[("path", b"a")])).entry(Entry::of_kind(b'2', "a")).end()),
        ("a huge pax header", "extension_too_large",
            extended(&[Entry::pax(&[("comment", &[b'x'; 70_000])])], "a", "a")),
        ("a pax header that declares a gigabyte", "extension_too_large",
            extra(Entry::pax(&[]).sized(1 << 30))),
        // Amounts.
        ("too many directories", "too_many_entries", many_files(40)),
        ("too many directories inside one another", "too_many_entries",
            (0..6).fold(begin(WASM, &[]), |tar, n| tar.directory(format!("{n}/2/3/4/5/6/7/8"))).end()),
        ("a component over its cap", "component_too_large", good(&noise((1 << 20) + 1), &[])[..8192].to_vec()),
        ("a manifest over its cap", "manifest_too_large", manifest_with(&"#".repeat(20_000))),
        // The manifest.
        ("no manifest", "manifest_missing", Tar::new().file("model.wasm", WASM).end()),
        ("no entries", "manifest_missing", Tar::new().end()),
        ("a manifest in a folder", "manifest_missing",
            Tar::new().file("m/model.toml", manifest(WASM, &[], "")).file("m/model.wasm", WASM).end()),
        ("a manifest that is a directory", "manifest_missing",
            Tar::new().directory("model.toml/").file("model.wasm", WASM).end()),
        ("an empty manifest", "manifest_missing_key", manifest_is("")),
        ("a manifest in UTF-16", "manifest_not_utf8", manifest_is(b"\xff\xfes\0c\0".to_vec())),
        ("a manifest that is JSON", "manifest_syntax", manifest_is("{\"schema\": 1}")),
        ("a key twice", "manifest_duplicate_key", manifest_with("license = \"a\"\nlicense = \"b\"")),
        ("an unknown key", "manifest_unknown_key", manifest_with("entrypoint = \"/bin/sh\"")),
        ("an unknown limit", "manifest_unknown_key", manifest_with("[limits]\nmemroy = \"1 MiB\"")),
        ("a schema of the future", "schema_unknown",
            manifest_is(manifest(WASM, &[], "").replace("schema = 1", "schema = 2"))),
        ("a name that is a path", "manifest_value",
            manifest_is(manifest(WASM, &[], "").replace("\"m\"", "\"../m\""))),
        ("a version that is none", "manifest_value",
            manifest_is(manifest(WASM, &[], "").replace("1.0.0", "latest"))),
        ("a component outside", "manifest_value",
            manifest_is(manifest(WASM, &[], "").replace("component = \"model.wasm\"", "component = \"/lib/x\""))),
        ("a memory of minus one", "manifest_value", manifest_with("[limits]\nmemory = -1")),
        ("a deadline without a unit", "manifest_value", manifest_with("[limits]\ndeadline = \"10\"")),
        ("a component without a digest", "component_digest_missing",
            manifest_is(manifest(WASM, &[], "").replace("\"model.wasm\" = ", "\"other.wasm\" = "))),
        ("an asset that is the component", "path_duplicate",
            manifest_is(manifest(WASM, &[("model.wasm", WASM)], ""))),
        ("assets that differ by case", "path_collision",
            manifest_is(manifest(WASM, &[("a", b"x"), ("A", b"x")], ""))),
        // Files against the manifest.
        ("a file that is not named", "file_unnamed", named("a")),
        ("an unnamed file before the manifest", "file_unnamed",
            Tar::new().file("a", *b"x").raw(good(WASM, &[])).cut()),
        ("a named file that is missing", "file_missing", with_asset(b"x").end()),
        ("a named file that is a directory", "file_missing", with_asset(b"x").directory("a").end()),
        ("a missing component", "file_missing", Tar::new().file("model.toml", manifest(WASM, &[], "")).end()),
        ("another asset", "digest_mismatch", with_asset(b"x").file("a", *b"y").end()),
        ("another component", "digest_mismatch",
            Tar::new().file("model.toml", manifest(WASM, &[], "")).file("model.wasm", *b"evil").end()),
        ("another component before the manifest", "digest_mismatch",
            Tar::new().file("model.wasm", *b"evil").file("model.toml", manifest(WASM, &[], "")).end()),
        // Signatures.
        ("a signature that is none", "manifest_value",
            manifest_with("[signature]\nkey = \"ed25519:AAAA\"\nvalue = \"AAAA\"")),
        ("a signature of nothing", "signature_wrong", manifest_with(&format!(
            "[signature]\nkey = \"ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\nvalue = \"{}==\"",
            "A".repeat(86)))),
        ("a weak key", "manifest_value", manifest_with(&format!(
            "[signature]\nkey = \"ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\nvalue = \"{}==\"",
            "A".repeat(86)))),
    ]
}

/// A good bundle behind a global pax header.
fn global(records: &[(&str, &[u8])]) -> Vec<u8> {
    let header = Entry {
        kind: b'g',
        ..Entry::pax(records)
    };
    Tar::new().entry(header).raw(good(WASM, &[])).cut()
}

/// The start of a bundle whose manifest names one asset `a`.
fn with_asset(content: &[u8]) -> Tar {
    begin(WASM, &[("a", content)])
}

/// A bundle whose asset `a` is this entry.
fn asset(entry: Entry) -> Vec<u8> {
    let content = entry.content.clone();
    with_asset(&content).entry(entry).end()
}

/// A bundle with one more entry.
fn extra(entry: Entry) -> Vec<u8> {
    begin(WASM, &[]).entry(entry).end()
}

/// A bundle with one more file of that name.
fn named(name: impl AsRef<[u8]>) -> Vec<u8> {
    extra(Entry::file(name, *b"x"))
}

/// A bundle with this text in its manifest, before the tables.
fn manifest_with(more: &str) -> Vec<u8> {
    Tar::new()
        .file("model.toml", manifest(WASM, &[], more))
        .file("model.wasm", WASM)
        .end()
}

fn manifest_is(text: impl Into<Vec<u8>>) -> Vec<u8> {
    Tar::new()
        .file("model.toml", text)
        .file("model.wasm", WASM)
        .end()
}

fn with_changed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 0x20;
    bytes
}

fn cut(mut bytes: Vec<u8>, to: usize) -> Vec<u8> {
    bytes.truncate(to);
    bytes
}

/// Content that does not compress, so that only the caps on size can be hit.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn many_files(count: usize) -> Vec<u8> {
    (0..count)
        .fold(begin(WASM, &[]), |tar, n| tar.directory(format!("d{n}/")))
        .end()
}

/// `path` of pax records as given.
fn pax_raw(content: &[u8]) -> Vec<u8> {
    let pax = Entry {
        content: content.to_vec(),
        ..Entry::pax(&[])
    };
    extended(&[pax], "a", "a")
}

/// Directories that each have a large extended header.
fn many_pax_headers(count: usize) -> Vec<u8> {
    let pax = Entry::pax(&[("comment", &[b'x'; 60_000])]);
    (0..count)
        .fold(begin(WASM, &[]), |tar, n| {
            tar.entry(pax.clone()).directory(format!("d{n}"))
        })
        .end()
}

fn checksummed_zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::copy(&mut &bytes[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}
