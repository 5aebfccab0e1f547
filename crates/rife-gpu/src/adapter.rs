//! Adapters: the GPUs of this machine as their drivers list them, and the choice of one.

use std::fmt;
use std::str::FromStr;

use crate::GpuError;

/// What kind of device an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU that a virtual machine's host lends.
    Virtual,
    /// A driver that computes on the processor, such as lavapipe.
    Software,
    /// The driver does not say.
    Unknown,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software, on the processor",
            Self::Unknown => "unknown kind",
        })
    }
}

/// What a driver reports about an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AdapterInfo {
    /// Its index among [`adapters`], from 0.
    pub index: usize,
    /// The device's name.
    pub name: String,
    /// What kind of device it is.
    pub kind: AdapterKind,
    /// The interface to it: `vulkan`, `metal` or `dx12`.
    pub api: &'static str,
    /// The driver's name and version.
    pub driver: String,
    /// Size of the largest buffer in bytes.
    pub max_buffer: u64,
    /// Size of the largest part of a buffer that a kernel can read or write, in bytes.
    pub max_binding: u64,
    /// Buffers that one kernel can read or write.
    pub max_bindings: u32,
    /// Memory of a workgroup in bytes.
    pub workgroup_memory: u32,
    /// Whether kernels can store 16-bit floating-point numbers.
    pub f16: bool,
    /// Whether kernels can multiply matrices of a subgroup, and of which sizes, such as `16x16`.
    pub matrices: Vec<String>,
    /// Whether kernels can be timed.
    pub timestamps: bool,
}

impl AdapterInfo {
    /// Whether the other adapter is of the same kind with the same driver.
    fn is_alike(&self, other: &Self) -> bool {
        [self.api, &self.name, &self.driver] == [other.api, &other.name, &other.driver]
    }
}

/// Number of storage buffers that the largest hand-written kernel uses: the output and three inputs of a convolution.
const MIN_BINDINGS: u32 = 4;

/// An adapter: a device as a driver offers it, not opened yet.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(crate) inner: wgpu::Adapter,
    info: AdapterInfo,
}

impl Adapter {
    fn new(index: usize, inner: wgpu::Adapter) -> Self {
        let (info, limits, features) = (inner.get_info(), inner.limits(), inner.features());
        let mut matrices: Vec<_> = inner
            .cooperative_matrix_properties()
            .iter()
            .filter(|m| m.ab_type == wgpu::CooperativeScalarType::F16 && m.m_size == m.n_size)
            .map(|m| format!("{}x{}", m.m_size, m.n_size))
            .collect();
        matrices.dedup();
        let info = AdapterInfo {
            index,
            name: info.name,
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
                wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
                wgpu::DeviceType::Cpu => AdapterKind::Software,
                wgpu::DeviceType::Other => AdapterKind::Unknown,
            },
            api: info.backend.to_str(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
            max_bindings: limits.max_storage_buffers_per_shader_stage,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            f16: features.contains(wgpu::Features::SHADER_F16),
            matrices,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        };
        Self { inner, info }
    }

    /// Returns what the driver reports about it.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// Checks that the engine's kernels can run on it.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        let info = &self.info;
        let lacks = if info.max_bindings < MIN_BINDINGS {
            format!(
                "a kernel can use {} buffers, and {MIN_BINDINGS} are needed",
                info.max_bindings
            )
        } else if info.workgroup_memory < crate::conv::WORKGROUP_MEMORY {
            let needed = crate::conv::WORKGROUP_MEMORY;
            format!(
                "a workgroup has {} bytes of memory, and {needed} are needed",
                info.workgroup_memory
            )
        } else {
            return Ok(());
        };
        Err(GpuError::Unsuitable(info.name.clone(), lacks))
    }
}

/// Lists the adapters of this machine in the drivers' order: those of Vulkan, Metal and DirectX 12, including software
/// adapters. Loads the drivers, which takes 10 to 500 ms. A machine without a driver has no adapters.
pub fn adapters() -> Vec<Adapter> {
    let mut options = wgpu::InstanceDescriptor::new_without_display_handle();
    options.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    options.flags = wgpu::InstanceFlags::empty().with_env();
    let instance = wgpu::Instance::new(options);
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let numbered = found.into_iter().enumerate();
    numbered
        .map(|(index, inner)| Adapter::new(index, inner))
        .collect()
}

/// Which adapter is to compute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum AdapterChoice {
    /// The first discrete GPU, else the first virtual one, else the first integrated one. Never a software adapter.
    #[default]
    Any,
    /// The adapter of this index among [`adapters`].
    Index(usize),
    /// The adapter whose name contains this text, in whatever case.
    Name(String),
}

