//! Where a language model computes.

use candle_core::Device;

/// As the user names it: `cpu`, `cuda`, `cuda:1` or `metal`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    #[default]
    Cpu,
    /// By its number.
    Cuda(usize),
    Metal,
}

/// The device is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{device}: {reason}; --device cpu always works")]
pub struct DeviceError {
    pub device: DeviceChoice,
    pub reason: String,
}

impl DeviceChoice {
    /// # Errors
    /// This build is not made for it, or the system has none.
    pub fn open(self) -> Result<Device, DeviceError> {
        let fail = |reason: String| DeviceError { device: self, reason };
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => {
                Err(fail("this program was built without it (cargo build --features cuda)".to_owned()))
            }
            Self::Metal if !cfg!(feature = "metal") => {
                Err(fail("this program was built without it (cargo build --features metal)".to_owned()))
            }
            Self::Cuda(number) => Device::new_cuda(number).map_err(|error| fail(error.to_string())),
            Self::Metal => Device::new_metal(0).map_err(|error| fail(error.to_string())),
        }
    }
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            other => match other.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
                Some(number) => Ok(Self::Cuda(number)),
                None => Err(format!("{other:?} is no device; give cpu, cuda, cuda:NUMBER or metal")),
            },
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_and_a_missing_one_says_how_to_get_it() {
        for name in ["cpu", "cuda:0", "cuda:3", "metal"] {
            assert_eq!(name.parse::<DeviceChoice>().map(|device| device.to_string()), Ok(name.to_owned()));
        }
        assert!("gpu".parse::<DeviceChoice>().is_err());
        assert!(DeviceChoice::Cpu.open().expect("the CPU").is_cpu());
        if !cfg!(feature = "cuda") {
            let told = DeviceChoice::Cuda(0).open().expect_err("no CUDA in this build").to_string();
            assert!(told.contains("--features cuda") && told.contains("--device cpu"), "{told}");
        }
    }
}
