/* The floor: a bare loop that makes the driver calls kgtop makes, at kgtop's pace, and nothing else. What kgtop
 * costs beyond it is kgtop's own. Build and run:
 *
 *     cc -O2 -o floor scripts/floor.c -ldl && scripts/measure.py floor=@./floor kgtop='kgtop --interval 1'
 *
 * Calls and tiers are those of src/sources/nvml/: ten times a second power, SM clock, utilisation, clock events;
 * each second the cached values, process lists, GPM sample with metrics; every 2 s the power buffer; every 5 s the
 * counters, the temperature margin and per-process utilisation; every 10 s the utilisation buffer and the slow group:
 * what kgtop reads for tab 1. With the argument "hidden", GPM is read every 5 s too, as kgtop does while nobody looks
 * at it. Once a minute the state and the errors of each NVLink (window: a minute at least, or it is left out).
 * Structures and ids are those of nvml.h. All GPUs on one thread, as kgtop does while all answer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void *Device;
typedef int (*Fn)();
typedef struct { unsigned field, scope; long long time, latency; unsigned type; int code; unsigned long long value; } Field;
typedef struct { unsigned id; int code; double value; const char *info[3]; } Metric;
typedef struct { unsigned version, count; void *before, *now; Metric metrics[333]; } Metrics;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory2;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; } Process;
typedef struct { unsigned pid; unsigned long long time; unsigned sm, memory, encoder, decoder; } Utilization;
typedef struct { unsigned long long time, value; } Sample;

static void *library;
static Fn get(const char *name) {
    Fn fn = (Fn)dlsym(library, name);
    if (!fn) { fprintf(stderr, "floor: no %s\n", name); exit(1); }
    return fn;
}
#define LOAD(name) static Fn name
LOAD(power); LOAD(clock_info); LOAD(utilization); LOAD(events); LOAD(memory); LOAD(temperature); LOAD(pstate);
LOAD(generation); LOAD(width); LOAD(limit); LOAD(encoder); LOAD(decoder); LOAD(fields); LOAD(compute); LOAD(graphics);
LOAD(mps); LOAD(gpm_alloc); LOAD(gpm_sample); LOAD(gpm_metrics); LOAD(process_utilization); LOAD(samples);
LOAD(margin); LOAD(ecc_mode); LOAD(ecc); LOAD(replays); LOAD(persistence); LOAD(compute_mode); LOAD(mig);
LOAD(limit_set); LOAD(bar1); LOAD(histogram); LOAD(link_state); LOAD(fabric); LOAD(sram);

static void read_fields(Device device, const unsigned *ids, int count) {
    Field values[8] = {0};
    for (int i = 0; i < count; i++) values[i].field = ids[i];
    fields(device, count, values);
}

/* 161, 162, 163: replays, recoveries, CRC errors of the link that is the scope; 91: how many links there are. */
static void read_links(Device device) {
    static Field values[3 * 32 + 1];
    Field count = {.field = 91};
    unsigned active;
    fields(device, 1, &count);
    int links = count.code || count.value > 32 ? 0 : (int)count.value;
    for (int i = 0; i < 3 * links; i++) { values[i].field = 161 + i % 3; values[i].scope = i / 3; }
    if (links) fields(device, 3 * links, values);
    for (int i = 0; i < links; i++) link_state(device, i, &active);
}

