#!/usr/bin/env python3
"""Shows which threads of a monitor cost what: CPU and wake-ups per second of each, the dearest first.

    scripts/threads.py [--seconds 30] [--settle 8] [--size 160x50] NAME=COMMAND [NAME=COMMAND ...]

Commands are those of measure.py. Threads of the same name are added up; those that came and went within the window
are in the sum by ticks alone (their process counts them).
"""
import os
import time

from monitors import TICK, Monitor, named, parser, stat, tree


def threads(root):
    """(PID, TID) to (name, seconds on a CPU, times it was put on one); and the processes' own sums, in ticks."""
    found, processes = {}, {}
    for pid in tree(root):
        if fields := stat(pid):
            processes[pid] = (int(fields[11]) + int(fields[12])) / TICK
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/comm") as file:
                    name = file.read().strip()
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    ran, _waited, times = (int(part) for part in file.read().split())
                found[pid, int(task)] = (name, ran / 1e9, times)
        except OSError:
            pass
    return found, processes


def show(name, command, keys, options):
    monitor = Monitor(command, options.size)
    monitor.drain(options.settle / 2)
    monitor.type(keys)
    monitor.drain(options.settle / 2)
    before, processes = threads(monitor.pid)
    start = time.monotonic()
    monitor.drain(options.seconds)
    elapsed = time.monotonic() - start
    after, processes_after = threads(monitor.pid)
    monitor.stop()
    rows = {}
    for key, (thread, ran, times) in after.items():
        _, ran_before, times_before = before.get(key, (thread, 0.0, 0))
        row = rows.setdefault(("collector " if key[0] != monitor.pid else "") + thread, [0.0, 0])
        row[0] += ran - ran_before
        row[1] += times - times_before
    spent = sum(row[0] for row in rows.values())
    whole = sum(ticks - processes.get(pid, 0.0) for pid, ticks in processes_after.items())
    print(f"{name}: {spent / elapsed * 100:.3f} % of a core in threads that live; {whole / elapsed * 100:.2f} % by ticks")
    for thread, (ran, times) in sorted(rows.items(), key=lambda row: -row[1][0]):
        print(
            f"  {thread:32} {ran / elapsed * 100:7.4f} %  {times / elapsed:7.2f} wake-ups/s"
            f"  {ran / max(times, 1) * 1e6:8.1f} us each",
            flush=True,
        )


def main():
    options = parser(__doc__, 30, 8).parse_args()
    for each in named(options.commands):
        show(*each, options)


if __name__ == "__main__":
    main()
