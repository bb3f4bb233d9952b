"""Contract packages of the npm registry, fetched by hash and never vendored.

Contract: `artefact(package, member)` is a JSON file out of a pinned tarball.  It is fetched
once with the user's own npm configuration (no address is named here, no package script is
run), kept in the cache, and its SHA-256 is checked in every process that reads it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from denizen.project.atomic import atomic_path
from denizen.project.cache import cache_dir
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_file

Say = Callable[[str], None]
_LONGEST_FETCH = 600  # seconds


@dataclass(frozen=True)
class Package:
    """An npm package at one version, with the SHA-256 of its tarball and its licence."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def tarball(self) -> Path:
        """Where the tarball lies once fetched."""
        file = f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"
        return cache_dir() / "contracts" / file


PACKAGES: dict[str, Package] = {
    "v2-core": Package(
        "@uniswap/v2-core",
        "1.0.1",
        "f01288aaf73a89d2ff541b7276cec215ce2c480cafbed33b0da9c89853f976a2",
        "GPL-3.0-or-later",
    ),
    "v3-core": Package(
        "@uniswap/v3-core",
        "1.0.1",
        "141b001e2a376fff867cb24e0713b2834095cb1250c13aae263d9a646446d329",
        "BUSL-1.1",
    ),
    "v4-core": Package(
        "@uniswap/v4-core",
        "1.0.2",
        "f3db3af55f3d0c52f16abe96e7db12443f243bca1f334962373f95c57611de49",
        "BUSL-1.1 and MIT",
    ),
    "aave-core": Package(
        "@aave/core-v3",
        "1.19.3",
        "a7bd560885fa804a5233ceb8f9c4da4ef3336246590b6f35e4eaedef044a8679",
        "BUSL-1.1",
    ),
    "balancer-v2": Package(
        "@balancer-labs/v2-deployments",
        "3.2.0",
        "5000960a2028ab68ef68e16ba98d33e57b204eeda9ea308ff2bd08d7dde96585",
        "GPL-3.0-only",
    ),
    "openzeppelin": Package(
        "@openzeppelin/contracts",
        "5.7.0",
        "ab2a1b476b9e2d84225454eca21783805db5754b5f8dfb3d6fca05341b00b8ea",
        "MIT",
    ),
    "solc": Package(
        "solc",
        "0.8.26",
        "bf0ff5f7e8af867fe6765192dcbc06d30dbd864ce1e2f151634b8b3ed51ca531",
        "MIT",
    ),
    "anvil": Package(
        "@foundry-rs/anvil-linux-amd64",
        "1.7.1",
        "5727dd8f08f3bf6dde4ec1d9832e87c43f9315ef824bff1ab18486bf51bc7af3",
        "MIT OR Apache-2.0",
    ),
}


def fetch(package: Package, say: Say = lambda _: None) -> Path:
    """The tarball on disk, fetched if need be and checked; raises ArtefactError."""
    if not package.tarball.is_file():
        say(f"fetching {package.name} {package.version}")
        _npm_pack(package)
    return _checked(package)


@cache
def _checked(package: Package) -> Path:
    found = sha256_file(package.tarball)
    if found != package.sha256:
        raise ArtefactError(
            f"{package.name} {package.version} is not the pinned package: "
            f"SHA-256 {found[:16]}, expected {package.sha256[:16]}",
            where=str(package.tarball),
            fix="delete the file; the same command fetches it again",
        )
    return package.tarball


@cache
def read_member(package: Package, member: str) -> bytes:
    """One file of the package (path inside it); raises ArtefactError if there is none."""
    with tarfile.open(fetch(package)) as archive:
        try:
            file = archive.extractfile(f"package/{member}")
        except KeyError:
            file = None
        if file is None:
            raise ArtefactError(
                f"{package.name} {package.version} holds no {member}", where=str(package.tarball)
            )
        return file.read()


def artefact(package: Package, member: str) -> dict[str, Any]:
    """A JSON file of the package (a compiled contract with `abi` and bytecode)."""
    loaded: dict[str, Any] = json.loads(read_member(package, member))
    return loaded


def creation_code(built: dict[str, Any]) -> bytes:
    """Creation bytecode of a compiled contract, whatever tool compiled it.

    Hardhat and waffle keep a hex string, Foundry and solc an object.
    """
    code = built.get("bytecode") or built["evm"]["bytecode"]
    text = code["object"] if isinstance(code, dict) else code
    return bytes.fromhex(text.removeprefix("0x"))


def _npm_pack(package: Package) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ArtefactError(
            f"npm is needed once, to fetch {package.name}",
            where="PATH",
            fix="install Node.js with npm, or copy the tarball to " + str(package.tarball),
        )
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", "--loglevel=error", "--ignore-scripts"]
        try:
            done = subprocess.run(
                [*command, "--pack-destination", scratch, f"{package.name}@{package.version}"],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LONGEST_FETCH,
                check=False,
            )
            said, failed = done.stderr, done.returncode != 0
        except subprocess.TimeoutExpired:
            said, failed = f"npm gave no answer in {_LONGEST_FETCH} s", True
        made = list(Path(scratch).glob("*.tgz"))
        if failed or len(made) != 1:
            # The first line is a code; those after it may hold the user's registry and its key.
            reason = (said.strip().splitlines() or ["no reason given"])[0][:200]
            raise ArtefactError(
                f"could not fetch {package.name} {package.version}",
                where=reason,
                fix="check the network and npm's settings, then run the same command again",
            )
        with atomic_path(package.tarball) as temporary:
            shutil.copyfile(made[0], temporary)