int main(int argc, char **argv) {
    unsigned long demand = argc > 1 && !strcmp(argv[1], "hidden") ? 5 : 1;
    library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library) { fprintf(stderr, "floor: %s\n", dlerror()); return 1; }
    power = get("nvmlDeviceGetPowerUsage"); clock_info = get("nvmlDeviceGetClockInfo");
    utilization = get("nvmlDeviceGetUtilizationRates"); events = get("nvmlDeviceGetCurrentClocksEventReasons");
    memory = get("nvmlDeviceGetMemoryInfo_v2"); temperature = get("nvmlDeviceGetTemperature");
    pstate = get("nvmlDeviceGetPerformanceState"); generation = get("nvmlDeviceGetCurrPcieLinkGeneration");
    width = get("nvmlDeviceGetCurrPcieLinkWidth"); limit = get("nvmlDeviceGetEnforcedPowerLimit");
    encoder = get("nvmlDeviceGetEncoderUtilization"); decoder = get("nvmlDeviceGetDecoderUtilization");
    fields = get("nvmlDeviceGetFieldValues"); compute = get("nvmlDeviceGetComputeRunningProcesses_v3");
    graphics = get("nvmlDeviceGetGraphicsRunningProcesses_v3"); mps = get("nvmlDeviceGetMPSComputeRunningProcesses_v3");
    gpm_alloc = get("nvmlGpmSampleAlloc"); gpm_sample = get("nvmlGpmSampleGet"); gpm_metrics = get("nvmlGpmMetricsGet");
    process_utilization = get("nvmlDeviceGetProcessUtilization"); samples = get("nvmlDeviceGetSamples");
    margin = get("nvmlDeviceGetMarginTemperature"); ecc_mode = get("nvmlDeviceGetEccMode");
    ecc = get("nvmlDeviceGetTotalEccErrors"); replays = get("nvmlDeviceGetPcieReplayCounter");
    persistence = get("nvmlDeviceGetPersistenceMode"); compute_mode = get("nvmlDeviceGetComputeMode");
    mig = get("nvmlDeviceGetMigMode"); limit_set = get("nvmlDeviceGetPowerManagementLimit");
    bar1 = get("nvmlDeviceGetBAR1MemoryInfo"); histogram = get("nvmlDeviceGetRowRemapperHistogram");
    link_state = get("nvmlDeviceGetNvLinkState"); fabric = get("nvmlDeviceGetGpuFabricInfoV");
    sram = get("nvmlDeviceGetSramEccErrorStatus");
    if (get("nvmlInit_v2")()) return 1;
    unsigned count = 0;
    get("nvmlDeviceGetCount_v2")(&count);
    Device devices[64];
    void *gpm[64][2];
    unsigned long long seen[64] = {0};
    for (unsigned i = 0; i < count && i < 64; i++) {
        get("nvmlDeviceGetHandleByIndex_v2")(i, &devices[i]);
        gpm_alloc(&gpm[i][0]); gpm_alloc(&gpm[i][1]);
    }
    static Metrics metrics;
    static Process list[1024];
    static Utilization shares[1024];
    static Sample buffer[1024];
    static const unsigned cheap[] = {82, 230}, slow[] = {142, 143, 144, 145, 83}, counters[] = {74, 76, 269, 270, 271};
    static const unsigned gpm_ids[] = {1, 2, 3, 5, 10, 11, 12, 13, 20, 21, 60, 61};
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned long tick = 0;; tick++) {
        for (unsigned i = 0; i < count; i++) {
            Device d = devices[i];
            unsigned a, b, n; unsigned long long wide; unsigned char raw[512]; int type;
            power(d, &a); clock_info(d, 1, &a); utilization(d, raw); events(d, &wide);
            if (tick % 10) continue;
            unsigned long second = tick / 10;
            Memory2 m = {.version = sizeof m | 2 << 24};
            memory(d, &m); read_fields(d, cheap, 2);
            clock_info(d, 2, &a); clock_info(d, 0, &a); clock_info(d, 3, &a); temperature(d, 0, &a); pstate(d, &a);
            generation(d, &a); width(d, &a); limit(d, &a); encoder(d, &a, &b); decoder(d, &a, &b);
            n = 1024; compute(d, &n, list); n = 1024; graphics(d, &n, list); n = 1024; mps(d, &n, list);
            if (second % 5 == 0) {
                n = 1024;
                if (!process_utilization(d, shares, &n, seen[i]))
                    for (unsigned k = 0; k < n; k++) if (shares[k].time > seen[i]) seen[i] = shares[k].time;
            }
            if (second % demand) goto buffers;
            unsigned long turn = second / demand;
            gpm_sample(d, gpm[i][turn & 1]);
            if (turn) {
                metrics.version = 1; metrics.count = 12; metrics.before = gpm[i][~turn & 1]; metrics.now = gpm[i][turn & 1];
                for (int k = 0; k < 12; k++) metrics.metrics[k].id = gpm_ids[k];
                gpm_metrics(&metrics);
            }
        buffers:
            if (second % 2 == 0) { n = 1024; samples(d, 0, 0ULL, &type, &n, buffer); }
            if (second % 5 == 0) { read_fields(d, counters, 5); struct { unsigned version; int value; } t = {8 | 1 << 24, 0}; margin(d, &t); }
            if (second % 60 == 30) read_links(d);
            if (second % 10 == 0) {
                n = 1024; samples(d, 1, 0ULL, &type, &n, buffer);
                read_fields(d, slow, 5); ecc_mode(d, &a, &b);
                for (int e = 0; e < 2; e++) for (int c = 0; c < 2; c++) ecc(d, e, c, &wide);
                replays(d, &a); persistence(d, &a); compute_mode(d, &a); mig(d, &a, &b); limit_set(d, &a);
                bar1(d, raw); histogram(d, raw);
                struct { unsigned version; unsigned char cluster[16]; unsigned status, clique; unsigned char state;
                         unsigned mask; unsigned char health; } f = {.version = sizeof f | 3 << 24};
                fabric(d, &f);
                struct { unsigned version; unsigned long long counts[11]; unsigned exceeded; } s = {.version = sizeof s | 1 << 24};
                sram(d, &s);
            }
        }
        next.tv_nsec += 100000000;
        if (next.tv_nsec >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
