"""Read public sets from a local folder or from the model hub, and say which line is wrong.

Contract: `read_set` gives the set's items in file order; a limit takes evenly spaced ones, so that
every task of a set is asked and the choice never depends on the answers.  A missing file, a field
that is not there, a repository that cannot be had: one DataError with file and line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from denizen.evaluate.general.items import Form, GeneralItem, GeneralSet, Parts, Record
from denizen.project.errors import DataError
from denizen.project.hashing import content_hash

Hub = Literal["hub"]
# (repository, configuration or None, split) to rows; what `hub_rows` is.
LoadRows = Callable[[str, str | None, str], Iterable[Record]]


def read_sets(
    sets: Iterable[GeneralSet],
    source: Path | Hub,
    *,
    limit: int | None = None,
    load: LoadRows | None = None,
) -> dict[str, tuple[GeneralItem, ...]]:
    """The items of each set by name; see `read_set`."""
    return {one.name: read_set(one, source, limit=limit, load=load) for one in sets}


def read_set(
    one: GeneralSet,
    source: Path | Hub,
    *,
    limit: int | None = None,
    load: LoadRows | None = None,
) -> tuple[GeneralItem, ...]:
    """Items of one set from a folder of JSONL files or from the hub, at most `limit`.

    `load` replaces the hub's loader.  Raises DataError.
    """
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} leaves nothing", where=one.name, fix="give 1 or more")
    if source == "hub":
        rows, form = _hub(one, load or hub_rows), one.from_hub
    else:
        rows, form = _lines(Path(source) / one.file, one), one.local
    items = tuple(_item(one, form, n, where, record) for n, (where, record) in enumerate(rows))
    if not items:
        raise DataError(f"{one.name} has no records", where=str(source), fix="fetch the set again")
    if limit is None or limit >= len(items):
        return items
    return tuple(items[n * len(items) // limit] for n in range(limit))


def hub_rows(repository: str, config: str | None, split: str) -> Sequence[Record]:
    """Rows of one split, downloaded and cached by `datasets`; repositories' own code never runs."""
    import datasets

    rows: Sequence[Record] = datasets.load_dataset(repository, config, split=split)
    return rows


def _lines(path: Path, one: GeneralSet) -> Iterator[tuple[str, Any]]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the public set {one.name}: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            fix=f"put {one.file} there, or read the set from the hub ({one.hub.repository})",
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            yield where, json.loads(line)
        except ValueError as error:
            raise DataError(
                f"not a JSON record ({error})", where=where, fix="fetch the file again"
            ) from error


def _hub(one: GeneralSet, load: LoadRows) -> Iterator[tuple[str, Any]]:
    repository, split, configs = one.hub
    for config in configs or (None,):
        place = f"{repository}/{config or ''}:{split}"
        try:
            rows = load(repository, config, split)
        except Exception as error:  # `datasets` and its file systems raise every kind
            raise DataError(
                f"cannot read {one.name} from the hub: {type(error).__name__}: {error}"[:300],
                where=place,
                fix=f"check the network, or put {one.file} in a folder and name that",
            ) from error
        for number, row in enumerate(rows, 1):
            yield f"{place}:{number}", {**row, "config": config} if len(configs) > 1 else row


def _item(one: GeneralSet, form: Form, number: int, where: str, record: Any) -> GeneralItem:
    if not isinstance(record, dict):
        raise DataError("not a JSON object", where=where, fix="fetch the file again")
    try:
        parts: Parts = form(record)
        digest = content_hash(json.loads(json.dumps(parts._asdict())))[:8]
    except KeyError as error:
        has = ", ".join(sorted(record)) or "none"
        raise DataError(
            f"{one.name} needs a field {error.args[0]!r} (this record's: {has})",
            where=where,
            fix="the set was renamed or is another one: fetch the version named in the docs",
        ) from error
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"a record of {one.name} cannot be used: {error}",
            where=where,
            fix="correct the line or fetch the file again",
        ) from error
    key = f"{one.name}:{number:05d}:{digest}"
    prompt, expected, options, contexts, gold, facts, template = parts
    return GeneralItem(key, one, prompt, expected, options, contexts, gold, facts, template or key)
