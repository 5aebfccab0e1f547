//! Files of the GPU's compiled kernels in the user's cache folder, one for each adapter with its driver.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use rife_gpu::{AdapterInfo, KernelStore};
use sha2::{Digest, Sha256};

/// First bytes of a file. The SHA-256 hash of the rest's kernels follows, then the kernels.
const MAGIC: &[u8; 8] = b"RIFEKRN1";
/// Length of the hash.
const HASH: usize = 32;
/// Maximum length of a file that is read or written.
const MAX_BYTES: u64 = 64 << 20;

/// The folder of the files.
#[derive(Debug)]
pub(super) struct KernelFiles {
    folder: PathBuf,
}

impl KernelFiles {
    /// Returns the folder `rife/kernels` in `RIFE_CACHE_DIR` or the user's cache folder; `None` where the environment names
    /// none.
    pub(super) fn of_user() -> Option<Self> {
        let variable = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let cache = variable("RIFE_CACHE_DIR")
            .or_else(|| variable("XDG_CACHE_HOME"))
            .or_else(|| variable("LOCALAPPDATA"))
            .or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(Self {
            folder: cache.join("rife").join("kernels"),
        })
    }

    /// Returns the path of an adapter's file.
    fn path(&self, adapter: &AdapterInfo) -> PathBuf {
        let identity = [adapter.api, &adapter.name, &adapter.driver].join("\n");
        let name: String = Sha256::digest(identity)[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.folder.join(name)
    }
}

impl KernelStore for KernelFiles {
    /// A file that others can write to, or whose hash is another one, counts as none: drivers trust what they are given.
    fn load(&self, adapter: &AdapterInfo) -> Option<Vec<u8>> {
        let content = rife_files::read_private(&self.path(adapter), MAX_BYTES).ok()?;
        let (hash, kernels) = content.strip_prefix(MAGIC)?.split_at_checked(HASH)?;
        (Sha256::digest(kernels)[..] == *hash).then(|| kernels.to_vec())
    }

    fn save(&self, adapter: &AdapterInfo, kernels: &[u8]) {
        if kernels.len() as u64 > MAX_BYTES - 1024 {
            return;
        }
        let content = [&MAGIC[..], &Sha256::digest(kernels), kernels].concat();
        // Without the file, kernels are compiled again.
        let _ = fs::create_dir_all(&self.folder);
        let _ = rife_files::replace_with(&self.path(adapter), |file| {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            file.write_all(&content)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_gpu::AdapterKind;

    fn adapter(driver: &str) -> AdapterInfo {
        AdapterInfo {
            index: 0,
            name: "GeForce".to_owned(),
            kind: AdapterKind::Discrete,
            api: "vulkan",
            driver: driver.to_owned(),
            max_buffer: 1 << 30,
            max_binding: 1 << 27,
            max_bindings: 8,
            workgroup_memory: 32768,
            f16: true,
            matrices: Vec::new(),
            timestamps: true,
        }
    }

    #[test]
    fn damaged_and_foreign_files_count_as_none() {
        let place = tempfile::tempdir().unwrap();
        let files = KernelFiles {
            folder: place.path().join("rife").join("kernels"),
        };
        let ours = adapter("driver 1.0");
        assert_eq!(files.load(&ours), None, "no folder");
        files.save(&ours, b"kernels");
        assert_eq!(files.load(&ours).unwrap(), b"kernels");
        assert_eq!(files.load(&adapter("driver 1.1")), None, "another driver's");
        let path = files.path(&ours);
        let whole = fs::read(&path).unwrap();
        for length in [0, 7, 8, 39, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(files.load(&ours), None, "cut to {length} bytes");
        }
        for place in [0, 8, 39, 40, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(files.load(&ours), None, "byte {place} changed");
        }
        files.save(&ours, b"kernels");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            assert_eq!(files.load(&ours), None, "others can write to it");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(files.load(&ours), None, "a folder");
        files.save(&ours, b"kernels");
    }
}
