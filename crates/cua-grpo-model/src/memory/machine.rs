//! Memory of this machine: the host's from /proc/meminfo and its control groups, a GPU's from its driver's tool.

use super::cgroup::{self, Limit, kib};
use serde::Serialize;
use std::process::Command;

/// Memory of a device in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Available {
    /// What the device has.
    pub total: u64,
    /// What is free now.
    pub free: u64,
    /// Who says so.
    pub source: Source,
}

/// Where a figure of memory is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The kernel's `MemAvailable`, or what the limit of a container leaves where that is less.
    Host,
    /// `nvidia-smi`.
    Gpu,
    /// The flag `--memory`.
    Flag,
}

impl Available {
    /// So much, by the user's word.
    pub fn of_flag(gib: f64) -> Self {
        let bytes = (gib * f64::from(1 << 30)) as u64;
        Self {
            total: bytes,
            free: bytes,
            source: Source::Flag,
        }
    }

    /// The memory of this machine; an error says why it is not known.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of_host() -> Result<Self, String> {
        let text = std::fs::read_to_string("/proc/meminfo")
            .map_err(|error| format!("/proc/meminfo cannot be read: {error}"))?;
        let host = parse_meminfo(&text).ok_or("/proc/meminfo has no MemTotal and MemAvailable")?;
        Ok(host.within(cgroup::limit()))
    }

    /// No more than a limit leaves.
    fn within(self, limit: Option<Limit>) -> Self {
        match limit {
            None => self,
            Some(limit) => Self {
                total: self.total.min(limit.total),
                free: self.free.min(limit.free),
                ..self
            },
        }
    }

    /// The memory of the GPU of this number; an error says why it is not known.
    ///
    /// # Errors
    /// When its driver's tool does not tell.
    pub fn of_card(index: usize) -> Result<Self, String> {
        let output = Command::new("nvidia-smi")
            .args(["--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"])
            .arg(format!("--id={index}"))
            .output()
            .map_err(|error| format!("no GPU here: nvidia-smi: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_smi(&text).ok_or_else(|| format!("nvidia-smi does not know GPU {index}: {}", text.trim()))
    }
}

/// Bytes that this process holds now, as far as the system tells.
pub fn held_by_process() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    kib(&text, "VmRSS:")
}

fn parse_meminfo(text: &str) -> Option<Available> {
    Some(Available {
        total: kib(text, "MemTotal:")?,
        free: kib(text, "MemAvailable:")?,
        source: Source::Host,
    })
}

fn parse_smi(text: &str) -> Option<Available> {
    let (total, free) = text.lines().next()?.split_once(',')?;
    let mib = |text: &str| text.trim().parse::<u64>().ok().map(|mib| mib << 20);
    Some(Available {
        total: mib(total)?,
        free: mib(free)?,
        source: Source::Gpu,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_read() {
        let text = "MemTotal:       24684096 kB\nMemFree:         5762588 kB\nMemAvailable:   22286740 kB\n";
        let host = parse_meminfo(text).unwrap();
        assert_eq!((host.total, host.free), (24_684_096 * 1024, 22_286_740 * 1024));
        assert_eq!(parse_meminfo("MemTotal: 1 kB"), None);
        assert_eq!(host.within(None), host);
        let within = host.within(Some(Limit {
            total: 1 << 40,
            free: 5,
        }));
        assert_eq!((within.total, within.free), (host.total, 5));
        assert!(held_by_process().unwrap() > 1 << 20);
        let gpu = parse_smi("143771, 143238\n").unwrap();
        assert_eq!((gpu.total, gpu.free), (143_771 << 20, 143_238 << 20));
        assert_eq!(parse_smi("No devices were found"), None);
        assert_eq!(Available::of_flag(1.5).free, 3 << 29);
    }
}
