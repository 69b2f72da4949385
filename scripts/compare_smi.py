#!/usr/bin/env python3
"""Holds what kgtop reads against what nvidia-smi says, on a machine with NVIDIA GPUs.

    scripts/compare_smi.py [--rounds 20] [--all] [--banded] [KGTOP]

`kgtop stream` runs at an interval of 1 s; meanwhile nvidia-smi is asked again and again. What does not move (identity,
limits, thresholds, modes, error counts) has to be equal. What moves has to lie inside the least and the greatest value
that kgtop read from one interval before nvidia-smi was started until one after it had answered; what kgtop reads but
once an interval has no band, and three answers in four have to; under a load that comes and goes not even those need
to, and `--banded` leaves them out. Exits with 1 when something differs.
"""
import argparse
import json
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

MIB = 2**20
ABSENT = "absent"
# What nvidia-smi prints where there is no value.
NOTHING = {"N/A", "[N/A]", "[Not Supported]", "Not Supported", "None", "Unknown", "[Unknown Error]", "", None}


class Stream:
    """The records of a running `kgtop stream`."""

    def __init__(self, kgtop):
        command = [kgtop, "stream", "--interval", "1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.samples, self.inventory = [], None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if record["kind"] == "sample":
                self.samples.append(record)
            elif record["kind"] == "inventory":
                self.inventory = record

    def wait(self, samples, patience=30):
        until = time.monotonic() + patience
        while len(self.samples) < samples:
            if time.monotonic() > until or self.process.poll() is not None:
                sys.exit(f"kgtop gave {len(self.samples)} samples within {patience} s")
            time.sleep(0.05)

    def wait_past(self, wall):
        """Until two samples were taken after `wall`."""
        while len(self.samples) < 2 or self.samples[-2]["wall_us"] / 1e6 < wall:
            self.wait(len(self.samples) + 1)


def value(holder, path):
    """A reading as kgtop gave it, or None where it is absent."""
    for name in path.split("."):
        holder = (holder or {}).get(name)
        if isinstance(holder, dict) and ABSENT in holder:
            return None
    return holder


def number(text):
    """The number that begins a text of nvidia-smi, or None."""
    try:
        return None if text in NOTHING else float(text.split()[0].rstrip("x"))
    except ValueError:
        return None


def yes(text):
    return {"Enabled": True, "Yes": True, "Disabled": False, "No": False}.get(text)


def word(text):
    return None if text in NOTHING else text


def address(text):
    """0000:3b:00.0 of 00000000:3B:00.0."""
    return text[-12:].lower()


def one_of(*names):
    return lambda text: names.index(text) if text in names else None


def total(gpu, era, *names):
    found = [number(gpu.findtext(f"ecc_errors/{era}/{name}")) for name in names]
    return None if all(each is None for each in found) else sum(each or 0 for each in found)


# Path in the inventory, element of nvidia-smi's XML, how its text becomes the same value.
INVENTORY = [
    ("uuid", "uuid", word),
    ("name", "product_name", word),
    ("brand", "product_brand", word),
    ("architecture", "product_architecture", word),
    ("serial", "serial", word),
    ("board_part", "board_part_number", word),
    ("vbios", "vbios_version", word),
    ("inforom", "inforom_version/img_version", word),
    ("gsp", "gsp_firmware_version", word),
    ("pci_bus_id", "pci/pci_bus_id", address),
    ("pci_device_id", "pci/pci_device_id", lambda text: int(text.removeprefix("0x"), 16)),
    ("minor_number", "minor_number", number),
    ("module_id", "platformInfo/module_id", number),
    ("max_sm_clock_mhz", "max_clocks/sm_clock", number),
    ("max_memory_clock_mhz", "max_clocks/mem_clock", number),
    ("min_power_limit_watts", "gpu_power_readings/min_power_limit", number),
    ("max_power_limit_watts", "gpu_power_readings/max_power_limit", number),
    ("default_power_limit_watts", "gpu_power_readings/default_power_limit", number),
    ("thresholds.shutdown_limit_celsius", "temperature/gpu_temp_max_tlimit_threshold", number),
    ("thresholds.slowdown_limit_celsius", "temperature/gpu_temp_slow_tlimit_threshold", number),
    ("thresholds.gpu_max_limit_celsius", "temperature/gpu_temp_max_gpu_tlimit_threshold", number),
    ("thresholds.memory_max_limit_celsius", "temperature/gpu_temp_max_mem_tlimit_threshold", number),
    ("max_pcie_generation", "pci/pci_gpu_link_info/pcie_gen/max_link_gen", number),
    ("gpu_max_pcie_generation", "pci/pci_gpu_link_info/pcie_gen/max_device_link_gen", number),
    ("max_pcie_width", "pci/pci_gpu_link_info/link_widths/max_link_width", number),
    ("display_attached", "display_attached", yes),
    (
        "virtualization",
        "gpu_virtualization_mode/virtualization_mode",
        lambda text: 0 if text == "None" else one_of("None", "Pass-Through", "VGPU", "Host VGPU", "Host VSGA")(text),
    ),
]
# The same for the slow state; the last member of each takes the whole element.
HEALTH = [
    ("persistence_mode", lambda gpu: yes(gpu.findtext("persistence_mode"))),
    ("mig_mode", lambda gpu: yes(gpu.findtext("mig_mode/current_mig"))),
    (
        "compute_mode",
        lambda gpu: one_of("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")(
            gpu.findtext("compute_mode")
        ),
    ),
    ("ecc_enabled", lambda gpu: yes(gpu.findtext("ecc_mode/current_ecc"))),
    ("ecc_pending", lambda gpu: yes(gpu.findtext("ecc_mode/pending_ecc"))),
    ("ecc_corrected_volatile", lambda gpu: total(gpu, "volatile", "sram_correctable", "dram_correctable")),
    (
        "ecc_uncorrected_volatile",
        lambda gpu: total(
            gpu, "volatile", "sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable"
        ),
    ),
    ("sram_threshold_exceeded", lambda gpu: yes(gpu.findtext("ecc_errors/aggregate/sram_threshold_exceeded"))),
    ("remapped_corrected", lambda gpu: number(gpu.findtext("remapped_rows/remapped_row_corr"))),
    ("remapped_uncorrected", lambda gpu: number(gpu.findtext("remapped_rows/remapped_row_unc"))),
    ("remap_pending", lambda gpu: yes(gpu.findtext("remapped_rows/remapped_row_pending"))),
    ("remap_failed", lambda gpu: yes(gpu.findtext("remapped_rows/remapped_row_failure"))),
    (
        "retired_single_bit",
        lambda gpu: number(gpu.findtext("retired_pages/multiple_single_bit_retirement/retired_count")),
    ),
    ("retired_double_bit", lambda gpu: number(gpu.findtext("retired_pages/double_bit_retirement/retired_count"))),
    ("pcie_replays", lambda gpu: number(gpu.findtext("pci/replay_counter"))),
    (
        "fabric_state",
        lambda gpu: one_of("N/A", "Not Started", "In Progress", "Completed")(gpu.findtext("fabric/state")),
    ),
    ("power_limit_set_watts", lambda gpu: number(gpu.findtext("gpu_power_readings/requested_power_limit"))),
]
# Field of `nvidia-smi --query-gpu`, path in a sample of a GPU, what one printed unit is in kgtop's, and by how much
# nvidia-smi rounds.
MOVING = [
    ("power.draw", "fast.power_watts", 1, 0.06),
    ("clocks.sm", "fast.sm_clock_mhz", 1, 0.06),
    ("utilization.gpu", "fast.utilization_percent", 1, 0.06),
    ("utilization.memory", "fast.memory_utilization_percent", 1, 0.06),
    ("temperature.gpu", "live.temperature_celsius", 1, 0),
    ("temperature.memory", "live.memory_temperature_celsius", 1, 0),
    ("clocks.mem", "live.memory_clock_mhz", 1, 0),
    # One clock drives both (no board since Kepler has a shader clock of its own), and its band is the SM clock's.
    ("clocks.gr", "fast.sm_clock_mhz", 1, 0.06),
    ("clocks.video", "live.video_clock_mhz", 1, 0),
    ("memory.total", "live.memory_total_bytes", MIB, MIB),
    ("memory.used", "live.memory_used_bytes", MIB, MIB),
    ("memory.free", "live.memory_free_bytes", MIB, MIB),
    ("memory.reserved", "live.memory_reserved_bytes", MIB, MIB),
    ("pcie.link.gen.current", "live.pcie_generation", 1, 0),
    ("pcie.link.width.current", "live.pcie_width", 1, 0),
    ("enforced.power.limit", "live.power_limit_watts", 1, 0.06),
    ("utilization.encoder", "live.encoder_percent", 1, 0),
    ("utilization.decoder", "live.decoder_percent", 1, 0),
    ("fan.speed", "live.fan_percent", 1, 0),
    ("pstate", "live.performance_state", 1, 0),
]
MASK = "clocks_event_reasons.active"
# Where 0 means that there is none, which nvidia-smi prints as N/A (NVML_GPU_FABRIC_STATE_NOT_SUPPORTED).
ZERO_IS_NONE = {"fabric_state"}
# The share of answers that has to lie inside for what is read once an interval, and has no band of its own.
ENOUGH = 0.75


class Report:
    def __init__(self, everything):
        self.everything, self.right, self.wrong = everything, 0, 0

    def note(self, well, text):
        self.right, self.wrong = self.right + well, self.wrong + (not well)
        if self.everything or not well:
            print(f"{'equal  ' if well else 'DIFFERS'} {text}", flush=True)


def same(ours, theirs):
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return abs(ours - theirs) < 0.06
    return ours == theirs


def compare_static(stream, report):
    tree = ElementTree.fromstring(subprocess.run(["nvidia-smi", "-q", "-x"], stdout=subprocess.PIPE, check=True).stdout)
    driver = stream.inventory["driver"]
    for ours, theirs in (("version", "driver_version"), ("cuda_version", "cuda_version")):
        report.note(driver[ours] == tree.findtext(theirs), f"driver {ours}: kgtop {driver[ours]}, nvidia-smi {tree.findtext(theirs)}")
    known = {value(gpu, "pci_bus_id"): gpu for gpu in stream.inventory["gpus"]}
    for element in tree.findall("gpu"):
        place = address(element.get("id"))
        gpu = known.get(place)
        report.note(gpu is not None, f"{place}: a GPU that nvidia-smi names")
        if gpu is None:
            continue
        sample = sampled(stream, gpu)
        pairs = [(path, value(gpu, path), element.findtext(name), read) for path, name, read in INVENTORY]
        pairs = [(path, ours, None if text is None else read(text), text) for path, ours, text, read in pairs]
        pairs += [(path, value(sample, f"health.{path}"), read(element), None) for path, read in HEALTH]
        for path, ours, theirs, text in pairs:
            if path in ZERO_IS_NONE:
                ours, theirs = ours or None, theirs or None
            if theirs is None and text not in NOTHING:
                report.note(False, f"{place} {path}: nvidia-smi says {text!r}, which this script does not know")
            else:
                report.note(same(ours, theirs), f"{place} {path}: kgtop {ours}, nvidia-smi {theirs}")


def sampled(stream, gpu):
    """The newest of each group of a GPU."""
    merged = {}
    for sample in stream.samples:
        for each in sample["gpus"]:
            if each["id"] in (value(gpu, "uuid"), value(gpu, "pci_bus_id")):
                merged |= each
    return merged


def query(fields):
    """Rows of nvidia-smi by PCI address, without the fields that this version does not know."""
    while True:
        command = ["nvidia-smi", f"--query-gpu=pci.bus_id,{','.join(fields)}", "--format=csv,noheader,nounits"]
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if answer.returncode == 0:
            rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines()]
            return {address(row[0]): dict(zip(fields, row[1:])) for row in rows}
        unknown = [field for field in fields if f'"{field}" is not a valid field' in answer.stdout]
        if not unknown:
            sys.exit(answer.stdout)
        fields.remove(unknown[0])


