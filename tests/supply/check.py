"""Checks the bills of materials, and writes the licences.

    check.py FOLDER

A bill is valid by CycloneDX's own schema, names every package that cargo builds the program of,
and each with its licence. The texts come from the packages' sources, where cargo has put them.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

# The manifest and the target of each bill's program, and the least number of packages that it has:
# a bill that has lost most of them would be valid, too.
BILLS = {
    "belljar.cdx.json": ("host/Cargo.toml", "x86_64-unknown-linux-musl", 250),
    "fake.cdx.json": ("guest-models/fake/Cargo.toml", "wasm32-wasip2", 3),
    "embedder.cdx.json": ("guest-models/embedder/Cargo.toml", "wasm32-wasip2", 10),
    "llama.cdx.json": ("guest-models/llama/Cargo.toml", "wasm32-wasip2", 30),
    "onnx.cdx.json": ("guest-models/onnx/Cargo.toml", "wasm32-wasip2", 20),
}
TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def built(manifest, target):
    """Every package that the program of a manifest is built of, as (name, version)."""
    tree = cargo(
        *("tree", "--manifest-path", manifest, "--edges", "normal", "--prefix", "none"),
        *("--format", "{p}", "--target", target),
    )
    words = (line.split() for line in tree.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def check(bill, manifest, target, fewest):
    text = bill.read_text()
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if problem:
        sys.exit(f"{bill}: {problem}")
    components = json.loads(text)["components"]
    found = {(part["name"], part["version"]) for part in components}
    own = json.loads(text)["metadata"]["component"]
    missing = built(manifest, target) - found - {(own["name"], own["version"])}
    if missing:
        sys.exit(f"{bill} does not name {sorted(missing)}")
    if len(components) < fewest:
        sys.exit(f"{bill} names {len(components)} packages")
    bare = [part["name"] for part in components if not part.get("licenses")]
    if bare:
        sys.exit(f"{bill} has no licence of {bare}")
    print(f"{bill}: {len(components)} packages")
    return components


def folders(manifest):
    """Where the sources of each package are."""
    described = json.loads(cargo("metadata", "--format-version", "1", "--manifest-path", manifest))
    return {
        (package["name"], package["version"]): pathlib.Path(package["manifest_path"]).parent
        for package in described["packages"]
    }


def licence_of(part):
    said = part["licenses"][0]
    return said.get("expression") or said["license"].get("id") or said["license"]["name"]


def main():
    folder = pathlib.Path(sys.argv[1])
    parts, sources = {}, {}
    for name, (manifest, target, fewest) in BILLS.items():
        for part in check(folder / name, manifest, target, fewest):
            parts[part["name"], part["version"]] = licence_of(part)
        sources |= folders(manifest)
    # Many packages have the same text: it is written once, below all of them.
    texts, used_by = {}, {}
    for key in sorted(parts):
        for path in sorted(sources[key].iterdir()) if key in sources else ():
            if path.is_file() and path.name.upper().startswith(TEXTS):
                text = path.read_text(errors="replace").strip()
                digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
                texts.setdefault(digest, text)
                used_by.setdefault(digest, []).append(f"{key[0]} {key[1]}")
    with open(folder / "THIRD-PARTY.txt", "w") as file:
        file.write("What belljar is made of, and under which licences.\n\n")
        for (name, version), licence in sorted(parts.items()):
            file.write(f"{name} {version}: {licence}\n")
        for digest, text in texts.items():
            file.write(f"\n{'=' * 80}\n{', '.join(used_by[digest])}\n{'-' * 80}\n{text}\n")
    print(f"{folder}/THIRD-PARTY.txt: {len(texts)} texts")


main()
