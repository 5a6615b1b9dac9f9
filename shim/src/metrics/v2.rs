use std::path::Path;

use containerd_shim_protos::cgroups_v2::metrics::{
    CPUStat, IOEntry, IOStat, MemoryEvents, MemoryStat, Metrics, PidsStat,
};
use containerd_shim_protos::protobuf::MessageField;

use super::files::{device, number, table, text};
use crate::cgroup::Cgroup;

pub fn read(cgroup: &Cgroup) -> Metrics {
    // On v2 one folder has the files of all controllers.
    let folder = cgroup.controller("");
    Metrics {
        pids: MessageField::some(PidsStat {
            current: number(folder, "pids.current"),
            limit: number(folder, "pids.max"),
            ..Default::default()
        }),
        cpu: MessageField::some(cpu(folder)),
        memory: MessageField::some(memory(folder)),
        memory_events: MessageField::some(events(folder)),
        io: MessageField::some(io(folder)),
        ..Default::default()
    }
}

/// All in microseconds.
fn cpu(folder: Option<&Path>) -> CPUStat {
    let stat = table(folder, "cpu.stat");
    let of = |name: &str| stat.get(name).copied().unwrap_or(0);
    CPUStat {
        usage_usec: of("usage_usec"),
        user_usec: of("user_usec"),
        system_usec: of("system_usec"),
        nr_periods: of("nr_periods"),
        nr_throttled: of("nr_throttled"),
        throttled_usec: of("throttled_usec"),
        nr_bursts: of("nr_bursts"),
        burst_usec: of("burst_usec"),
        ..Default::default()
    }
}

fn memory(folder: Option<&Path>) -> MemoryStat {
    let stat = table(folder, "memory.stat");
    let of = |name: &str| stat.get(name).copied().unwrap_or(0);
    MemoryStat {
        anon: of("anon"),
        file: of("file"),
        kernel_stack: of("kernel_stack"),
        slab: of("slab"),
        sock: of("sock"),
        shmem: of("shmem"),
        file_mapped: of("file_mapped"),
        file_dirty: of("file_dirty"),
        file_writeback: of("file_writeback"),
        anon_thp: of("anon_thp"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        pgfault: of("pgfault"),
        pgmajfault: of("pgmajfault"),
        workingset_refault: of("workingset_refault_anon") + of("workingset_refault_file"),
        workingset_activate: of("workingset_activate_anon") + of("workingset_activate_file"),
        workingset_nodereclaim: of("workingset_nodereclaim"),
        pgrefill: of("pgrefill"),
        pgscan: of("pgscan"),
        pgsteal: of("pgsteal"),
        pgactivate: of("pgactivate"),
        pgdeactivate: of("pgdeactivate"),
        pglazyfree: of("pglazyfree"),
        pglazyfreed: of("pglazyfreed"),
        thp_fault_alloc: of("thp_fault_alloc"),
        thp_collapse_alloc: of("thp_collapse_alloc"),
        usage: number(folder, "memory.current"),
        usage_limit: number(folder, "memory.max"),
        max_usage: number(folder, "memory.peak"),
        swap_usage: number(folder, "memory.swap.current"),
        swap_limit: number(folder, "memory.swap.max"),
        swap_max_usage: number(folder, "memory.swap.peak"),
        ..Default::default()
    }
}

fn events(folder: Option<&Path>) -> MemoryEvents {
    let events = table(folder, "memory.events");
    let of = |name: &str| events.get(name).copied().unwrap_or(0);
    MemoryEvents {
        low: of("low"),
        high: of("high"),
        max: of("max"),
        oom: of("oom"),
        oom_kill: of("oom_kill"),
        oom_group_kill: of("oom_group_kill"),
        ..Default::default()
    }
}

/// Lines of `major:minor rbytes=1 wbytes=2 rios=3 wios=4 …`.
fn io(folder: Option<&Path>) -> IOStat {
    let text = text(folder, "io.stat").unwrap_or_default();
    let usage = text.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (major, minor) = device(fields.next()?)?;
        let mut entry = IOEntry {
            major,
            minor,
            ..Default::default()
        };
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            let value = value.parse().unwrap_or(0);
            match name {
                "rbytes" => entry.rbytes = value,
                "wbytes" => entry.wbytes = value,
                "rios" => entry.rios = value,
                "wios" => entry.wios = value,
                _ => {}
            }
        }
        Some(entry)
    });
    IOStat {
        usage: usage.collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cgroup v2 folder's files: this machine has none to read for real.
    #[test]
    fn reads_a_v2_folder() {
        let folder = std::env::temp_dir().join(format!("cgroup-v2-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            (
                "cpu.stat",
                "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            (
                "memory.stat",
                "anon 1024\nfile 2048\nworkingset_refault_file 3\n",
            ),
            ("memory.events", "low 0\noom_kill 1\n"),
            (
                "io.stat",
                "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
            ),
        ] {
            std::fs::write(folder.join(file), text).unwrap();
        }
        assert_eq!(cpu(Some(&folder)).usage_usec, 1500);
        let memory = memory(Some(&folder));
        assert_eq!((memory.usage, memory.anon, memory.file), (4096, 1024, 2048));
        assert_eq!(memory.usage_limit, u64::MAX);
        assert_eq!(memory.workingset_refault, 3);
        assert_eq!(events(Some(&folder)).oom_kill, 1);
        let io = io(Some(&folder));
        assert_eq!(
            (io.usage[0].major, io.usage[0].rbytes, io.usage[0].wios),
            (8, 10, 2)
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
