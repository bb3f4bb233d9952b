"""Every example runs against a server, and the README names every one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serve.integrations.served_sample import Fake, served

EXAMPLES = Path(__file__).parents[3] / "examples"
# What each prints, and what it needs beyond what is always there.
SAID = {
    "openai_client": ("", "exact: True   from: local"),
    "streaming": ("", "7 tokens in, 7 out"),
    "feedback": ("", "'recorded': True"),
    "ollama_client": ("ollama", "384 dimensions, first 0.0000"),
    "langchain_structured": ("langchain_openai", '"rationale_by": "rules"'),
    "langgraph_graph": ("langgraph", "report: {'yield_assessment': 'negative'"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Fake]]:
    fake = Fake()
    with served(tmp_path_factory.mktemp("served"), fake) as address:
        yield address, fake


@pytest.mark.slow
@pytest.mark.parametrize("name", SAID)
def test_an_example_runs(name: str, server: tuple[str, Fake]) -> None:
    needed, said = SAID[name]
    if needed:
        pytest.importorskip(needed)
    address, fake = server
    env = {key: value for key, value in os.environ.items() if key != "DENIZEN_KEY"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        capture_output=True,
        text=True,
        env={**env, "DENIZEN_URL": address},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    if name == "feedback":
        assert fake.feedback_given[-1][1:] == (1.0, "from examples/feedback.py")


def test_the_readme_names_every_example_and_no_other() -> None:
    files = {path.name for path in EXAMPLES.glob("*.py")}
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    assert {name for name in files if f"`{name}`" in readme} == files == {f"{n}.py" for n in SAID}
