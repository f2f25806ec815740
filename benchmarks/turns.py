"""Engines as processes that take turns, round by round, and what each of them costs.

A busy moment of the machine so falls on all of them. An engine that fails loses its own row only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from engines.work import Work
from reference_engines import EngineName

WATCH_S = 0.1
WATCH_SHARE = 0.05  # of one core, at most, goes into weighing
LIMIT_S = 900.0  # longest wait for one answer
END_S = 60.0
STOP_S = 15.0


class EngineFailedError(Exception):
    """An engine ended, or said something else than it should; the message says what."""


@dataclass
class Engine:
    """A running engine and what it has reported.

    ``first_s`` is the time from starting its process to the end of its first round.
    """

    name: str
    process: subprocess.Popen[str]
    errors: Path
    started_s: float
    rounds: int
    startup_s: float = 0.0
    first_s: float = 0.0
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    processes: int = 0
    seen: set[psutil.Process] = field(default_factory=set)

    @classmethod
    def start(cls, name: str, work: Work, state: Path) -> Engine:
        """Start the engine's process."""
        how = EngineName.read(name)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        errors = state / f"{name}.txt"
        began = time.perf_counter()
        with errors.open("w") as file:
            process = subprocess.Popen(
                how.command(work), env=how.environment(state), cwd=state, stderr=file, **pipes
            )
        return cls(name, process, errors, began, work.rounds)

    def first_round(self) -> None:
        """Wait until the engine is ready, and let it do its first round at once."""
        with self.watched():
            self._hear("ready")
            self.startup_s = time.perf_counter() - self.started_s
            self._round()
        self.first_s = time.perf_counter() - self.started_s
        self._after_round()

    def next_round(self) -> None:
        """Let the engine do one more round and keep what it took."""
        self._round()
        self._after_round()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Weigh the engine again and again while the block runs."""
        done = threading.Event()

        def watch() -> None:
            pause = WATCH_S
            while not done.wait(pause):
                began = time.thread_time()
                self.weigh()
                pause = max(WATCH_S, (time.thread_time() - began) / WATCH_SHARE)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def weigh(self) -> None:
        """Keep the largest memory seen of all processes; shared pages count once."""
        family = self._family()
        total = 0
        for member in family:
            try:
                info = member.memory_full_info()
            except psutil.Error:  # ended while we looked
                continue
            total += getattr(info, "pss", info.uss)
        self.memory_mb = max(self.memory_mb, total / 1e6)
        self.processes = max(self.processes, len(family))

    def stop(self) -> None:
        """End the engine and whatever it has started."""
        self._family()
        if self.process.poll() is None:
            self.process.terminate()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # it did not read what was written last
                    continue
        _, alive = psutil.wait_procs(self.seen, timeout=STOP_S)
        for member in alive:
            try:
                member.kill()
            except psutil.Error:  # ended just now
                continue
        self.process.wait()
        self.seen.clear()

    def _family(self) -> list[psutil.Process]:
        """Return the process and all below it; nothing once it has been waited for."""
        if self.process.returncode is not None:
            return []
        try:
            root = psutil.Process(self.process.pid)
            family = [root, *root.children(recursive=True)]
        except psutil.Error:
            return []
        self.seen.update(family)
        return family

    def _round(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise EngineFailedError(self._last_words()) from error
        said = self._hear("wall_s")
        self.wall_s.append(said["wall_s"])
        self.cpu_s.append(said["cpu_s"])
        self.distances.append(said["distance"])

    def _after_round(self) -> None:
        if len(self.wall_s) < self.rounds:
            self._hear("ready")
            self.weigh()
        else:
            self.process.wait(END_S)  # it must not end while others are measured

    def _hear(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        late = threading.Timer(LIMIT_S, self.process.kill)
        late.start()
        try:
            line = self.process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            raise EngineFailedError(f"ended before it said {what!r}: {self._last_words()}")
        said: dict[str, Any] = json.loads(line)
        if what not in said:
            raise EngineFailedError(f"said {said}, expected {what!r}")
        return said

    def _last_words(self) -> str:
        self.process.wait(STOP_S)
        text = self.errors.read_text(errors="replace")
        print(text[-4000:], file=sys.stderr)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"exit status {self.process.returncode}, {lines[-1] if lines else 'nothing said'}"


@dataclass(frozen=True)
class Turns:
    """What came of engines that took turns: those that finished, and why others did not."""

    engines: tuple[Engine, ...]
    failed: Mapping[str, str]


def take_turns(
    work: Work,
    names: Sequence[str],
    fewer: Mapping[str, int] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Turns:
    """Start every engine and let it do a round; then all do theirs in turn.

    Each round begins with another engine.

    Args:
        work: What to do.
        names: Engines.
        fewer: Rounds of engines that do fewer than the others.
        tell: Told of progress.
    """
    fewer = fewer or {}
    engines: dict[str, Engine] = {}
    failed: dict[str, str] = {}

    def attempt(name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (EngineFailedError, json.JSONDecodeError, subprocess.TimeoutExpired) as error:
            failed[name] = str(error)[:300]
            tell(f"{name} FAILED: {failed[name]}")
            engines[name].stop()

    with tempfile.TemporaryDirectory(prefix="rw-") as state:
        try:
            for name in names:
                own = replace(work, rounds=min(work.rounds, fewer.get(name, work.rounds)))
                engines[name] = Engine.start(name, own, Path(state))
                attempt(name, engines[name].first_round)
                if name not in failed:
                    tell(f"{name}: first round after {engines[name].first_s:.1f} s")
            for number in range(1, work.rounds):
                at = number % len(names)
                for name in [*names[at:], *names[:at]]:
                    if name not in failed and number < engines[name].rounds:
                        attempt(name, engines[name].next_round)
                tell(f"round {number + 1} of {work.rounds} done")
        finally:
            for engine in engines.values():
                engine.stop()
    return Turns(tuple(e for name, e in engines.items() if name not in failed), failed)
