"""The compose stack: hardened, internal, whole, and of one mind with Denizen's own configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from denizen.project.config import load_config
from denizen.serve.exchange import Outcome, Usage
from denizen.serve.operations.metrics import Metrics
from denizen.tasks import suite_of

DEPLOY = Path(__file__).parents[2] / "deploy"
STACK: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
CONFIG = load_config(DEPLOY / "denizen.yaml", required=True)
# What a service may say: the compose specification's words that this stack uses.
WORDS = {
    "image", "build", "user", "group_add", "environment", "secrets", "configs", "volumes", "tmpfs",
    "ports", "networks", "depends_on", "healthcheck", "stop_grace_period", "deploy", "read_only",
    "init", "cap_drop", "security_opt", "pids_limit", "restart", "logging", "entrypoint", "command",
    "shm_size",
}  # fmt: skip


def seconds(text: str) -> float:
    """A compose duration."""
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= WORDS
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, group = map(int, service["user"].split(":"))
    assert user > 0 and group > 0, "as root"
    assert re.search(r":[^:]*\d+\.\d+", service["image"]), "no exact version"
    assert "latest" not in service["image"]
    check = service["healthcheck"]
    assert check["test"][0] == "CMD" and {"interval", "timeout", "retries"} <= set(check)


def test_only_denizen_can_be_reached_and_only_from_this_machine() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["denizen"]
    port = CONFIG.serve.port
    assert SERVICES["denizen"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    outward = [name for name, net in STACK["networks"].items() if not (net or {}).get("internal")]
    assert outward == ["edge"]
    assert [n for n, service in SERVICES.items() if "edge" in service["networks"]] == ["denizen"]


def test_what_is_named_is_declared_and_there() -> None:
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(STACK["networks"]), name
        assert set(service.get("secrets", ())) <= set(STACK["secrets"]), name
        assert {c["source"] for c in service.get("configs", ())} <= set(STACK["configs"]), name
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("${") or source in STACK["volumes"], volume
    for config in STACK["configs"].values():
        assert (DEPLOY / config["file"]).is_file(), config
    for name in ("secrets", "configs", "volumes"):
        used = {
            (entry["source"] if isinstance(entry, dict) else entry.split(":")[0])
            for service in SERVICES.values()
            for entry in service.get(name, ())
        }
        assert set(STACK[name]) <= used, f"{name}: declared and not used"


def test_no_secret_stands_in_a_file() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASS|KEY|TOKEN|SECRET", key):
                assert key.endswith("_FILE"), (name, key)
                assert value.removeprefix("/run/secrets/") in service["secrets"], (name, key)
    assert all(set(secret) == {"file"} for secret in STACK["secrets"].values())
    address = urlsplit(CONFIG.serve.postgres)
    assert address.password is None and address.username == "denizen"
    assert not list(DEPLOY.glob("secrets/*"))


def test_the_configuration_and_the_stack_are_of_one_mind() -> None:
    denizen, vllm = SERVICES["denizen"], SERVICES["vllm"]
    given = {key.removesuffix("_FILE") for key in denizen["environment"]}
    assert {CONFIG.serve.backend_key_env, CONFIG.route.upstream_key_env, "PGPASSWORD"} == given
    for url in (CONFIG.serve.backend_url, CONFIG.serve.postgres, CONFIG.traces.export_url):
        other = SERVICES[str(urlsplit(url).hostname)]
        assert set(other["networks"]) & set(denizen["networks"]), url
    command = " ".join(vllm["command"])
    probe = SERVICES["postgres"]["healthcheck"]["test"]
    assert "--host=127.0.0.1" in probe, "its socket answers before the database is made"
    assert vllm["environment"]["USER"], "torch ends the start where its user has no name"
    assert f"--served-model-name {CONFIG.serve.backend_model} " in command
    assert f"--port {urlsplit(CONFIG.serve.backend_url).port} " in command
    assert int(command.rsplit("--max-model-len ", 1)[1]) == CONFIG.export.context
    assert seconds(denizen["stop_grace_period"]) > CONFIG.serve.drain_seconds
    assert CONFIG.serve.keys == "on", "reachable from beyond the container"
    workspace = next(v.split(":")[1] for v in denizen["volumes"])
    assert Path(CONFIG.serve.index).is_relative_to(workspace)
    assert CONFIG.traces.content != "full"
    # What the n8n workflow asks for is checked by the rules only if the server knows them.
    assert "analyst_report" in suite_of(CONFIG.data.families).names


def test_no_bound_is_promised_where_no_router_can_be_calibrated() -> None:
    # Only a GGUF tells margins; behind another server there is nothing to calibrate.
    assert CONFIG.serve.backend == "openai"
    readme = (DEPLOY / "README.md").read_text("utf-8")
    assert "router: not calibrated" in readme and "no bound" in readme
    assert "calibrate" not in (DEPLOY / "docker-compose.yml").read_text("utf-8")


def test_prometheus_asks_who_is_there_for_figures_that_exist() -> None:
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    near = set(SERVICES["prometheus"]["networks"])
    for job in asked:
        name, port = job["static_configs"][0]["targets"][0].split(":")
        assert near & set(SERVICES[name]["networks"]) and int(port) > 0
    assert asked[0]["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    assert "metrics_key" in SERVICES["prometheus"]["secrets"]
    metrics = Metrics()
    metrics.observe("/v1/chat/completions", 200, 0.1, Outcome("m", Usage()))
    known = set(re.findall(r"^(denizen_\w+)", metrics.text(), re.MULTILINE))
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len(rules) >= 5
    for rule in rules:
        named = set(re.findall(r"denizen_\w+", rule["expr"]))
        assert named <= known, f"{rule['alert']} asks for {sorted(named - known)}"
        # A quotient of figures with unlike labels matches nothing and never wakes anybody.
        for side in rule["expr"].split(" / ") if " / " in rule["expr"] else []:
            assert side.startswith("sum("), rule["alert"]
        assert rule["annotations"]["summary"] and rule["labels"]["severity"]