impl FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    /// Parses an index where the text is a number, otherwise a name; the empty text is [`AdapterChoice::Any`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) if text.is_empty() => Self::Any,
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for AdapterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl AdapterChoice {
    /// Returns the chosen one of `adapters`.
    ///
    /// # Errors
    /// Where there is none, or where a name is part of the names of several devices.
    pub fn find(&self, adapters: &[Adapter]) -> Result<Adapter, GpuError> {
        let infos: Vec<_> = adapters.iter().map(|adapter| adapter.info.clone()).collect();
        self.pick(&infos).map(|index| adapters[index].clone())
    }

    /// Returns the chosen one of `adapters` and all others of the same name, interface and driver, which compute the same values.
    ///
    /// # Errors
    /// Those of [`AdapterChoice::find`].
    pub fn find_alike(&self, adapters: &[Adapter]) -> Result<Vec<Adapter>, GpuError> {
        let first = self.find(adapters)?;
        let is_alike = |adapter: &&Adapter| adapter.info.is_alike(&first.info);
        Ok(adapters.iter().filter(is_alike).cloned().collect())
    }

    /// Returns the index in `infos` of the chosen adapter.
    fn pick(&self, infos: &[AdapterInfo]) -> Result<usize, GpuError> {
        let missing = |asked: String| GpuError::NoSuchAdapter(asked, infos.to_vec());
        match self {
            Self::Any => {
                let kinds = [
                    AdapterKind::Discrete,
                    AdapterKind::Virtual,
                    AdapterKind::Integrated,
                ];
                let first = |kind| infos.iter().position(|info| info.kind == kind);
                let found = kinds.into_iter().find_map(first);
                found.ok_or_else(|| missing("that is not software".to_owned()))
            }
            Self::Index(index) if *index < infos.len() => Ok(*index),
            Self::Index(index) => Err(missing(format!("of index {index}"))),
            Self::Name(name) => {
                let wanted = name.to_lowercase();
                let is_meant = |info: &&AdapterInfo| info.name.to_lowercase().contains(&wanted);
                let mut meant = infos.iter().filter(is_meant);
                let Some(first) = meant.next() else {
                    return Err(missing(format!("with {name:?} in its name")));
                };
                // One device can be listed once for each interface.
                if meant.any(|other| other.name != first.name) {
                    return Err(GpuError::Ambiguous(name.clone(), infos.to_vec()));
                }
                Ok(first.index)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(index: usize, name: &str, kind: AdapterKind) -> AdapterInfo {
        AdapterInfo {
            index,
            name: name.to_owned(),
            kind,
            api: "vulkan",
            driver: "test 1.0".to_owned(),
            max_buffer: 1 << 30,
            max_binding: 1 << 27,
            max_bindings: 8,
            workgroup_memory: 32768,
            f16: true,
            matrices: Vec::new(),
            timestamps: true,
        }
    }

    fn pick(text: &str, infos: &[AdapterInfo]) -> Result<usize, String> {
        let choice: AdapterChoice = text.parse().unwrap();
        choice.pick(infos).map_err(|error| error.to_string())
    }

    #[test]
    fn any_prefers_discrete_and_never_takes_software() {
        use AdapterKind::{Discrete, Integrated, Software};
        let all = [
            info(0, "llvmpipe", Software),
            info(1, "Iris Xe", Integrated),
            info(2, "GeForce", Discrete),
        ];
        assert_eq!(pick("", &all), Ok(2));
        assert_eq!(pick("", &all[..2]), Ok(1));
        let error = pick("", &all[..1]).unwrap_err();
        assert_eq!(
            error,
            "no GPU that is not software; there is 0: llvmpipe (software, on the processor)"
        );
        let error = pick("", &[]).unwrap_err();
        assert!(
            error.contains("this machine has none with a Vulkan, Metal or DirectX 12 driver"),
            "{error}"
        );
    }

    #[test]
    fn an_index_or_part_of_a_name_means_one_adapter() {
        use AdapterKind::{Discrete, Software};
        let all = [
            info(0, "GeForce RTX 3060", Discrete),
            info(1, "GeForce RTX 4090", Discrete),
            info(2, "GeForce RTX 4090", Discrete),
            info(3, "llvmpipe (LLVM 15)", Software),
        ];
        assert_eq!(pick("1", &all), Ok(1));
        assert_eq!(pick("rtx 40", &all), Ok(1), "one device by two interfaces");
        assert_eq!(pick("LLVMpipe", &all), Ok(3));
        assert!(pick("geforce", &all).unwrap_err().contains("several GPUs' names"));
        assert!(pick("4", &all).unwrap_err().starts_with("no GPU of index 4;"));
        assert!(
            pick("radeon", &all)
                .unwrap_err()
                .contains("\"radeon\" in its name")
        );
    }
}
