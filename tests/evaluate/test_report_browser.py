"""The report in a real browser: it fits a phone, follows the scheme, and asks nobody for anything."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from evaluate_sample import report_data

from denizen.evaluate import write_report

# Runs in a page of its own beside the report; the report itself holds no script.
PROBE = """<body><iframe id=f src="%s" style="width:%dpx;height:900px;border:0"></iframe><script>
onload = () => {
  const w = document.getElementById('f').contentWindow, d = w.document.documentElement;
  const wide = [...w.document.querySelectorAll('body *')].filter(x =>
    x.getBoundingClientRect().right > d.clientWidth + 1 && !x.closest('svg,pre')).length;
  const clipped = [...w.document.querySelectorAll('svg')].filter(s => {
    const box = s.getBoundingClientRect();
    return [...s.querySelectorAll('text')].some(t => {
      const b = t.getBoundingClientRect();
      return b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1;
    });
  }).map(s => s.getAttribute('aria-label'));
  document.body.dataset.seen = JSON.stringify({
    scroll: d.scrollWidth, width: d.clientWidth, wide, clipped,
    back: w.getComputedStyle(w.document.body).backgroundColor,
    svgs: w.document.querySelectorAll('svg').length,
  });
};
</script>"""


class Site:
    """This machine as every host there is: whatever a page asks for, from anyone, is noted."""

    def __init__(self, folder: Path) -> None:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def send_head(self) -> Any:
                asked.append(f"{self.headers.get('Host')}{self.path}")
                return super().send_head()

            def log_message(self, *_: object) -> None: ...

        self.folder, self.asked = folder, asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()

    def look(self, name: str, width: int, *, dark: bool = False) -> dict[str, Any]:
        """What a browser sees of a page in a frame of this width."""
        browser = shutil.which("chromium")
        if browser is None:
            pytest.skip("chromium is not installed (apt-get install chromium)")
        (self.folder / "probe.html").write_text(PROBE % (name, width))
        self.asked.clear()
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-features=NetworkTimeServiceQuerying",
                f"--host-resolver-rules=MAP * 127.0.0.1:{self.port}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--user-data-dir={self.folder / 'profile'}",
                "--window-size=1400,1000",
                "--virtual-time-budget=3000",
                "--dump-dom",
                "http://report.test/probe.html",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        seen = re.search(r'data-seen="([^"]*)"', done.stdout)
        assert seen, done.stderr[-500:]
        found: dict[str, Any] = json.loads(html.unescape(seen[1]))
        own = {"report.test/probe.html", f"report.test/{name}", "report.test/favicon.ico"}
        return found | {"asked": sorted(set(self.asked) - own)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_it_fits_follows_the_scheme_and_asks_for_nothing(site: Site) -> None:
    page = write_report(site.folder / "report.html", report_data()).html
    backs = set()
    for width in (390, 1280):
        for dark in (False, True):
            seen = site.look(page.name, width, dark=dark)
            assert seen["scroll"] == seen["width"] == width, f"scrolls sideways: {seen}"
            assert seen["wide"] == 0, f"{seen['wide']} elements stick out at {width}px"
            assert seen["clipped"] == [], f"labels are clipped at {width}px"
            assert seen["asked"] == [] and seen["svgs"] > 15
            backs.add(seen["back"])
    assert len(backs) == 2, "light and dark look the same"


@pytest.mark.slow
def test_the_probe_would_see_a_request_and_an_overflow(site: Site) -> None:
    (site.folder / "bad.html").write_text(
        '<!doctype html><meta name="viewport" content="width=device-width">'
        '<img src="http://elsewhere.test/pixel.png"><div style="width:500px">wide</div>'
        '<svg viewBox="0 0 10 10" aria-label="x"><text x="9">far too long</text></svg>'
    )
    seen = site.look("bad.html", 390)
    assert seen["asked"] == ["elsewhere.test/pixel.png"]
    assert seen["wide"] > 0 and seen["scroll"] > 390 and seen["clipped"] == ["x"]
