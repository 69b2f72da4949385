#!/usr/bin/env python3
"""Measures what a monitor costs: CPU, memory and terminal bytes per second, side by side in one run.

    scripts/measure.py [--seconds 60] [--settle 5] [--size 160x50] NAME=COMMAND [NAME=COMMAND ...]

Each command runs in a pseudo-terminal of its own, one after the other. Counted are the process and everything it
started (found through its children and, since a collector leads a session of its own, through its PPID): CPU from
/proc/PID/stat (user + system, of processes alive at both ends of the window), proportional memory (PSS) from
/proc/PID/smaps_rollup, and the bytes it wrote to the terminal. "@" before a command runs it without a terminal
(for a bare loop of driver calls). "{keys}" of NAME[keys]=COMMAND are typed after the settling time begins.
"""
import argparse
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import sys
import termios
import time

TICK = os.sysconf("SC_CLK_TCK")


def tree(root):
    """PIDs of `root` and of everything below it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                parents[int(entry)] = int(fields[1])
            except OSError:
                pass
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in parents:
            found.append(pid)
            todo += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu(pid):
    try:
        with open(f"/proc/{pid}/schedstat") as file:  # ns on the CPU of the main thread only
            file.read()
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    except OSError:
        return 0.0


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def drain(fd, until, counter):
    """Reads the terminal until `until`, as a terminal would; counts the bytes."""
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        if fd is None:
            time.sleep(left)
            return
        ready, _, _ = select.select([fd], [], [], left)
        if ready:
            try:
                data = os.read(fd, 65536)
            except OSError:
                return
            if not data:
                return
            counter[0] += len(data)


def measure(name, command, keys, options):
    columns, rows = (int(part) for part in options.size.split("x"))
    bare = command.startswith("@")
    arguments = shlex.split(command.lstrip("@"))
    if bare:
        pid, fd = os.fork(), None
    else:
        pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        if bare:
            null = os.open(os.devnull, os.O_RDWR)
            for target in (0, 1):
                os.dup2(null, target)
        else:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(arguments[0], arguments)
    counter = [0]
    drain(fd, time.monotonic() + options.settle / 2, counter)
    if fd is not None and keys:
        os.write(fd, keys.encode())
    drain(fd, time.monotonic() + options.settle / 2, counter)
    before = {process: cpu(process) for process in tree(pid)}
    counter[0], start = 0, time.monotonic()
    drain(fd, start + options.seconds, counter)
    elapsed = time.monotonic() - start
    after = tree(pid)
    if pid not in after:
        print(f"{name:28} ended early", flush=True)
        return
    spent = {process: cpu(process) - before.get(process, 0.0) for process in after}
    memory = {process: pss(process) for process in after}
    parts = " + ".join(f"{spent[p] / elapsed * 100:.2f}" for p in after)
    print(
        f"{name:28} {sum(spent.values()) / elapsed * 100:7.3f} % of a core ({parts})"
        f"  {sum(memory.values()) / 2**20:6.1f} MiB PSS ({' + '.join(f'{m / 2**20:.1f}' for m in memory.values())})"
        f"  {counter[0] / elapsed:8.0f} B/s",
        flush=True,
    )
    for process in after:
        try:
            os.kill(process, signal.SIGTERM)
        except OSError:
            pass
    drain(fd, time.monotonic() + 0.5, counter)
    for process in after:
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass
    try:
        os.waitpid(pid, 0)
    except OSError:
        pass
    if fd is not None:
        os.close(fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", type=float, default=5)
    parser.add_argument("--size", default="160x50")
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    options = parser.parse_args()
    for item in options.commands:
        name, _, command = item.partition("=")
        keys = ""
        if name.endswith("]"):
            name, _, keys = name[:-1].partition("[")
        if not command:
            sys.exit(f"{item}: NAME=COMMAND is wanted")
        measure(name, command, keys, options)


if __name__ == "__main__":
    main()
