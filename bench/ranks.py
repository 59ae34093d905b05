"""Clients over ranks of MPI: local steps, bytes, memory and time of a round.

    python bench/ranks.py pairs [--cases W4 W6] [--dtype float64] [--repeats 7]
    python bench/ranks.py rounds [--ranks 1 2 4 8] [--features 50 1000 100000]
    python bench/ranks.py joining [--clients 10000 100000 1000000]

``pairs``: two ranks of one thread beside one process of two threads, in turn; the ratio of their
local steps per second (of the clock, and of CPU time), and the peak of a rank's memory over its
share of the rows. ``rounds``: what a round takes and sends in which clients hardly do anything.
``joining``: what ranks take to tell each other of their clients, before the first round.

Jobs are started once and asked in turn; a figure is the median of its repeats, rounds alone: what
rounds take less what fewer of them take. Needs mpi4py, and mpiexec beside Python.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MPIEXEC = Path(sys.executable).with_name("mpiexec")
PARTS = 8  # rows are drawn in so many parts: ranks of 1, 2, 4 or 8 have the same ones together
MEGABYTE = 1e6
# clients, rows of each, features, local steps, rounds to time; as of bench/throughput
CASES = {"W4": (4, 5000, 784, 10, 30), "W6": (100_000, 5, 50, 10, 300)}


class Job:
    """A job of ranks that waits for requests between its answers."""

    def __init__(self, ranks: int, threads: int, shape: tuple[int, ...], **how: str):
        about = json.dumps({"threads": threads, "shape": shape, "dtype": "float64", **how})
        self._process = subprocess.Popen(
            [str(MPIEXEC), "-n", str(ranks), sys.executable, __file__, "--serve", about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self.made = self._answer()

    def rounds(self, count: int) -> dict[str, Any]:
        """What so many rounds take, beside what a third of them does."""
        few, many = self._ask(count // 3), self._ask(count)
        rounds = count - count // 3
        each = {name: (many[name] - few[name]) / rounds for name in ("wall", "cpu")}
        sent = [(a - b) / rounds for a, b in zip(many["bytes"], few["bytes"], strict=True)]
        calls = [(a - b) / rounds for a, b in zip(many["calls"], few["calls"], strict=True)]
        return {**many, **each, "bytes": sent, "calls": calls}

    def _ask(self, rounds: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(rounds, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# -- In the job ------------------------------------------------------------------------------------


def serve(about: dict[str, Any]) -> None:
    """Run as many rounds as each line of standard input says; what that took."""
    from mpi4py import MPI

    import localgd as lg
    from localgd.ranks import ranks as of_ranks
    from localgd.ranks.waiting import gathered

    exchanges: list[Any] = []

    class Counted(of_ranks.Exchange):
        def __init__(self, comm: Any):
            super().__init__(comm)
            exchanges.append(self)

    of_ranks.Exchange = Counted  # type: ignore[misc]
    comm = MPI.COMM_WORLD
    n_clients, n, d, local_steps = about["shape"]
    before = peak()
    X, y, ids = rows(comm.rank, comm.size, n_clients, n, d, about["dtype"])
    problem = lg.Problem.from_arrays(X, y, ids, task="binary")
    share = X.nbytes
    del X, y, ids

    def answer(**own: Any) -> None:
        each = comm.gather(own)
        if each is not None:
            joined = {name: [one[name] for one in each] for name in own}
            for name, join in {"wall": max, "cpu": sum}.items():
                if name in joined:
                    joined[name] = join(joined[name])
            print(json.dumps(joined), flush=True)

    answer(share=share)
    while True:
        line = sys.stdin.readline() if comm.rank == 0 else ""
        if not (line := gathered(comm).bcast(line)):
            return
        begin, cpu = time.perf_counter(), time.process_time()
        run = lg.run(
            problem,
            lg.LocalGD(local_steps, 1.0),
            rounds=int(line),
            record=[0, int(line)],
            threads=about["threads"],
            dtype=about["dtype"],
            engine=about.get("engine", "auto"),
            every_step=True,
            comm=comm if comm.size > 1 else None,
        )
        whole = time.perf_counter() - begin
        last = exchanges[-1] if exchanges else None
        answer(
            wall=run.elapsed,
            cpu=time.process_time() - cpu,
            whole=whole,
            engine=run.engine,
            bytes=last.bytes if last else 0,
            calls=last.calls if last else 0,
            peak=peak() - before,
        )


def rows(rank: int, size: int, M: int, n: int, d: int, dtype: str) -> tuple[np.ndarray, ...]:
    """This rank's: those of whole parts, where there are as many."""
    parts = min(PARTS, M)
    w = np.random.default_rng(PARTS).standard_normal(d)
    own = [k for k in range(parts) if k * size // parts == rank]
    begin, end = own[0] * M // parts, (own[-1] + 1) * M // parts
    X = np.empty(((end - begin) * n, d), dtype)
    at = 0
    for k in own:
        count = ((k + 1) * M // parts - k * M // parts) * n
        X[at : at + count] = np.random.default_rng(k).standard_normal((count, d)) / np.sqrt(4 * d)
        at += count
    return X, np.where(X @ w < 0, -1.0, 1.0), np.repeat(np.arange(begin, end), n)


def peak() -> int:
    """Bytes that this process has taken at most."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# -- What is measured ------------------------------------------------------------------------------


def pairs(cases: list[str], dtype: str, repeats: int) -> None:
    """Two ranks of one thread beside one process of two threads."""
    for name in cases:
        *shape, rounds = CASES[name]
        with (
            Job(1, 2, tuple(shape), dtype=dtype) as alone,
            Job(2, 1, tuple(shape), dtype=dtype) as over,
        ):
            found = []
            for _ in range(repeats):
                one, two = alone.rounds(rounds), over.rounds(rounds)
                found.append((one["wall"] / two["wall"], one["cpu"] / two["cpu"], one, two))
            by_clock, by_cpu = (statistics.median(pair[k] for pair in found) for k in (0, 1))
            one, two = found[-1][2:]
            print(
                f"{name} {dtype}: local steps per second over those of one process, "
                f"{by_clock:.2f} by the clock, {by_cpu:.2f} by CPU time; engine "
                f"{one['engine'][0]} alone, {two['engine'][0]} over ranks; "
                f"{max(two['bytes']):,.0f} bytes a round and rank in {max(two['calls']):.1f} "
                f"messages; peak over the rank's rows "
                f"{max(p / s for p, s in zip(two['peak'], over.made['share'], strict=True)):.2f}, "
                f"of one process {one['peak'][0] / alone.made['share'][0]:.2f}",
                flush=True,
            )


def rounds(ranks: list[int], features: list[int], repeats: int) -> None:
    """Rounds of eight clients of one row, which take one step."""
    print("ranks  d        µs a round  (least)  CPU µs  bytes sent by a rank  messages")
    for d in features:
        shape = (8, 1, d, 1)
        for size in ranks:
            with Job(size, 1, shape, engine="primal") as job:
                count = max(60, min(3000, 3 * 10**7 // (d * size)))
                found = [job.rounds(count) for _ in range(repeats)]
            wall = [1e6 * one["wall"] for one in found]
            cpu = statistics.median(1e6 * one["cpu"] for one in found)
            print(
                f"{size:5}  {d:7}  {statistics.median(wall):10.0f}  {min(wall):7.0f}  {cpu:6.0f}  "
                f"{max(found[0]['bytes']):20,.0f}  {max(found[0]['calls']):8.1f}",
                flush=True,
            )


def joining(clients: list[int]) -> None:
    """A run of no round, of clients of one row, on two ranks."""
    print("clients  seconds before the first round  bytes of the peak a client")
    for M in clients:
        with Job(2, 1, (M, 1, 1, 1)) as job:
            first = job._ask(0)
        print(
            f"{M:9,}  {max(first['whole']) - first['wall']:.2f}  {max(first['peak']) / M:.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench/ranks.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("pairs", "rounds", "joining"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--features", nargs="+", type=int, default=[50, 1000, 100_000])
    parser.add_argument("--clients", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    if args.what == "pairs":
        pairs(args.cases, args.dtype, args.repeats)
    elif args.what == "rounds":
        rounds(args.ranks, args.features, args.repeats)
    else:
        joining(args.clients)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(json.loads(sys.argv[2]))
    else:
        main()
