//! What a part of this process cost.

use std::fmt;
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Ticks a second in `/proc/self/stat`: fixed by the kernel's interface on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// A meter that runs.
pub(crate) struct Meter {
    began: Instant,
    ticks: u64,
    rss_kib: u64,
}

/// What was used while it ran.
pub(crate) struct Cost {
    wall_s: f64,
    cpu_s: f64,
    memory_bytes: u64,
}

impl Meter {
    pub(crate) fn start() -> Result<Self> {
        // 5 resets the high-water mark of memory; where it is not allowed, the mark since the start
        // counts.
        drop(fs::write("/proc/self/clear_refs", "5"));
        Ok(Self { rss_kib: status_kib("VmRSS:")?, ticks: ticks()?, began: Instant::now() })
    }

    pub(crate) fn stop(self) -> Result<Cost> {
        let wall_s = self.began.elapsed().as_secs_f64();
        let cpu_s = (ticks()? - self.ticks) as f64 / TICKS_PER_SECOND;
        let memory_bytes = status_kib("VmHWM:")?.saturating_sub(self.rss_kib) * 1024;
        Ok(Cost { wall_s, cpu_s, memory_bytes })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall_s, cpu_s, memory_bytes } = self;
        write!(f, r#"{{"wall_s":{wall_s},"cpu_s":{cpu_s},"memory_bytes":{memory_bytes}}}"#)
    }
}

fn ticks() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold spaces: the 12th and 13th are user and system time.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat")?;
    Ok(fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?)
}

fn status_kib(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
