"""`denizen ingest docs`: documents into the index that answers are cited from.

Contract: `docs` is the command that `denizen ingest` hooks in.  What is unchanged is not read anew,
a killed run goes on where it stopped, a poisoned document is held back until a person names it with
--release-quarantined.  Whatever came from a document is shown without control characters.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    say,
    workspace_of,
)
from denizen.project.errors import DataError

if TYPE_CHECKING:
    from denizen.project.progress import Bar
    from denizen.retrieve import Index, IngestReport, Raw, Source, Stated, Unread

FORMATS = ".md .mdx .adoc .html .pdf .sol"
PLACE = "place of "  # setting that keeps where a collection came from
SHOWN = 12  # documents listed under one heading; --json has them all


def docs(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help=f"Folders, documents ({FORMATS}) or URL lists."),
    ],
    licence: Annotated[str, typer.Option(help="Licence of all of them, as SPDX has it.")] = "",
    as_of: Annotated[str, typer.Option(help="Day their content holds for, as 2026-11-01.")] = "",
    expires: Annotated[str, typer.Option(help="Day from which they count as stale.")] = "",
    collection: Annotated[
        str, typer.Option(help="Name they are cited under (default: the path's own).")
    ] = "",
    index: Annotated[
        Path | None, typer.Option(help="Index folder (default serve.index, or WORKSPACE/index).")
    ] = None,
    postgres: Annotated[
        str,
        typer.Option(
            help="PostgreSQL address of the index (default serve.postgres).",
            envvar="DENIZEN_POSTGRES",
        ),
    ] = "",
    release: Annotated[
        list[str] | None,
        typer.Option("--release-quarantined", metavar="ID", help="Let this document through."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch addresses of private networks too.")
    ] = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Read documents into the index; run again to bring it up to date."""
    from denizen.project.progress import Bar
    from denizen.retrieve import open_index

    settings = config_of(config)
    stated = _stated(licence, as_of, expires)
    sources = [_source(path, collection, stated, allow_private) for path in paths]
    named = list(zip(sources, paths, strict=True))
    _named_apart(sources, paths)
    folder = index or (
        Path(settings.serve.index)
        if settings.serve.index
        else workspace_of(workspace).path("index")
    )
    opened = open_index(
        folder,
        postgres=postgres or settings.serve.postgres,
        create=True,
        say=(lambda _: None) if json else say,
    )
    try:
        places = {PLACE + source.collection: _resolved(path) for source, path in named}
        if not collection:
            _same_places(opened, places)
        with Bar("ingest docs", 1.0, json).shown() as bar:
            report = _ingested(opened, sources, release or (), places, bar)
        _some_came(report)
        value = {**report.to_json(), **_holdings(opened), "index": opened.store.where}
    finally:
        opened.close()
    emit(value, json, "\n".join(lines(value)))


def _stated(licence: str, as_of: str, expires: str) -> Stated:
    from denizen.retrieve import Stated
    from denizen.retrieve.sources import check_dates

    try:
        return check_dates(Stated(licence=licence.strip(), as_of=as_of, expires=expires))
    except ValueError as error:
        raise DataError(
            f"not a day: {error}", where="--as-of, --expires", fix="write it as 2026-11-01"
        ) from error


def _source(path: str, collection: str, stated: Stated, allow_private: bool) -> Source:
    from denizen.retrieve import UrlList, source_of
    from denizen.retrieve.fetching import read_list

    if "://" in path:
        raise DataError(
            f"an address is not a path: {shown(path)}",
            where="ingest docs",
            fix="write addresses into a text file, one a line, and name the file",
        )
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError("no such file or folder", where=shown(path), fix="check the path")
    if place.is_dir() and not os.access(place, os.R_OK | os.X_OK):
        raise DataError("cannot read the folder", where=str(place), fix="check its permissions")
    # "." and ".." have no name of their own.
    own = place if place.name not in ("", "..") else place.resolve()
    # A folder's name is whole: v3.1 is not v3.
    name = collection or (own.name if place.is_dir() else own.stem)
    source = source_of(place, name, stated, allow_private=allow_private)
    if place.is_dir() and next(iter(source.read()), None) is None:
        raise DataError(
            "no documents in the folder", where=str(place), fix=f"formats read: {FORMATS}"
        )
    if isinstance(source, UrlList):
        read_list(source.path)  # a bad list is told before an index is made
    return source


def _named_apart(sources: Sequence[Source], paths: Sequence[str]) -> None:
    counts = Counter(source.collection for source in sources)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise DataError(
            f"two of the paths are named {shown(twice[0])!r}",
            where=" ".join(map(shown, paths)),
            fix="ingest them one at a time, with --collection NAME",
        )


