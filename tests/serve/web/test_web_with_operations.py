"""The endpoint with the real operations: keys, scopes, rates and metrics, told to the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from scripted import Scripted, server

from denizen.project.config import ServeConfig
from denizen.serve.background import serving
from denizen.serve.operations import KeyStore, Operations
from denizen.serve.operations.gate import Gate

MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The address, a key that may chat, and one that may read metrics."""
    store = KeyStore(tmp_path)
    secrets = [
        store.create(name, scopes)[1]
        for name, scopes in (("chatter", ("chat", "embeddings")), ("watcher", ("metrics",)))
    ]
    settings = ServeConfig(requests_per_minute=3)
    operations = Operations.from_config(settings, tmp_path)
    app = Gate(server(Scripted(), operations, settings=settings), operations)
    with serving(app) as url:
        yield url, *secrets
    operations.close()


def test_keys_scopes_and_rates(keyed: tuple[str, str, str]) -> None:
    url, chatter, watcher = keyed
    stranger = openai.OpenAI(base_url=url, api_key="dnz_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as unknown:
        stranger.chat.completions.create(model="denizen", messages=MESSAGES)
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()
    client = openai.OpenAI(base_url=url, api_key=chatter, max_retries=0)
    with pytest.raises(openai.PermissionDeniedError, match="logprobs"):
        client.chat.completions.create(model="denizen", messages=MESSAGES, logprobs=True)
    reply = client.chat.completions.with_raw_response.create(model="denizen", messages=MESSAGES)
    assert reply.parse().choices[0].message.content == "Hello"
    assert reply.headers["x-ratelimit-limit-requests"] == "3"
    client.embeddings.create(model="minilm", input="a")
    with pytest.raises(openai.RateLimitError) as slow:
        client.chat.completions.create(model="denizen", messages=MESSAGES)
    assert int(slow.value.response.headers["retry-after"]) >= 1
    base = url.removesuffix("/v1")
    assert httpx.get(f"{base}/metrics").status_code == 401
    told = httpx.get(f"{base}/metrics", headers={"authorization": f"Bearer {watcher}"}).text
    assert 'denizen_requests_total{route="/v1/chat/completions",status="429"} 1.0' in told
    assert 'denizen_tokens_total{direction="out"} 3.0' in told
    assert httpx.get(f"{base}/readyz").status_code == 200
