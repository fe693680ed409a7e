//! The same project folder, packed by every tool that is installed, is the same bundle. Tools
//! that are not installed are named on stderr; where `ARCHIVE_TOOLS=required` is set, as in
//! `.ci/run`, one that is missing fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use belljar_bundle::{ArchiveLimits, BundleError, CheckedBundle, Digest, SignaturePolicy, Store};

const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";

/// A way of packing the present folder into `$OUT`.
struct Tool {
    /// What must be there: programs, or packages of npm with the prefix `npm:`.
    needs: &'static [&'static str],
    names: Names,
    /// For `sh`; `$TOOLS` is the folder of the scripts.
    script: &'static str,
}

/// Which names of files a format can hold.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    /// Any.
    All,
    /// Those that fit into a header with a prefix.
    Short,
    /// Those that fit into a header without one.
    Old,
}

const fn tool(needs: &'static [&'static str], names: Names, script: &'static str) -> Tool {
    Tool {
        needs,
        names,
        script,
    }
}

use Names::{All, Old, Short};

#[rustfmt::skip]
const TOOLS: &[Tool] = &[
    tool(&["tar"], Old, "tar --format=v7 -cf $OUT ."),
    tool(&["tar"], All, "tar --format=oldgnu -cf $OUT ."),
    tool(&["tar"], All, "tar --format=gnu -cf $OUT ."),
    tool(&["tar"], Short, "tar --format=ustar -cf $OUT ."),
    tool(&["tar"], All, "tar --format=posix -cf $OUT ."),
    tool(&["tar"], All, "tar --format=posix -cf $OUT *"),
    tool(&["tar"], All, "tar --format=posix --pax-option=comment=built,ACME.id=7 -cf $OUT ."),
    tool(&["tar"], All, "tar --format=posix --xattrs --acls --selinux -cf $OUT . 2>/dev/null"),
    tool(&["tar"], All, "tar --format=gnu -b 512 -cf $OUT ."),
    tool(&["tar", "gzip"], All, "tar -czf $OUT ."),
    tool(&["tar", "zstd"], All, "tar --zstd -cf $OUT ."),
    tool(&["tar", "zstd"], All, "tar -cf - . | zstd -q -T0 --content-size > $OUT"),
    tool(&["tar", "pzstd"], All, "tar -cf - . | pzstd -q -p 2 - > $OUT"),
    tool(&["tar", "pigz"], All, "tar -cf - . | pigz -i -b 128 > $OUT"),
    tool(&["tar", "bgzip"], All, "tar -cf - . | bgzip > $OUT"),
    tool(&["tar", "split", "gzip"], All, "tar -cf - . | split -b 4096 --filter='gzip -9' - > $OUT"),
    tool(&["bsdtar"], All, "bsdtar --format=pax -cf $OUT ."),
    tool(&["bsdtar"], All, "LC_ALL=C bsdtar --format=pax -cf $OUT ."),
    tool(&["bsdtar"], All, "LC_ALL=C bsdtar --format=pax --options pax:hdrcharset=BINARY -cf $OUT ."),
    tool(&["bsdtar"], All, "LC_ALL=C.UTF-8 bsdtar --format=pax -cf $OUT ."),
    tool(&["bsdtar"], All, "bsdtar --format=gnutar -cf $OUT ."),
    tool(&["bsdtar"], Short, "bsdtar --format=ustar -cf $OUT ."),
    tool(&["bsdtar"], Old, "bsdtar --format=v7tar -cf $OUT ."),
    tool(&["bsdtar"], All, "bsdtar -czf $OUT ."),
    // As macOS does it without COPYFILE_DISABLE.
    tool(&["bsdtar"], All, "for f in $(find . -type f); do echo x > ${f%/*}/._${f##*/}; done; \
        echo x > ._. ; mkdir __MACOSX; echo x > __MACOSX/._data; echo x > .DS_Store; \
        bsdtar --format=pax -cf $OUT ."),
    tool(&["7zz"], Short, "7zz a -ttar $OUT . >/dev/null"),
    tool(&["7zz"], All, "7zz a -ttar $OUT * >/dev/null"),
    tool(&["7zz"], All, "7zz a -ttar -mm=gnu $OUT * >/dev/null"),
    tool(&["7zz"], All, "7zz a -ttar -mm=posix $OUT * >/dev/null"),
    tool(&["busybox"], All, "busybox tar -cf $OUT ."),
    tool(&["busybox"], All, "busybox tar -czf $OUT ."),
    tool(&["pax"], Short, "pax -w -x ustar -f $OUT ."),
    tool(&["cpio"], Short, "find . | cpio --quiet -o -H ustar > $OUT"),
    tool(&["cpio"], Old, "find . -type f | cpio --quiet -o -H tar > $OUT"),
    tool(&["git"], All, "git init -q . && git add -A && git -c user.name=n -c user.email=e \
        commit -qm m && git archive --format=tar HEAD > $OUT"),
    tool(&["git"], All, "git init -q . && git add -A && git -c user.name=n -c user.email=e \
        commit -qm m && git archive --format=tar.gz HEAD > $OUT"),
    tool(&["git"], All, "git init -q . && git add -A && \
        git archive --format=tar $(git write-tree) > $OUT"),
    tool(&["python3"], Short, "python3 $TOOLS/pack.py ustar $OUT"),
    tool(&["python3"], All, "python3 $TOOLS/pack.py gnu $OUT"),
    tool(&["python3"], All, "python3 $TOOLS/pack.py pax $OUT"),
    tool(&["python3"], All, "python3 $TOOLS/pack.py pax-global $OUT"),
    tool(&["perl"], All, "perl $TOOLS/pack.pl $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar-dot $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar-portable $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar-strict $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar-gzip $OUT"),
    tool(&["node", "npm:tar"], All, "node $TOOLS/pack.js tar-prefix-times $OUT"),
    tool(&["node", "npm:tar-fs"], All, "node $TOOLS/pack.js tar-fs $OUT"),
    tool(&["node", "npm:tar-stream"], All, "node $TOOLS/pack.js tar-stream $OUT"),
    tool(&["node", "npm:archiver"], All, "node $TOOLS/pack.js archiver $OUT"),
    tool(&["node", "npm:archiver"], All, "node $TOOLS/pack.js archiver-gzip $OUT"),
];

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools")
}

