"""A package is fetched once, checked by hash, and whatever goes wrong is one clear line."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from denizen.evm import packages
from denizen.evm.packages import Package, fetch, read_member
from denizen.project import ArtefactError
from denizen.project.hashing import sha256_bytes


def tarball(**files: bytes) -> bytes:
    """A tarball as npm packs them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm of the test's own, alone on PATH with sh; it does what the file `script` says."""
    monkeypatch.setattr(packages, "cache_dir", lambda: tmp_path / "cache")
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f'#!/bin/sh\n. "{folder / "script"}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "script"


def test_fetched_once_and_read(npm: Path, tmp_path: Path) -> None:
    data = tarball(file=b"content")
    (tmp_path / "made.tgz").write_bytes(data)
    package = Package("@a/good", "1", sha256_bytes(data), "MIT")
    npm.write_text(
        f'while [ "$1" != --pack-destination ]; do shift; done; cp {tmp_path}/made.tgz $2'
    )
    assert read_member(package, "file") == b"content"
    npm.write_text("exit 1")
    fetch.__globals__["_checked"].cache_clear()
    assert fetch(package) == tmp_path / "cache" / "contracts" / "a-good-1.tgz"
    with pytest.raises(ArtefactError, match="holds no other"):
        read_member(package, "other")


def test_another_tarball_is_refused(npm: Path) -> None:
    package = Package("@a/corrupt", "1", "0" * 64, "MIT")
    package.tarball.parent.mkdir(parents=True)
    package.tarball.write_bytes(b"junk")
    with pytest.raises(ArtefactError, match="not the pinned package"):
        fetch(package)


def test_no_npm(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ArtefactError, match="npm is needed once"):
        fetch(Package("@a/none", "1", "0" * 64, "MIT"))


def test_npm_s_reason_is_its_code_and_never_the_registry(npm: Path) -> None:
    npm.write_text(
        "echo 'npm error code ECONNREFUSED' >&2\n"
        "echo 'npm error request to http://user:SECRETKEY@registry/ failed' >&2; exit 1"
    )
    package = Package("@a/far", "1", "0" * 64, "MIT")
    with pytest.raises(ArtefactError, match="ECONNREFUSED") as caught:
        fetch(package)
    assert "SECRETKEY" not in str(caught.value) and not package.tarball.exists()


def test_an_npm_that_hangs_is_given_up(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm.write_text("exec sleep 30")
    monkeypatch.setattr(packages, "_LONGEST_FETCH", 0.2)
    with pytest.raises(ArtefactError, match=r"no answer in 0\.2 s"):
        fetch(Package("@a/slow", "1", "0" * 64, "MIT"))
