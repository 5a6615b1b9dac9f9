use std::path::Path;

use containerd_shim_protos::cgroups::metrics::{
    BlkIOEntry, BlkIOStat, CPUStat, CPUUsage, MemoryEntry, MemoryOomControl, MemoryStat, Metrics,
    PidsStat, Throttle,
};
use containerd_shim_protos::protobuf::MessageField;

use super::files::{device, number, table, text};
use crate::cgroup::Cgroup;

/// Nanoseconds in a tick of `cpuacct.stat` (USER_HZ is 100 on every Linux ABI).
const TICK: u64 = 10_000_000;

pub fn read(cgroup: &Cgroup) -> Metrics {
    Metrics {
        pids: MessageField::some(pids(cgroup.controller("pids"))),
        cpu: MessageField::some(cpu(cgroup)),
        memory: MessageField::some(memory(cgroup.controller("memory"))),
        memory_oom_control: MessageField::some(oom(cgroup.controller("memory"))),
        blkio: MessageField::some(blkio(cgroup.controller("blkio"))),
        ..Default::default()
    }
}

fn pids(folder: Option<&Path>) -> PidsStat {
    let limit = number(folder, "pids.max");
    PidsStat {
        current: number(folder, "pids.current"),
        // As runc's shim: no limit is 0.
        limit: if limit == u64::MAX { 0 } else { limit },
        ..Default::default()
    }
}

/// All in nanoseconds.
fn cpu(cgroup: &Cgroup) -> CPUStat {
    let accounting = cgroup.controller("cpuacct");
    let ticks = table(accounting, "cpuacct.stat");
    let throttled = table(cgroup.controller("cpu"), "cpu.stat");
    let of = |name: &str| throttled.get(name).copied().unwrap_or(0);
    let usage = CPUUsage {
        total: number(accounting, "cpuacct.usage"),
        user: ticks.get("user").copied().unwrap_or(0) * TICK,
        kernel: ticks.get("system").copied().unwrap_or(0) * TICK,
        per_cpu: text(accounting, "cpuacct.usage_percpu")
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|value| value.parse().ok())
            .collect(),
        ..Default::default()
    };
    CPUStat {
        usage: MessageField::some(usage),
        throttling: MessageField::some(Throttle {
            periods: of("nr_periods"),
            throttled_periods: of("nr_throttled"),
            throttled_time: of("throttled_time"),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn memory(folder: Option<&Path>) -> MemoryStat {
    let stat = table(folder, "memory.stat");
    let of = |name: &str| stat.get(name).copied().unwrap_or(0);
    MemoryStat {
        cache: of("cache"),
        rss: of("rss"),
        rss_huge: of("rss_huge"),
        mapped_file: of("mapped_file"),
        dirty: of("dirty"),
        writeback: of("writeback"),
        pg_pg_in: of("pgpgin"),
        pg_pg_out: of("pgpgout"),
        pg_fault: of("pgfault"),
        pg_maj_fault: of("pgmajfault"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        hierarchical_memory_limit: of("hierarchical_memory_limit"),
        hierarchical_swap_limit: of("hierarchical_memsw_limit"),
        total_cache: of("total_cache"),
        total_rss: of("total_rss"),
        total_rss_huge: of("total_rss_huge"),
        total_mapped_file: of("total_mapped_file"),
        total_dirty: of("total_dirty"),
        total_writeback: of("total_writeback"),
        total_pg_pg_in: of("total_pgpgin"),
        total_pg_pg_out: of("total_pgpgout"),
        total_pg_fault: of("total_pgfault"),
        total_pg_maj_fault: of("total_pgmajfault"),
        total_inactive_anon: of("total_inactive_anon"),
        total_active_anon: of("total_active_anon"),
        total_inactive_file: of("total_inactive_file"),
        total_active_file: of("total_active_file"),
        total_unevictable: of("total_unevictable"),
        usage: entry(folder, "memory"),
        swap: entry(folder, "memory.memsw"),
        kernel: entry(folder, "memory.kmem"),
        kernel_tcp: entry(folder, "memory.kmem.tcp"),
        ..Default::default()
    }
}

fn entry(folder: Option<&Path>, prefix: &str) -> MessageField<MemoryEntry> {
    MessageField::some(MemoryEntry {
        limit: number(folder, &format!("{prefix}.limit_in_bytes")),
        usage: number(folder, &format!("{prefix}.usage_in_bytes")),
        max: number(folder, &format!("{prefix}.max_usage_in_bytes")),
        failcnt: number(folder, &format!("{prefix}.failcnt")),
        ..Default::default()
    })
}

fn oom(folder: Option<&Path>) -> MemoryOomControl {
    let control = table(folder, "memory.oom_control");
    let of = |name: &str| control.get(name).copied().unwrap_or(0);
    MemoryOomControl {
        oom_kill_disable: of("oom_kill_disable"),
        under_oom: of("under_oom"),
        oom_kill: of("oom_kill"),
        ..Default::default()
    }
}

fn blkio(folder: Option<&Path>) -> BlkIOStat {
    BlkIOStat {
        io_service_bytes_recursive: block_entries(
            folder,
            "blkio.throttle.io_service_bytes_recursive",
        ),
        io_serviced_recursive: block_entries(folder, "blkio.throttle.io_serviced_recursive"),
        ..Default::default()
    }
}

/// Lines of `major:minor operation value`.
fn block_entries(folder: Option<&Path>, file: &str) -> Vec<BlkIOEntry> {
    let text = text(folder, file).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (major, minor) = device(fields.next()?)?;
            Some(BlkIOEntry {
                major,
                minor,
                op: fields.next()?.to_owned(),
                value: fields.next()?.parse().ok()?,
                ..Default::default()
            })
        })
        .collect()
}
