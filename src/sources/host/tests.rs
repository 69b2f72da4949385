use super::*;
use proptest::prelude::*;

fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = Root::open(directory.path()).unwrap();
    (directory, root)
}

#[test]
fn iowait_is_idle_and_guests_are_not_counted_twice() {
    //                 user nice sys idle iowait irq softirq steal guest guest_nice
    let stat = "cpu  100 10 20 500 70 1 2 3 90 9\ncpu0 50 5 10 250 35 0 1 1 45 4\n";
    assert_eq!(cpu_ticks(stat), Some((136, 706)));
    assert_eq!(cpu_ticks("cpu  1 2 3 4\n"), Some((6, 10)), "kernel 2.4");
    assert_eq!(cpu_ticks("cpu  1 2 3\n"), None);
    assert_eq!(cpu_ticks("cpu  1 2 x 4\n"), None);
    assert_eq!(ticks_to_ns(136, 100), 1_360_000_000);
    assert_eq!(ticks_to_ns(1, 1024), 976_562);
}

#[test]
fn a_whole_host() {
    let arcstats = "13 1 0x01 147 39984 5 6\nname                            type data\nhits 4 7\nc_min                           4    4294967296\nc_max 4 68719476736\nsize                            4    12884901888\n";
    let (_directory, root) = root(&[
        (
            "proc/stat",
            "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\nctxt 1\nbtime 1700000000\n",
        ),
        (
            "proc/meminfo",
            "MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    600 kB\nSwapTotal:       50 kB\nSwapFree:        20 kB\n",
        ),
        ("proc/loadavg", "0.50 1.25 2.00 3/456 789\n"),
        ("proc/uptime", "1234.56 7890.12\n"),
        ("proc/spl/kstat/zfs/arcstats", arcstats),
        ("proc/sys/kernel/hostname", "rig7\n"),
        ("proc/sys/kernel/osrelease", "6.8.0-45-generic\n"),
        ("proc/sys/kernel/random/boot_id", "b1946ac9-2492-4d23-9c3b-2c4b5f0e1c11\n"),
    ]);
    let sample = HostReader::new(root.clone()).read();
    assert_eq!(sample.cpu_busy_ns, Ok(2_000_000_000));
    assert_eq!(sample.cpu_total_ns, Ok(10_000_000_000));
    assert_eq!(sample.memory_total, Ok(Bytes(1_024_000)));
    assert_eq!(sample.memory_available, Ok(Bytes(614_400)));
    assert_eq!(sample.swap_used, Ok(Bytes(30_720)));
    assert_eq!(sample.arc_reclaimable, Ok(Bytes(8 << 30)));
    assert_eq!((sample.load_1m, sample.load_15m), (Ok(0.5), Ok(2.0)));
    assert_eq!(sample.uptime_seconds, Ok(1_234.56));
    let info = host_info(&root);
    assert_eq!((info.hostname.as_ref(), info.kernel.as_ref(), info.cpus), ("rig7", "6.8.0-45-generic", 2));
    assert_eq!(boot_time(&root), Ok(1_700_000_000));
}

#[test]
fn missing_files_are_absent_readings_and_not_zeros() {
    let (_directory, root) = root(&[("proc/loadavg", "nan 1.0 2.0 1/2 3\n"), ("proc/stat", "cpu\n")]);
    let sample = HostReader::new(root.clone()).read();
    assert_eq!(sample.memory_total, Err(Absence::NotSupported));
    assert_eq!(sample.arc_reclaimable, Err(Absence::NotSupported));
    assert_eq!(sample.uptime_seconds, Err(Absence::NotSupported));
    assert!(matches!(sample.load_1m, Err(Absence::Failed { .. })), "NaN is no load");
    assert_eq!(sample.load_5m, Ok(1.0));
    assert!(matches!(sample.cpu_busy_ns, Err(Absence::Failed { .. })));
    assert_eq!(host_info(&root), HostInfo::default());
    assert!(boot_time(&root).is_err());
}

#[test]
fn without_mem_available_the_caches_count_except_shared_memory() {
    let memory = Memory::parse(
        "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 10 kB\nCached: 300 kB\nShmem: 200 kB\nSReclaimable: 5 kB\n",
    );
    assert_eq!(memory.available(), Ok(Bytes(215 * 1_024)));
    assert!(memory.swap_used().is_err());
}

#[test]
fn an_arc_below_its_least_size_gives_nothing_back() {
    let (_directory, root) = root(&[("proc/spl/kstat/zfs/arcstats", "size 4 100\nc_min 4 200\n")]);
    assert_eq!(HostReader::new(root).arc_reclaimable(), Ok(Bytes(0)));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", lines in "(cpu |size |c_min |MemTotal:|SwapTotal:)?[0-9a-z .:-]{0,40}\n") {
        for text in [&text, &lines] {
            cpu_ticks(text);
            let memory = Memory::parse(text);
            let _ = (memory.available(), memory.swap_used());
            let _ = (LoadAverage::from_read(text.as_bytes()), Uptime::from_read(text.as_bytes()));
        }
    }
}
