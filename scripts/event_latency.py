#!/usr/bin/env python3
"""How long an Xid line takes from the kernel log to the screen, decoded.

    sudo scripts/event_latency.py [--times 20] [--fifo] [COMMAND ...]

COMMAND is target/release/kgtop; where there is no driver, give it the tests' stand-in:
target/release/kgtop --nvml-lib target/debug/examples/libnvml_stand_in.so

Writes made-up lines to /dev/kmsg (never on a machine whose log others read), or with --fifo to a pipe that stands in
its place under --root, and looks at the screen through tmux until the decoded line is there. The time includes the
look itself (capture-pane, 2 to 5 ms).
"""

import argparse
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOCKET = f"kgtop-latency-{os.getpid()}"
DEADLINE = 20.0


def tmux(*arguments):
    return subprocess.run(["tmux", "-L", SOCKET, *arguments], capture_output=True, text=True, check=False).stdout


def wait_for(text):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        screen = tmux("capture-pane", "-p")
        if text in screen:
            return time.monotonic()
    sys.exit(f"{text!r} did not come within {DEADLINE:.0f} s; the screen:\n{screen}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--fifo", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if shutil.which("tmux") is None:
        sys.exit("tmux is needed")
    command = [*(arguments.command or ["target/release/kgtop"]), "--tab", "events"]
    folder = tempfile.TemporaryDirectory()
    log = pathlib.Path("/dev/kmsg")
    if arguments.fifo:
        log = pathlib.Path(folder.name, "dev", "kmsg")
        log.parent.mkdir()
        os.mkfifo(log)
        command += ["--root", folder.name]
    tmux("new-session", "-d", "-x", "120", "-y", "40", shlex.join(command))
    try:
        wait_for("5 Events")
        wait_for("✓ /dev/kmsg")
        times = []
        with open(log, "w", encoding="ascii", buffering=1) as lines:
            for number in range(arguments.times):
                name = f"probe{number}"
                pid = 40_000 + number
                # Away from the beat of the samples, so that none of them carries the line along.
                time.sleep(0.35 + 0.05 * (number % 10))
                start = time.monotonic()
                lines.write(f"NVRM: Xid (PCI:0000:3b:00): 79, pid={pid}, name={name}, GPU has fallen off the bus.\n")
                lines.flush()
                times.append((wait_for(f"{name} (pid {pid})") - start) * 1000)
    finally:
        tmux("kill-server")
        folder.cleanup()
    times.sort()
    print(
        f"{log}: {len(times)} lines; median {statistics.median(times):.0f} ms, "
        f"95% {times[min(len(times) - 1, int(len(times) * 0.95))]:.0f} ms, most {times[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