def compare_moving(stream, report, rounds, only_banded):
    fields = [name for name, *_ in MOVING] + [MASK]
    asked = []
    for turn in range(rounds):
        begin = time.time()
        rows = query(fields)
        asked.append((begin, time.time(), rows))
        # Not in step with the samples.
        time.sleep(0.3 + 0.137 * (turn % 7))
    stream.wait_past(asked[-1][1])
    samples = list(stream.samples)
    outside = {}
    for begin, end, rows in asked:
        around = window(samples, begin, end)
        for gpu in stream.inventory["gpus"]:
            place = value(gpu, "pci_bus_id")
            ours = [each for sample in around for each in sample["gpus"] if each["id"] == value(gpu, "uuid")]
            row = rows.get(place, {})
            for name, path, unit, slack in MOVING:
                if name in row:
                    outside.setdefault((place, name), []).append(compare_one(ours, row[name], path, unit, slack))
            if MASK in row:
                outside.setdefault((place, MASK), []).append(compare_mask(ours, row[MASK]))
    for (place, name), found in sorted(outside.items()):
        wrong = [each for each in found if each]
        banded = name == MASK or any(name == each and path.startswith("fast.") for each, path, *_ in MOVING)
        if only_banded and not banded:
            continue
        well = len(wrong) <= (0 if banded else (1 - ENOUGH) * len(found))
        report.note(well, f"{place} {name}: {len(found) - len(wrong)} of {len(found)} inside" + "".join(f"; {each}" for each in wrong[:3]))


