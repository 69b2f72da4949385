#!/usr/bin/env python3
"""Measures what a monitor costs: CPU, memory and terminal bytes per second, side by side in one run.

    scripts/measure.py [--seconds 60] [--settle 5] [--size 160x50] NAME=COMMAND [NAME=COMMAND ...]

Each command runs in a pseudo-terminal of its own, one after the other. Counted are the process and everything it
started (found through its children and, since a collector leads a session of its own, through its PPID): CPU time
(user + system, of processes alive at both ends of the window), proportional memory (PSS), and the bytes it wrote to
the terminal. "@" before a command runs it without a terminal (for a bare loop of driver calls). The keys of
NAME[keys]=COMMAND are typed in the middle of the settling time.
"""
import sys
import time

from monitors import Monitor, cpu, named, parser, pss, tree


def measure(name, command, keys, options):
    monitor = Monitor(command, options.size)
    monitor.drain(options.settle / 2)
    monitor.type(keys)
    monitor.drain(options.settle / 2)
    before = {process: cpu(process) for process in tree(monitor.pid)}
    monitor.written, start = 0, time.monotonic()
    monitor.drain(options.seconds)
    elapsed = time.monotonic() - start
    after = tree(monitor.pid)
    spent = {process: cpu(process) - before.get(process, 0.0) for process in after}
    memory = {process: pss(process) for process in after}
    ended = elapsed < options.seconds * 0.99 or sum(memory.values()) == 0
    monitor.stop()
    if ended:
        print(f"{name:28} ended early: {monitor.tail[-200:]!r}", flush=True)
        return False
    parts = " + ".join(f"{seconds / elapsed * 100:.2f}" for seconds in spent.values())
    print(
        f"{name:28} {sum(spent.values()) / elapsed * 100:7.3f} % of a core ({parts})"
        f"  {sum(memory.values()) / 2**20:6.1f} MiB PSS ({' + '.join(f'{m / 2**20:.1f}' for m in memory.values())})"
        f"  {monitor.written / elapsed:8.0f} B/s",
        flush=True,
    )
    return True


def main():
    options = parser(__doc__, 60, 5).parse_args()
    well = [measure(*each, options) for each in named(options.commands)]
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
