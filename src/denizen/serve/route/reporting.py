"""`denizen route report`: reads what calibration kept, asks the upstream once, makes the report.

Contract: nothing is fitted or decided here; the upstream's answers are kept, so a second report
asks nothing.  Raises ArtefactError where there is no calibration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project import Bar
from denizen.project.errors import ArtefactError
from denizen.serve.route.audit import Auditor
from denizen.serve.route.calibration import FOLDER, file_of, read_calibration
from denizen.serve.route.fingerprint import depends_on, differing
from denizen.serve.route.frontier import Frontier, cache_file, frontier_answers
from denizen.serve.route.questions import halves
from denizen.serve.route.report import RouteReport, make_report
from denizen.serve.route.scored import Scored, read_scored
from denizen.serve.route.upstream import Upstream
from denizen.tasks import suite_of

if TYPE_CHECKING:
    from denizen.project import Config


def report_of(
    workspace: Path,
    config: Config,
    *,
    quiet: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RouteReport:
    """The report of a workspace's calibration."""
    calibration = read_calibration(workspace)
    if calibration is None:
        raise ArtefactError(
            "the router is not calibrated",
            where=str(file_of(workspace)),
            fix="run `denizen route calibrate` first",
        )
    suite = suite_of(config.data.families)
    if differs := differing(calibration.depends, depends_on(config, suite, calibration.gguf)):
        say(f"the configuration has another {', '.join(differs)} now: the server will not use this")
    _, testing = halves(read_scored(workspace / FOLDER / Path(calibration.answers).name))
    upstream = Upstream.from_config(config.route)
    frontier = None
    if upstream is None:
        say("no upstream is named (route.upstream_url): the report is of local answers alone")
    else:
        frontier = _ask(upstream, config, testing, workspace / FOLDER, quiet)
        if frontier.failed:
            first = next(iter(frontier.failed.values()))
            say(f"the upstream gave no answer to {len(frontier.failed)} questions: {first}")
    auditor = Auditor.from_config(config.route, workspace, calibration.created)
    return make_report(
        calibration,
        testing,
        local_price=config.route.local_price,
        upstream_price=config.route.upstream_price,
        audit=config.route.audit,
        upstream=config.route.upstream_model,
        frontier=frontier,
        audits=auditor.state if auditor.state.audits else None,
    )


def _ask(
    upstream: Upstream, config: Config, testing: list[Scored], folder: Path, quiet: bool
) -> Frontier:
    suite = suite_of(config.data.families)
    path = cache_file(folder, config.route.upstream_url, upstream.model, testing)

    async def run(bar: Bar) -> Frontier:
        try:
            return await frontier_answers(
                upstream, testing, path, suite=suite, on_done=lambda done: bar.update(done)
            )
        finally:
            await upstream.close()

    with Bar("frontier answers", len(testing), quiet).shown() as bar:
        return asyncio.run(run(bar))