def window(samples, begin, end):
    """The samples whose intervals touch what passed between `begin` and `end`, and one more on either side."""
    touched = [
        number
        for number, sample in enumerate(samples)
        if sample["wall_us"] / 1e6 >= begin and (number == 0 or samples[number - 1]["wall_us"] / 1e6 <= end)
    ]
    return samples[max(touched[0] - 1, 0) : touched[-1] + 2] if touched else []


def compare_one(ours, text, path, unit, slack):
    """What is wrong, in words; nothing when the value lies inside."""
    theirs = number(text.removeprefix("P"))
    readings = [value(each, path) for each in ours]
    readings = [reading for reading in readings if reading is not None]
    if theirs is None or not readings:
        return None if theirs is None and not readings else f"kgtop {readings[:1] or 'absent'}, nvidia-smi {text}"
    least = min(reading[0] if isinstance(reading, list) else reading for reading in readings)
    most = max(reading[2] if isinstance(reading, list) else reading for reading in readings)
    inside = least - slack <= theirs * unit <= most + slack
    return None if inside else f"{theirs * unit:g} is not in {least:g} to {most:g}"


def compare_mask(ours, text):
    theirs = int(text, 16)
    masks = [value(each, "fast.clock_events") for each in ours]
    masks = [mask for mask in masks if mask]
    seen, always = 0, -1
    for mask in masks:
        seen, always = seen | mask["any"], always & mask["all"]
    if not masks:
        return f"kgtop has no mask, nvidia-smi {text}"
    well = theirs & ~seen == 0 and (always & ~theirs) == 0
    return None if well else f"{theirs:#x} is not between {always:#x} and {seen:#x}"