def _same_places(index: Index, places: Mapping[str, str]) -> None:
    """Another place of the same name would replace all that came from the first."""
    before = index.store.settings()
    for key, place in places.items():
        known = before.get(key, place)
        # What is gone from its place was moved: then this is where it is now.
        if known != place and Path(known).exists():
            raise DataError(
                f"in this index {shown(key.removeprefix(PLACE))!r} is {shown(known)}",
                where=shown(place),
                fix="name this one with --collection NAME (the same name replaces the other)",
            )


def _resolved(path: str) -> str:
    whole = os.fsencode(Path(path).expanduser().resolve())
    return whole.decode("utf-8", "replace")


def _ingested(
    index: Index,
    sources: Sequence[Source],
    release: Sequence[str],
    places: Mapping[str, str],
    bar: Bar,
) -> IngestReport:
    """One ingest under a bar: documents as they are read, then the share of chunks embedded."""
    from denizen.retrieve import ingest

    count = itertools.count(1)
    watched = [
        Watched(source, lambda: bar.advance(0, f"{next(count)} documents read"))
        for source in sources
    ]

    def embedded(done: int, total: int) -> None:
        bar.update(done / total, f"{done} of {total} chunks embedded")

    return ingest(index, watched, allow=release, progress=embedded, settings=places)


def _some_came(report: IngestReport) -> None:
    """A run in which nothing at all could be read is an error, not a report."""
    came = report.added or report.changed or report.unchanged or report.moved or report.empty
    if report.failed and not (came or report.removed or report.quarantined):
        name, reason = next(iter(report.failed.items()))
        raise DataError(
            f"none of {len(report.failed)} documents could be read: {shown(reason)}",
            where=shown(name),
            fix="what the index held is kept; mend the source and run it again",
        )


def _holdings(index: Index) -> dict[str, Any]:
    """What the index holds now; opening its snapshot makes it ready to be searched."""
    licences: Counter[str] = Counter()
    known = index.store.known()
    for key in known:
        if (document := index.store.document(key)) is not None:
            licences[document.licence] += 1
    return {
        "documents": len(known),
        "chunks_in_index": len(index.snapshot().keys) if known else 0,
        "licences": dict(licences.most_common()),
        "held": {q.id: list(q.reasons) for q in index.store.quarantine()},
    }


def lines(value: dict[str, Any]) -> list[str]:
    """The report for a reader."""
    from denizen.retrieve.documents import UNKNOWN_LICENCE

    made = [
        f"{value['documents']} documents, {value['chunks_in_index']} chunks in {value['index']}",
        f"{len(value['added'])} new, {len(value['changed'])} changed, {value['unchanged']} "
        f"unchanged, {len(value['removed'])} removed, {len(value['moved'])} moved stubs dropped, "
        f"{len(value['empty'])} empty; {value['embedded']} chunks embedded in "
        f"{value['seconds']:.1f} s",
    ]
    if value["licences"]:
        told = ", ".join(f"{shown(name)} {n}" for name, n in value["licences"].items())
        made.append(f"licences: {told}")
    if unknown := value["licences"].get(UNKNOWN_LICENCE):
        made.append(f"  {unknown} state no licence: name it with --licence, or in sources.yaml")
    held = {key: "; ".join(reasons) for key, reasons in value["held"].items()}
    made += _listed("quarantined (not in the index)", held)
    if held:
        # With its own options: without --licence, say, all would lose theirs.
        first = shown(next(iter(held)))
        made.append(f"  after reading one: the same command with --release-quarantined {first}")
    gone = {key: why for key, why in value["failed"].items() if key in value["removed"]}
    kept = {key: why for key, why in value["failed"].items() if key not in gone}
    made += _listed("gone (removed from the index)", gone)
    made += _listed("failed (what the index held of them is kept)", kept)
    return made


def _listed(title: str, found: dict[str, str]) -> list[str]:
    if not found:
        return []
    rows = [f"  {shown(key)}: {shown(reason)}" for key, reason in list(found.items())[:SHOWN]]
    more = [f"  and {len(found) - SHOWN} more (see --json)"] if len(found) > SHOWN else []
    return [f"{title}: {len(found)}", *rows, *more]


def shown(text: str) -> str:
    """Text of a document or a file name as a terminal may see it: printable, and short."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:200]


@dataclass(frozen=True)
class Watched:
    """A source that tells of every document it gives."""

    source: Source
    tell: Callable[[], None]

    @property
    def collection(self) -> str:
        return self.source.collection

    def read(self) -> Iterator[Raw | Unread]:
        for found in self.source.read():
            self.tell()
            yield found
