"""The image, its entrypoint and the unit: pinned, without root, and checked by their own tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
UNIT = DEPLOY / "systemd" / "denizen.service"


def test_the_image_is_pinned_staged_and_not_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases == ["python:${PYTHON}"] * 2
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["10001:10001"]
    assert last.index("USER ") < last.index("ENTRYPOINT")
    assert not re.search(r"^ADD |curl|wget|latest|--index-url|://", DOCKERFILE, re.MULTILINE)
    # Nothing is copied that is not there, or that .dockerignore keeps from the builder.
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in (word for word in sources.split() if not word.startswith("--")):
            assert (ROOT / source).exists(), source
            assert f"!{source}" in kept, source


def test_constraints_are_exact_and_within_what_the_project_allows() -> None:
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all("://" not in line and "@" not in line for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    for requirement in map(Requirement, wanted):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pins, f"{name} is not pinned"
        assert requirement.specifier.contains(pins[name]), f"{requirement} and {pins[name]}"


def entry(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """The entrypoint with an environment of its own."""
    return subprocess.run(
        ["sh", str(DEPLOY / "entrypoint.sh"), *command],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **env},
    )


def test_the_entrypoint_reads_secrets_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "key with space"
    secret.write_text("p$(id)`x`\"'\\ q\n")
    done = entry({"A_KEY_FILE": str(secret), "PLAIN": "1"}, "sh", "-c", 'printf %s "$A_KEY"; env')
    assert done.returncode == 0 and done.stdout.startswith("p$(id)`x`\"'\\ q")
    assert "A_KEY_FILE" not in done.stdout and "PLAIN=1" in done.stdout
    missing = entry({"A_KEY_FILE": str(tmp_path / "no")}, "echo", "started")
    assert missing.returncode == 2 and not missing.stdout
    assert missing.stderr.startswith("error: cannot read the secret of A_KEY")
    assert entry({}, "sh", "-c", "exit 7").returncode == 7
    for script in (DEPLOY / "entrypoint.sh", DEPLOY / "postgres" / "role.sh"):
        assert os.access(script, os.X_OK)
        assert subprocess.run(["sh", "-n", str(script)]).returncode == 0


def test_the_entrypoint_leaves_the_certificates_alone(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no secret")
    done = subprocess.run(
        ["sh", str(DEPLOY / "entrypoint.sh"), "sh", "-c", 'echo "$SSL_CERT_FILE $SSL_CERT"'],
        env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(bundle)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(bundle)


def test_the_service_owns_the_keys_that_are_made_for_it() -> None:
    said = dict(line.split("=", 1) for line in UNIT.read_text("utf-8").splitlines() if "=" in line)
    # `denizen keys` writes files of mode 0600: whoever runs it must be the service's user.
    assert "DynamicUser" not in said
    user, place = said["User"], f"/var/lib/{said['StateDirectory']}"
    readme = (DEPLOY / "README.md").read_text("utf-8")
    assert f"useradd --system --user-group --home-dir {place}" in readme
    assert f"chown -R {user}:{said['Group']} {place}" in readme
    program = said["ExecStart"].split()[0]
    assert f"sudo -u {user} {program} keys create" in readme and f"--workspace {place}" in readme


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit_and_finds_it_confined(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8")
    assert "Type=notify" in text
    unit = tmp_path / "denizen.service"
    # Only the program is missing on the machine that tests.
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    assert checked.returncode == 0 and "denizen.service" not in checked.stderr, checked.stderr
    wrong = unit.with_name("wrong.service")
    wrong.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHom=yes"))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(wrong)], capture_output=True, text=True
    )
    assert "ProtectHom" in told.stderr, "and it would have said so"
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout[-600:] + rated.stderr


def test_no_file_here_names_a_machine_or_a_registry() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            assert not re.search(r"/root/|/work/|pypi\.org|index-url|\u2014", text), path
