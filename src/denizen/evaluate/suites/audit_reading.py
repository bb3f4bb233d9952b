"""Contract pairs from where they lie: our own, the SWC registry's, SmartBugs-curated's.

Contract: each reader gives pairs of Solidity texts, vulnerable and (if there is one) fixed, with
what gives the answer away removed: comments ("// <yes> <report> REENTRANCY", "// fixed") and
telling identifiers. The outside sets are read from a folder of the user's and never shipped. What
cannot be used is named, not dropped in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from denizen.project.errors import DataError

CARRIED = Path(__file__).with_name("assets") / "audit_pairs.md"
# A served question is at most 4,000 characters, and the question around a contract takes some.
MAX_CHARACTERS = 3_400
_BLOCK = re.compile(r"```solidity\n(.*?)```", re.DOTALL)
_SAMPLE = re.compile(r"^### +(\S+\.sol)\s*$(.*?)(?=^### |^## |\Z)", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^# Title\s+(.+?)\s*$", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')|(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))",
    re.DOTALL,
)
_WORD = re.compile(r"\b[A-Za-z_$][\w$]*")
_TELLING = re.compile(
    r"fixed|vulnerab|insecure|unsafe|exploit|attack|malicious|buggy|patched|victim", re.IGNORECASE
)
# Solidity's own words for a fixed-point type.
_KEYWORD = re.compile(r"u?fixed(?:\d+x\d+)?")
_CANDIDATES = ("{}_fixed.sol", "{}_fixed_1.sol")


@dataclass(frozen=True, slots=True)
class ContractPair:
    """Two texts that differ in one weakness; `fixed` is None where no twin exists.

    `category` names the weakness in words with hyphens, `source` the set the pair comes from.
    """

    id: str
    category: str
    vulnerable: str
    fixed: str | None
    source: str


@dataclass(frozen=True, slots=True)
class LoadedPairs:
    """What was read, and what was not usable, with the reason."""

    pairs: tuple[ContractPair, ...]
    left_out: tuple[str, ...]


def carried_pairs() -> tuple[ContractPair, ...]:
    """The pairs Denizen carries (Solidity 0.8, each compiles on its own)."""
    made = []
    for section in CARRIED.read_text("utf-8").split("\n## ")[1:]:
        name = section.splitlines()[0].strip()
        vulnerable, fixed = (f"pragma solidity ^0.8.20;\n\n{b}" for b in _BLOCK.findall(section))
        made.append(
            ContractPair(f"denizen/{name}", name.split("/")[0], vulnerable, fixed, "denizen")
        )
    return tuple(made)


def swc_pairs(folder: Path, *, max_characters: int = MAX_CHARACTERS) -> LoadedPairs:
    """Pairs of the SWC registry's Markdown (entries/docs/SWC-*.md): NAME.sol and NAME_fixed.sol.

    Raises DataError when the folder holds no such file or no pair.
    """
    files = sorted(folder.rglob("SWC-*.md"))
    found: list[ContractPair] = []
    left_out: list[str] = []
    for file in files:
        text = _text(file)
        title = _TITLE.search(text)
        samples = {}
        for name, body in _SAMPLE.findall(text):
            block = _BLOCK.search(body)
            if block:
                samples[name.removesuffix(".sol")] = block.group(1)
        for name, code in samples.items():
            twin = next((samples[t] for t in _twins(name) if t in samples), None)
            if twin is not None:
                key = f"{file.stem.lower()}/{name.removesuffix('_vulnerable')}"
                category = _slug(title.group(1) if title else file.stem)
                pair = ContractPair(key, category, neutral(code), neutral(twin), "swc")
                _keep(pair, max_characters, found, left_out)
    return _loaded(found, left_out, folder, "SWC-*.md files with a fixed twin")


def smartbugs_pairs(folder: Path, *, max_characters: int = MAX_CHARACTERS) -> LoadedPairs:
    """SmartBugs-curated: vulnerabilities.json beside its folders, or folders by category alone.

    A twin is NAME_fixed.sol beside the contract, or the same path under a folder `fixed`; without
    one the pair counts only for what it shows. Raises DataError when nothing is usable.
    """
    found: list[ContractPair] = []
    left_out: list[str] = []
    for path, category in _listed(folder, left_out):
        code = neutral(_text(path))
        relative = path.relative_to(folder)
        others = [path.with_name(name.format(path.stem)) for name in _CANDIDATES]
        others += [folder / "fixed" / relative, folder / "fixed" / category / path.name]
        twin = next((neutral(_text(other)) for other in others if other.is_file()), None)
        key = f"smartbugs/{_slug(category)}/{path.stem}"
        pair = ContractPair(key, _slug(category), code, twin, "smartbugs")
        _keep(pair, max_characters, found, left_out)
    return _loaded(found, left_out, folder, "Solidity files by category")


def contract_pairs(folder: Path) -> LoadedPairs:
    """The pairs of a folder of either layout; raises DataError."""
    return swc_pairs(folder) if any(folder.rglob("SWC-*.md")) else smartbugs_pairs(folder)


def _listed(folder: Path, left_out: list[str]) -> Iterator[tuple[Path, str]]:
    index = next(iter(sorted(folder.glob("**/vulnerabilities.json"))), None)
    if index is None:
        for path in sorted(folder.rglob("*.sol")):
            relative = path.relative_to(folder)
            twin = path.stem.endswith("_fixed") or "fixed" in relative.parts[:-1]
            if len(relative.parts) > 1 and not twin:
                yield path, path.parent.name
        return
    root = folder.resolve()
    try:
        entries = json.loads(_text(index))
        rows = [(str(e["path"]), str(e["vulnerabilities"][0]["category"])) for e in entries]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"not SmartBugs' list of vulnerabilities ({error!r})",
            where=str(index),
            fix='each entry is {"path", "vulnerabilities": [{"lines", "category"}]}',
        ) from error
    for listed, category in rows:
        places = (base / listed for base in (index.parent, folder))
        inside = next((place for place in places if place.is_file()), None)
        # The list is data: a path in it must not lead out of the folder.
        if inside is None or not inside.resolve().is_relative_to(root):
            left_out.append(f"{listed}: no such file in the folder")
        else:
            yield inside, category


def neutral(code: str) -> str:
    """The text without comments, with identifiers that tell the answer renamed alike everywhere."""
    bare = _TOKEN.sub(lambda m: m.group("string") or " ", code)
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        word = match.group()
        if not _TELLING.search(word) or _KEYWORD.fullmatch(word):
            return word
        return names.setdefault(word, f"Name{len(names) + 1}")

    lines = (line.rstrip() for line in _WORD.sub(rename, bare).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _twins(name: str) -> tuple[str, ...]:
    stem = name.removesuffix("_vulnerable")
    twins = [f"{name}_fixed", f"{name}_fixed_1"]
    return (*twins, f"{stem}_not_vulnerable") if stem != name else tuple(twins)


def _keep(pair: ContractPair, limit: int, found: list[ContractPair], left_out: list[str]) -> None:
    size = max(len(pair.vulnerable), len(pair.fixed or ""))
    if size > limit:
        left_out.append(f"{pair.id}: {size} characters, more than {limit}")
    elif pair.fixed is not None and pair.fixed.split() == pair.vulnerable.split():
        left_out.append(f"{pair.id}: both sides are the same code")
    else:
        found.append(pair)


def _loaded(found: list[ContractPair], left_out: list[str], folder: Path, what: str) -> LoadedPairs:
    if not found:
        why = f"; left out: {'; '.join(left_out[:3])}" if left_out else ""
        raise DataError(
            f"no contract pairs here{why}", where=str(folder), fix=f"give a folder with {what}"
        )
    return LoadedPairs(tuple(found), tuple(left_out))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise DataError(
            f"cannot read a contract: {error.strerror}", where=str(path), fix="check the folder"
        ) from error
