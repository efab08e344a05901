"""The load: prepared requests over kept-alive connections, from one asyncio process that is not the server's."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: which request it belongs to, and how long it took from when it was due."""

    index: int
    status: int
    head: bytes
    seconds: float

    def header(self, name: str) -> Iterator[str]:
        """Every value of a header, in order."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            field, _, value = line.partition(":")
            if field.lower() == name:
                yield value.strip()


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its answers in the order of the requests, and how long all of it took."""

    answers: Sequence[Answer]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.answers) / self.seconds

    def statuses(self) -> set[int]:
        return {answer.status for answer in self.answers}


def keep_busy(port: int, requests: Sequence[bytes], clients: int, within: float = inf) -> Run:
    """Closed loop: each client sends its next request when the last one is answered. None is begun after `within`
    seconds."""
    return asyncio.run(_keep_busy(port, requests, clients, within))


def in_clumps(port: int, requests: Sequence[bytes], clumps: int, every: float, clients: int) -> Run:
    """Open loop: equal clumps come at fixed times, answered or not; waiting for a free connection counts as time."""
    return asyncio.run(_in_clumps(port, requests, clumps, every, clients))


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    return _request("POST", path, {**headers, "Content-Length": str(len(body))}) + body


def get(path: str, headers: dict[str, str] | None = None) -> bytes:
    return _request("GET", path, headers or {})


def _request(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Connection(asyncio.Protocol):
    """One kept-alive connection: one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = bytearray()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = bytes(self._buffer[:end])
        if len(self._buffer) >= end + 4 + _length(head):
            self._buffer.clear()
            self._waiting.set_result((int(head[9:12]), head))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await asyncio.wait_for(self._waiting, ANSWER_SECONDS)

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    return 0 if start < 0 else int(lower[start + 17 :].split(b"\r\n", 1)[0])


async def connect(port: int, clients: int) -> list[Connection]:
    """So many kept-alive connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(clients)]


async def _keep_busy(port: int, requests: Sequence[bytes], clients: int, within: float) -> Run:
    answers: list[Answer] = []
    todo = iter(enumerate(requests))
    end = time.perf_counter() + within

    async def client(connection: Connection) -> None:
        for index, request in todo:
            started = time.perf_counter()
            if started > end:
                break
            status, head = await connection.ask(request)
            answers.append(Answer(index, status, head, time.perf_counter() - started))

    return await _timed(port, clients, client, answers)


async def _in_clumps(port: int, requests: Sequence[bytes], clumps: int, every: float, clients: int) -> Run:
    answers: list[Answer] = []
    size = -(-len(requests) // clumps)
    start = time.perf_counter() + 0.5
    todo = iter(enumerate(requests))

    async def client(connection: Connection) -> None:
        for index, request in todo:
            due = start + (index // size) * every
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            status, head = await connection.ask(request)
            answers.append(Answer(index, status, head, time.perf_counter() - due))

    return await _timed(port, clients, client, answers)


async def _timed(port: int, clients: int, client: object, answers: list[Answer]) -> Run:
    connections = await connect(port, clients)
    started = time.perf_counter()
    await asyncio.gather(*(client(connection) for connection in connections))  # type: ignore[operator]
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return Run(sorted(answers, key=lambda answer: answer.index), seconds)
