//! The memory of a device that a configuration names.

use super::machine::Available;
use crate::placement::DeviceSpec;

impl Available {
    /// The memory of `device`; an error says why it is not known.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of_device(device: DeviceSpec) -> Result<Self, String> {
        match device {
            DeviceSpec::Cpu => Self::of_host(),
            DeviceSpec::Cuda(index) => Self::of_card(index),
        }
    }
}
