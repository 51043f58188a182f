"""A web server on this machine that behaves as badly as it is told to."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest


@dataclass
class Server:
    """What the server has, what it shall do, and what it was asked."""

    base: str = ""
    """Its address."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """What lies at which path."""

    moods: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What it does at the next requests for a path, and from then on behaves.

    ``cut N`` breaks off after N bytes, ``status N`` answers so, ``redirect PATH`` sends there,
    ``silent`` says nothing for a while, ``no range`` ignores what part is asked for, ``other
    range`` sends another part, ``endless`` does not say how much there is.
    """

    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and range of each request."""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append((self.path, wanted))
            mood = state.moods[self.path].pop(0) if state.moods[self.path] else "good"
            verb, _, value = mood.partition(" ")
            if verb == "silent":
                time.sleep(0.4)
                return
            if verb == "redirect":
                self.send_response(302)
                self.send_header("Location", value)
                self.end_headers()
                return
            if verb == "status" or self.path not in state.contents:
                self.send_error(int(value) if verb == "status" else 404)
                return
            self._send(state.contents[self.path], wanted, mood)

        def _send(self, content: bytes, wanted: str, mood: str) -> None:
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            start = int(found[1]) if found and mood != "no range" else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                first = start + (1 if mood == "other range" else 0)
                self.send_header(
                    "Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"
                )
            if mood != "endless":
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            most = int(mood.removeprefix("cut ")) if mood.startswith("cut ") else len(content)
            self.wfile.write(content[start:][:most])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.base = f"http://127.0.0.1:{http.server_address[1]}"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
