#!/usr/bin/env python3
"""All figures of a machine with NVIDIA GPUs, in one run: what kgtop costs, beside the floor and other monitors.

    scripts/figures.py [--seconds 20] [--kgtop PATH] [--floor PATH] [--monitor NAME=COMMAND]... [--only PART,...]

Needs Python 3, the release build of kgtop and `cc -O2 -o floor scripts/floor.c -ldl`; PyTorch for a load and for what a
monitor costs the job. Parts, in this order: `values` (compare_smi.py, under a steady load and under one that comes and
goes), `startup` (startup.py), `cost` (measure.py: the floor, every tab, the other monitors, under a steady load) and
`job` (job_cost.py).
The answer goes to standard output as it comes. Exits with 1 when a part failed or a figure is worse than it may be.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("values", "startup", "cost", "job")
TABS = (("gpus", "1"), ("processes", "2"), ("topology", "3"), ("limits", "4"), ("events", "5"), ("storage", "6"), ("doctor", "7"))
# Until a load has its memory and has warmed the GPU up.
WARM_UP = 12.0


def script(name, *arguments):
    return [sys.executable, os.path.join(HERE, name), *arguments]


class Load:
    """One training loop per GPU, for as long as the block runs."""

    def __init__(self, gpus, *arguments):
        self.gpus, self.arguments, self.processes, self.well = gpus, arguments, [], True

    def __enter__(self):
        for gpu in range(self.gpus):
            environment = dict(os.environ, CUDA_VISIBLE_DEVICES=str(gpu))
            self.processes.append(subprocess.Popen(script("job_cost.py", "--load", *self.arguments), env=environment))
        time.sleep(WARM_UP)
        self.well = all(process.poll() is None for process in self.processes)
        if not self.well:
            print("the load did not start: what follows was measured WITHOUT a load", flush=True)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


def run(title, command):
    print(f"\n== {title}", flush=True)
    return subprocess.run(command).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="length of each window of `cost`")
    parser.add_argument("--kgtop", default="target/release/kgtop")
    parser.add_argument("--floor", help="the built floor.c")
    parser.add_argument("--monitor", action="append", default=[], metavar="NAME=COMMAND", help="another one, beside")
    parser.add_argument("--only", default=",".join(PARTS), help="which parts, with commas between")
    parser.add_argument("--blocks", type=int, default=6, help="blocks of each kind of `job`")
    parser.add_argument("--block-seconds", type=float, default=10)
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True, check=True).stdout
    gpus = sum(line.startswith("GPU ") for line in listed.splitlines())
    query = ["nvidia-smi", "--query-gpu=name,driver_version,pstate,power.limit", "--format=csv"]
    well = run(f"{gpus} GPU(s)", query)
    if "values" in parts:
        with Load(gpus) as load:
            well &= load.well
            well &= run("values beside nvidia-smi's, steady load", script("compare_smi.py", options.kgtop))
        with Load(gpus, "--pulse", "2") as load:
            well &= load.well
            banded = script("compare_smi.py", "--banded", options.kgtop)
            well &= run("values beside nvidia-smi's, load that comes and goes", banded)
    if "startup" in parts or "cost" in parts:
        with Load(gpus) as load:
            well &= load.well
            if "startup" in parts:
                well &= run("time to the first frame and the first data", script("startup.py", options.kgtop))
            if "cost" in parts:
                well &= run("cost, under a steady load", script("measure.py", *cost(options)))
    if "job" in parts:
        monitors = [f"kgtop={options.kgtop}", *options.monitor]
        blocks = ("--blocks", str(options.blocks), "--block-seconds", str(options.block_seconds))
        well &= run("step time of a training loop, with and without", script("job_cost.py", *blocks, *monitors))
    sys.exit(0 if well else 1)


def cost(options):
    floors = [f"floor=@{options.floor}", f"floor, hidden=@{options.floor} hidden"] if options.floor else []
    tabs = [f"kgtop {name}[{key}]={options.kgtop}" for name, key in TABS]
    return ["--seconds", str(options.seconds), *floors, *tabs, *options.monitor]


if __name__ == "__main__":
    main()
