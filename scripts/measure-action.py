#!/usr/bin/env python3
"""How long a power cap takes from its confirmation to the verified value, on the stand-in driver library.

    cargo build --release --examples && cargo build --release
    scripts/measure-action.py target/release

Needs root, as the action does; nothing is set on this machine: the library answers from a scenario, and /proc, the
audit log and the locks lie in a temporary directory. What is measured is the child that carries a confirmed plan out,
from the moment at which the plan is given to it to its last word: start, every precondition again, the lock, the audit
log (on the disk twice), the call and the read-back.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 30
# The figure that the command promises on the stand-in, in milliseconds.
PROMISED = 300

SCENARIO = """
title = "one"
duration_seconds = 60
end = "stay"
[host]
hostname = "node"
cpus = 4
memory_gib = 16
[[gpu]]
model = "h200"
pci = ["0000:00:06.0"]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="directory of the build: target/release")
    build = parser.parse_args().build.resolve()
    program, library = build / "kgtop", build / "examples" / "libnvml_stand_in.so"
    for file in (program, library):
        if not file.is_file():
            print(f"{file} is not there: build it first, see --help", file=sys.stderr)
            return 1
    if os.geteuid() != 0:
        print("an action needs root: run it through sudo", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        return measure(program, library, pathlib.Path(directory))


def measure(program: pathlib.Path, library: pathlib.Path, directory: pathlib.Path) -> int:
    kernel = directory / "root/proc/sys/kernel"
    (kernel / "random").mkdir(parents=True)
    (kernel / "random/boot_id").write_text("11111111-2222-3333-4444-555555555555\n")
    (kernel / "hostname").write_text("node\n")
    (directory / "scenario.toml").write_text(SCENARIO)
    environment = {**os.environ, "KGTOP_STAND_IN": str(directory / "scenario.toml")}
    environment.pop("KGTOP_READ_ONLY", None)
    place = ["--nvml-lib", str(library), "--root", str(directory / "root")]

    taken = []
    for run in range(RUNS):
        planned = [program, "act", "power-limit", "250", "--gpu", "0", "--dry-run", "--format", "json", *place]
        plans = subprocess.run(planned, env=environment, capture_output=True, check=True)
        plan = json.dumps(json.loads(plans.stdout)[0], separators=(",", ":"), ensure_ascii=False)
        begin = time.monotonic()
        done = subprocess.run(
            [program, "act", "--plan", "-", *place], env=environment, input=plan.encode(), capture_output=True
        )
        taken.append((time.monotonic() - begin) * 1000)
        if done.returncode != 0 or b"read back: 250 W" not in done.stdout:
            print(f"run {run}: {done.stdout.decode()}{done.stderr.decode()}", file=sys.stderr)
            return 1
    taken.sort()
    median, worst = statistics.median(taken), taken[-1]
    print(f"power cap, confirmation to verified value: median {median:.0f} ms, longest of {RUNS} {worst:.0f} ms")
    return 0 if worst < PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
