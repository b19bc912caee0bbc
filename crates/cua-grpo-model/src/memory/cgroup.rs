//! Memory that a container, a slice of the system or a shell leaves to this process: limits of control groups, versions 1
//! and 2, and of the address space.
//!
//! A limit counts for all groups below it, so every group from the process's own up to the root is asked. What a group
//! uses counts without its inactive file pages, which the kernel takes back before it refuses memory.

use std::path::Path;

/// The tightest limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Bytes that the group may have.
    pub total: u64,
    /// Bytes that it does not have yet.
    pub free: u64,
}

/// Names of the files of a version.
struct Names {
    limit: &'static str,
    used: &'static str,
    inactive: &'static str,
}

const V2: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    inactive: "inactive_file",
};
const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

/// The tightest limit on this process, if there is one.
pub(super) fn limit() -> Option<Limit> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let group = tightest(Path::new("/sys/fs/cgroup"), &text("/proc/self/cgroup"));
    let own = address_space(&text("/proc/self/limits"), &text("/proc/self/status"));
    group.into_iter().chain(own).min_by_key(|limit| limit.free)
}

/// The limit of `ulimit -v`, from the texts of `/proc/self/limits` and `/proc/self/status`.
fn address_space(limits: &str, status: &str) -> Option<Limit> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let total: u64 = line.split_whitespace().next()?.parse().ok()?;
    let used = kib(status, "VmSize:")?;
    Some(Limit {
        total,
        free: total.saturating_sub(used),
    })
}

/// Bytes of the line with `key` in a text of the kernel.
pub(super) fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The same for a process whose `/proc/PID/cgroup` is `groups`, where control groups are mounted at `mount`.
fn tightest(mount: &Path, groups: &str) -> Option<Limit> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, names) = match controllers {
            "" => (mount.to_owned(), V2),
            list if list.split(',').any(|name| name == "memory") => (mount.join("memory"), V1),
            _ => continue,
        };
        // In a container the path may be that of the host: then the root of the mount is the process's own group.
        let own = root.join(path.trim_start_matches('/'));
        let up = own.ancestors().take_while(|folder| folder.starts_with(&root));
        found.extend(up.filter_map(|folder| read(folder, &names)));
    }
    found.into_iter().min_by_key(|limit| limit.free)
}

fn read(folder: &Path, names: &Names) -> Option<Limit> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let total: u64 = text(names.limit)?.trim().parse().ok()?;
    let used: u64 = text(names.used)?.trim().parse().ok()?;
    let stat = text("memory.stat").unwrap_or_default();
    let inactive = stat
        .lines()
        .find_map(|line| line.strip_prefix(names.inactive)?.trim().parse::<u64>().ok());
    let used = used.saturating_sub(inactive.unwrap_or(0));
    Some(Limit {
        total,
        free: total.saturating_sub(used),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(folder: std::path::PathBuf, files: &[(&str, &str)]) {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_of_all_groups_above_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path();
        let stat = ("memory.stat", "anon 5\ninactive_file 1000\n");
        group(
            mount.join("a"),
            &[("memory.max", "9000\n"), ("memory.current", "4000\n"), stat],
        );
        group(
            mount.join("a/b"),
            &[("memory.max", "8000\n"), ("memory.current", "500\n")],
        );
        group(
            mount.join("a/b/c"),
            &[("memory.max", "max\n"), ("memory.current", "500\n")],
        );
        assert_eq!(
            tightest(mount, "0::/a/b/c\n"),
            Some(Limit {
                total: 9000,
                free: 6000
            })
        );
        group(mount.join("a/b"), &[("memory.max", "3000\n")]);
        assert_eq!(
            tightest(mount, "0::/a/b/c\n"),
            Some(Limit {
                total: 3000,
                free: 2500
            })
        );
        assert_eq!(tightest(mount, "0::/elsewhere\n"), None);
        assert_eq!(tightest(mount, "nonsense"), None);
    }

    #[test]
    fn the_address_space_may_be_limited() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max address space         1228800000           1228800000           bytes     \n";
        let status = "Name:\ttrainer\nVmSize:\t  200000 kB\nVmRSS:\t 1000 kB\n";
        let limit = Limit {
            total: 1_228_800_000,
            free: 1_024_000_000,
        };
        assert_eq!(address_space(limits, status), Some(limit));
        let free = limits.replace("1228800000", "unlimited ");
        assert_eq!(address_space(&free, status), None);
    }

    #[test]
    fn version_1_and_a_path_of_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("memory.limit_in_bytes", "7000\n"),
            ("memory.usage_in_bytes", "6500\n"),
            ("memory.stat", "cache 1\ntotal_inactive_file 500\n"),
        ];
        group(dir.path().join("memory"), &files);
        let groups = "5:cpu,cpuacct:/x\n4:memory:/docker/0123\n0::/\n";
        assert_eq!(
            tightest(dir.path(), groups),
            Some(Limit {
                total: 7000,
                free: 1000
            })
        );
    }
}