/// Where `.ci/run` installs the packages of `tools/package.json`.
fn node_modules() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/node_modules")
}

fn is_installed(need: &str) -> bool {
    if let Some(package) = need.strip_prefix("npm:") {
        return node_modules().join(package).is_dir();
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(need).is_file())
}

fn unpack(store: &Store, bytes: &[u8]) -> Result<CheckedBundle, BundleError> {
    store.unpack(
        bytes,
        &ArchiveLimits::default(),
        &SignaturePolicy::default(),
    )
}

/// Writes a project folder and gives back the digest of what it packs to.
fn project(folder: &Path, names: Names) -> Digest {
    let mut files = vec![
        ("data/w.txt".to_owned(), b"one\n".to_vec()),
        ("data/empty.bin".to_owned(), vec![]),
        ("data/block.bin".to_owned(), vec![7; 512]),
        ("data/naïve/日本語.txt".to_owned(), b"two\n".to_vec()),
    ];
    if names != Old {
        let long = format!("{}/{}.bin", "d".repeat(60), "p".repeat(60));
        files.push((long, b"three".to_vec()));
    }
    if names == All {
        files.push((format!("{}.bin", "n".repeat(150)), b"four".to_vec()));
        files.push((
            format!("{0}/{0}/{1}.bin", "e".repeat(60), "長".repeat(30)),
            b"five".to_vec(),
        ));
    }
    let mut manifest = format!(
        "schema = 1\nname = \"real\"\nversion = \"1.0.0\"\ncomponent = \"model.wasm\"\n\
         [digests]\n\"model.wasm\" = \"{}\"\n[assets]\n",
        Digest::of(WASM)
    );
    fs::write(folder.join("model.wasm"), WASM).unwrap();
    for (name, content) in &files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        writeln!(manifest, "\"{name}\" = \"{}\"", Digest::of(content)).unwrap();
    }
    fs::write(folder.join("model.toml"), &manifest).unwrap();
    belljar_bundle::Manifest::parse(&manifest).unwrap().digest()
}

fn run(tool: &Tool, folder: &Path, out: &Path) -> Result<Vec<u8>, String> {
    let done = Command::new("sh")
        .args(["-ec", tool.script])
        .current_dir(folder)
        .env("OUT", out)
        .env("TOOLS", scripts())
        .env("NODE_PATH", node_modules())
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .map_err(|error| error.to_string())?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    fs::read(out).map_err(|error| error.to_string())
}

#[test]
fn the_same_folder_packed_by_any_tool_is_the_same_bundle() {
    let store = Store::temporary().unwrap();
    let (mut tried, mut missing, mut wrong) = (0, Vec::new(), String::new());
    for tool in TOOLS {
        if let Some(need) = tool.needs.iter().find(|need| !is_installed(need)) {
            missing.push(*need);
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        let expected = project(folder.path(), tool.names);
        let verdict = run(tool, folder.path(), &target.path().join("b.tar")).and_then(|bytes| {
            match unpack(&store, &bytes) {
                Ok(checked) if checked.digest() == expected => Ok(()),
                Ok(_) => Err("another bundle".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        tried += 1;
        if let Err(error) = verdict {
            writeln!(wrong, "{}\n    {error}", tool.script).unwrap();
        }
    }
    missing.dedup();
    // Not by a macro for printing: those are shown only where a test fails.
    writeln!(
        std::io::stderr(),
        "archives of {tried} of {} tools were tried; not installed: {}",
        TOOLS.len(),
        if missing.is_empty() {
            "none".to_owned()
        } else {
            missing.join(", ")
        }
    )
    .unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    let required = std::env::var_os("ARCHIVE_TOOLS").is_some();
    assert!(
        !required || missing.is_empty(),
        "not installed: {missing:?}"
    );
}

/// Written by the tools themselves elsewhere, each from a folder of its own; those of Commons
/// Compress by `tools/Pack.java`.
#[test]
fn archives_that_tools_wrote_elsewhere_are_taken() {
    let store = Store::temporary().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives");
    let mut wrong = String::new();
    let mut tried = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        tried += 1;
        if let Err(error) = unpack(&store, &fs::read(&path).unwrap()) {
            writeln!(wrong, "{}: {error}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(tried >= 13, "{tried}");
}
