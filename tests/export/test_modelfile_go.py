"""The small renderer of Go templates against what Go itself rendered (recorded, Go 1.27.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denizen.export.gotemplate import parse
from denizen.export.templates import FAMILIES
from denizen.project import TemplateError

RECORDED = json.loads(Path(__file__).with_name("go_rendered.json").read_text("utf-8"))


@pytest.mark.parametrize("entry", RECORDED["templates"], ids=lambda e: e["template"][:40])
def test_it_renders_what_go_renders(entry: dict[str, Any]) -> None:
    template = parse(entry["template"])
    for turns, expected in zip(RECORDED["conversations"], entry["rendered"], strict=True):
        messages = [{"role": role, "content": content} for role, content in turns]
        system = "\n\n".join(content for role, content in turns if role == "system")
        assert template.render(system, messages) == expected


def test_every_family_was_recorded() -> None:
    recorded = {entry["template"] for entry in RECORDED["templates"]}
    assert {family.go for family in FAMILIES} <= recorded


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Nothing }}",
        "{{ range .Messages }}",
        "{{ if .System }}a",
        "{{ with .System }}a{{ end }}",
        '{{ template "x" }}',
        "{{ .System | len }}",
        "{{ index .Messages 0 }}",
        "{{ $x }}",
        "{{ $x = 1 }}",
        "{{ eq .System 1 }}",
        "{{ slice .Messages 9 }}",
        '{{ "\\x41" }}',
        "{{ .System",
        "{{ }}",
        "{{ .Messages }}",
        "{{ (len .System }}",
        "{{ range $a, $b, $c := .Messages }}{{ end }}",
        "{{ not 1 2 }}",
        "{{ 1 2 }}",
    ],
)
def test_what_it_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="cannot be proven") as caught:
        parse(text).render("s", [{"role": "user", "content": "x"}])
    assert "\n" not in str(caught.value)