def compare_processes(stream, report):
    command = ["nvidia-smi", "--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    stream.wait_past(time.time())
    theirs = {tuple(part.strip() for part in line.split(",")) for line in answer.splitlines() if line.strip()}
    for uuid, pid, memory in theirs:
        found = None
        for gpu in stream.samples[-1]["gpus"]:
            if gpu["id"] == uuid:
                found = next((each for each in gpu["processes"]["list"] if each["pid"] == int(pid)), None)
        ours = value(found, "memory_bytes") if found else None
        well = found is not None and (number(memory) is None if ours is None else abs(ours / MIB - float(memory)) <= 1)
        report.note(well, f"process {pid}: kgtop {ours and round(ours / MIB)} MiB, nvidia-smi {memory} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often nvidia-smi is asked for what moves")
    parser.add_argument("--all", action="store_true", help="what is equal, too")
    parser.add_argument("--banded", action="store_true", help="only what moves and is read ten times a second")
    parser.add_argument("kgtop", nargs="?", default="kgtop")
    options = parser.parse_args()
    stream, report = Stream(options.kgtop), Report(options.all)
    # The slow state comes with the second sample, some of it with the third.
    stream.wait(3)
    compare_moving(stream, report, options.rounds, options.banded)
    if not options.banded:
        compare_static(stream, report)
        compare_processes(stream, report)
    stream.process.terminate()
    print(f"{report.right} equal, {report.wrong} differ")
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
