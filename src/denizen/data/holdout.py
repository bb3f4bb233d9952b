"""The frozen holdout: carried as files with a fixed SHA-256, never generated at run time.

Contract: `load_holdout()` gives every item after checking the hashes (the core families' exam and
the wide one of all others); `stratified(items, n)` a fixed sample with each family in proportion.
`python -m denizen.data.holdout wide` freezes a file anew (a change of the exam, done once per
version and reviewed).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError
from denizen.project.hashing import sha256_bytes, sha256_file
from denizen.tasks import CORE, FAMILIES, Item, find_spans, offers, verify

# File and SHA-256 of each part of the exam.
PARTS = {
    "core": (
        "holdout-v1.jsonl",
        "506246a558ba0d97617a41702acb2a1daba582f6bb5b1c653d9baef8737f2272",
    ),
    "wide": (
        "holdout-wide-v1.jsonl",
        "5b7fb2fb358774455fa457657b3858b1b4fc6c21c85457fb0a067eee3c9742d8",
    ),
}
PER_FAMILY = {"core": 72, "wide": 40}
MECHANICS = 126


def load_holdout(families: Collection[str] | None = None) -> list[Item]:
    """All frozen items, or some families'; ArtefactError if a file is not the frozen one."""
    items = []
    for name, sha256 in PARTS.values():
        data = (files("denizen.data") / "assets" / name).read_bytes()
        found = sha256_bytes(data)
        if found != sha256:
            raise ArtefactError(
                f"the holdout is not the frozen one: SHA-256 {found[:16]}, expected {sha256[:16]}",
                where=name,
                fix="reinstall denizen; an edited exam proves nothing",
            )
        items += [Item.from_json(json.loads(line)) for line in data.decode("utf-8").splitlines()]
    return [item for item in items if families is None or item.family in families]


def stratified(items: list[Item], count: int) -> list[Item]:
    """`count` items, each family in proportion (at least one), in holdout order."""
    if count >= len(items):
        return items
    by_family: dict[str, list[Item]] = {}
    for item in items:
        by_family.setdefault(item.family, []).append(item)
    quota = {name: max(1, count * len(rows) // len(items)) for name, rows in by_family.items()}
    for name in sorted(by_family, key=lambda n: -len(by_family[n])):
        if sum(quota.values()) >= count:
            break
        quota[name] += 1
    chosen: set[str] = set()
    for name, rows in by_family.items():
        # Evenly spaced: the file is ordered by template, so every template is touched.
        step = len(rows) / quota[name]
        chosen.update(rows[int(i * step)].id for i in range(quota[name]))
    return [item for item in items if item.id in chosen]


def freeze(part: str) -> list[Item]:
    """Generate a part: all templates of each of its families in turn, no question twice."""
    frozen: list[Item] = []
    for name, family in FAMILIES.items():
        if (name in CORE) != (part == "core"):
            continue
        wanted = MECHANICS if name == "mechanics" else PER_FAMILY[part]
        pools: dict[str, list[Item]] = {}
        for seed in range(wanted * 40):
            item = family.generate(seed, "holdout")
            if verify(item, item.answer).ok and offers(item, family.schema) and _plain(item):
                pools.setdefault(item.template, []).append(item)
        frozen += _round_robin(pools, wanted)
    return frozen


def _plain(item: Item) -> bool:
    """No quantity twice in one question: the gold call must be the only right reading."""
    spans = find_spans(item.prompt)
    return all(item.prompt.count(span) == 1 for span in spans if len(span) > 3)


def _round_robin(pools: dict[str, list[Item]], wanted: int) -> list[Item]:
    chosen: list[Item] = []
    seen: set[str] = set()
    depth = 0
    while len(chosen) < wanted and depth < max(map(len, pools.values())):
        for template in sorted(pools):
            rows = pools[template]
            if depth < len(rows) and rows[depth].prompt not in seen and len(chosen) < wanted:
                seen.add(rows[depth].prompt)
                chosen.append(rows[depth])
        depth += 1
    return sorted(chosen, key=lambda item: (item.template, item.seed))


def main() -> None:
    """Write a part's asset and print its hash."""
    part = sys.argv[1] if sys.argv[1:] in (["core"], ["wide"]) else sys.exit("core or wide?")
    name = PARTS[part][0] if part in PARTS else f"holdout-{part}-v1.jsonl"
    target = Path(__file__).with_name("assets") / name
    items = freeze(part)
    with atomic_path(target) as temporary:
        lines = (json.dumps(i.to_json(), ensure_ascii=False, sort_keys=True) for i in items)
        temporary.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{len(items)} items, SHA-256 {sha256_file(target)}")


if __name__ == "__main__":
    main()
