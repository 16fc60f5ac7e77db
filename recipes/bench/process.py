"""A client as a process of its own, held to some cores and watched from outside. Linux."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import IO

from .reference import DataSet

ENVIRONMENT = {
    **{"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "127.0.0.1"},
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took, or its share of it for a sample; the memory is the process's either way.

    Attributes:
        peak_mb: the largest resident set, files that are mapped into memory included.
        own_mb: the largest share of it that is no file, looked at every 20 ms; 0 where nobody looked. A data set that
            is mapped grows the peak by whatever of it was read, and the system takes it back when it needs to.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    own_mb: float = 0.0

    def for_each(self, samples: int) -> Spent:
        return replace(self, seconds=self.seconds / samples, cpu_s=self.cpu_s / samples)


def median_of(runs: Sequence[Spent]) -> Spent:
    """Each figure's median."""
    return Spent(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_s", "peak_mb")))


def watched(
    command: Sequence[str], environment: Mapping[str, str], data: DataSet, cores: int, folder: Path | None = None
) -> Spent:
    """Run a command from when it reads its data to its end, on the first ``cores`` of those allowed; in ``folder``
    if it is given.

    What Linux calls the peak of a process is never less than that of the one that started it: this one stays small.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile() as output:
        process = _started(command, environment, output, cores, folder)
        ended = 0
        while not ended and not (pipe := data.reader_came()):
            time.sleep(0.002)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        started, startup_s = time.perf_counter(), _cpu_s(process.pid)
        if not ended:
            with suppress(BrokenPipeError), pipe:  # it died reading: its status tells
                pipe.write(data.questions)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or ended:
            raise _failed(command, process.returncode, output)
    return Spent(seconds, usage.ru_utime + usage.ru_stime - startup_s, usage.ru_maxrss / 1024)


def whole(command: Sequence[str], cores: int) -> Spent:
    """Run a command from its start to its end; see `watched`.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = _started(command, {}, output, cores)
        ended, own_mb = 0, 0.0
        while not ended:
            own_mb = max(own_mb, _own_mb(process.pid))
            time.sleep(0.02)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise _failed(command, process.returncode, output)
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, own_mb)


def _started(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes],
    cores: int,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )


def _failed(command: Sequence[str], code: int, output: IO[bytes]) -> SystemExit:
    """With the end of what it told."""
    output.seek(0)
    told = output.read().decode(errors="replace")[-2000:]
    return SystemExit(f"{' '.join(command)} ended with {code}:\n{told}")


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, to a hundredth; 0 if it has ended."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except FileNotFoundError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _own_mb(pid: int) -> float:
    """Resident memory of a process that is no file; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon:")), 0.0)
