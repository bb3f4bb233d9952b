"""A stronger model that misbehaves: answers, rubbish, errors and delays, on a loopback port.

Contract: `python -m benchmarks.soak_upstream PORT` serves OpenAI's chat completions until it is
killed; one reply in eight is HTML with status 200, one a 500, one is late.
"""

from __future__ import annotations

import http.server
import itertools
import json
import sys
import time

_SAID = "v3. <calc>il_full(entry=1000; now=1100)</calc>"
_ANSWER = {
    "id": "chatcmpl-soak",
    "object": "chat.completion",
    "created": 0,
    "model": "soak",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _SAID},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32},
}
_COUNT = itertools.count()


class _Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        number = next(_COUNT) % 8
        if number == 3:
            time.sleep(1.5)
        status = 500 if number == 5 else 200
        body = b"<html>busy</html>" if number == 6 else json.dumps(_ANSWER).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Upstream).serve_forever()
