"""services/ingest/replay/client.py: what ingest may answer, and what a replay makes of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.ingest.replay.client import Behind, Client
from uproar.errors import Malformed, Unavailable

DONE = {"accepted": 1, "duplicate": 0, "unmatched": 0, "rejected": 0, "reasons": {}}


@contextmanager
def answering(*answers: tuple[int, dict]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers in turn, the last for ever; its address and what came."""
    left, came = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, problem = left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps(problem).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", came
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
async def test_the_same_batch_is_sent_again_while_ingest_is_busy_or_broken(status):
    with answering((status, {}), (202, DONE)) as (to, came):
        async with Client(to, None, "replay", 5.0, backfill=False) as client:
            assert await client.send([b'{"id": "1"}']) == DONE
    assert came == [b'{"id": "1"}'] * 2


async def test_ingest_that_stays_broken_is_told_in_its_own_words():
    with answering((500, {"detail": "no disk"})) as (to, _):
        async with Client(to, None, "replay", 0.0, backfill=False) as client:
            with pytest.raises(Unavailable, match="no disk"):
                await client.send([b"{}"])


async def test_a_refusal_is_not_repeated():
    with answering((422, {"detail": "source: not a name"})) as (to, came):
        async with Client(to, None, "replay", 5.0, backfill=False) as client:
            with pytest.raises(Malformed, match="422: source: not a name"):
                await client.send([b"{}"])
    assert len(came) == 1


async def test_a_stream_that_has_come_further_says_how_far():
    with answering((409, {"up_to_reached": "2026-01-02T03:04:05+00:00"})) as (to, _):
        async with Client(to, None, "replay", 5.0, backfill=False) as client:
            with pytest.raises(Behind) as found:
                await client.send([b"{}"])
    assert found.value.reached.isoformat() == "2026-01-02T03:04:05+00:00"
