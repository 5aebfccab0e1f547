//! Memory available to this process and its children: `MemTotal` of `/proc/meminfo` and the limits of control groups
//! (cgroups, versions 1 and 2).

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the lower of machine memory and cgroup limit in bytes, and its name for messages; `u64::MAX` where the system
/// reports neither.
pub(super) fn memory() -> (u64, &'static str) {
    let root = Path::new("/");
    let machine = (machine(root), "the machine's memory");
    let group = (groups(root), "the memory limit of its control group (cgroup)");
    machine.min(group)
}

/// Returns seven eighths of the machine's memory in bytes, which leaves the rest for the system; `u64::MAX` where unknown.
/// `root` is the file system root.
fn machine(root: &Path) -> u64 {
    let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map_or(u64::MAX, |kilobytes| kilobytes.saturating_mul(1024) / 8 * 7)
}

/// Returns the lowest memory limit in bytes of this process's control groups and their ancestors; `u64::MAX` without one.
/// `root` is the file system root.
fn groups(root: &Path) -> u64 {
    let read = |name: &str| fs::read_to_string(root.join("proc/self").join(name)).unwrap_or_default();
    let (groups, mounts) = (read("cgroup"), read("mountinfo"));
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (kind, file) = match controllers {
            "" => ("cgroup2", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => ("cgroup", "memory.limit_in_bytes"),
            _ => return None,
        };
        let (mount, inside) = mounts.lines().find_map(|line| mounted(line, kind))?;
        // Within a container the path may be the host's; then the mount point is the group itself.
        let path = Path::new(path).strip_prefix(inside).unwrap_or(Path::new(""));
        Some(min_limit(
            &root.join(mount.strip_prefix("/").unwrap_or(&mount)),
            path,
            file,
        ))
    });
    limits.min().unwrap_or(u64::MAX)
}

/// Parses a line of `/proc/self/mountinfo`: returns mount point and mounted group of a cgroup hierarchy of file system
/// type `kind` (`cgroup2`, or `cgroup` with the memory controller); `None` for any other line.
fn mounted<'a>(line: &'a str, kind: &str) -> Option<(PathBuf, &'a str)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    let options = (system.next()? == kind).then(|| system.next_back().unwrap_or(""))?;
    if kind == "cgroup" && !options.split(',').any(|option| option == "memory") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let (inside, mount) = (fields.next()?, fields.next()?);
    Some((PathBuf::from(mount), inside))
}

/// Returns the lowest limit in bytes of `group` and its ancestors below the mount point `mount`, read from their files
/// named `file`. Groups without a limit hold `max`, or a number beyond all memory.
fn min_limit(mount: &Path, group: &Path, file: &str) -> u64 {
    let limits = group.ancestors().filter_map(|group| {
        let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    });
    limits.min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A system with these groups, mounts and limits.
    fn limit(groups: &str, mounts: &str, limits: &[(&str, &str)]) -> u64 {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/self/cgroup", groups);
        write(root.path(), "proc/self/mountinfo", mounts);
        for (name, text) in limits {
            write(root.path(), &format!("sys/fs/cgroup/{name}"), text);
        }
        super::groups(root.path())
    }

    #[test]
    fn the_least_limit_of_all_groups_holds() {
        let two = "26 23 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let one = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let other = "31 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let (own, above) = ("a.slice/b/memory.max", "a.slice/memory.max");
        assert_eq!(
            limit("0::/a.slice/b\n", two, &[(own, "max\n"), (above, "1500\n")]),
            1500
        );
        assert_eq!(
            limit("0::/a.slice/b\n", two, &[(own, "700\n"), (above, "1500\n")]),
            700
        );
        assert_eq!(limit("0::/a.slice/b\n", two, &[(own, "max\n")]), u64::MAX);
        // In a container: its own group is the root of what it sees, under its own name or the host's.
        assert_eq!(limit("0::/\n", two, &[("memory.max", "900\n")]), 900);
        let inside = "35 31 0:32 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let limits = [("memory/memory.limit_in_bytes", "800\n")];
        assert_eq!(limit("4:memory:/docker/x\n", inside, &limits), 800);
        assert_eq!(limit("4:memory:/elsewhere\n", inside, &limits), 800);
        // Version 1 beside an empty version 2.
        let limits = [
            ("memory/a/memory.limit_in_bytes", "600\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        let mixed = format!("{other}{one}41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        assert_eq!(
            limit("5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n", &mixed, &limits),
            600
        );
        assert_eq!(limit("", "", &[]), u64::MAX);
    }

    #[test]
    fn the_machines_memory_is_known_where_it_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(machine(root.path()), u64::MAX);
        write(
            root.path(),
            "proc/meminfo",
            "MemTotal:       8000 kB\nMemFree: 1 kB\n",
        );
        assert_eq!(machine(root.path()), 7000 * 1024);
        if cfg!(target_os = "linux") {
            assert!(memory().0 < u64::MAX);
        }
    }
}
