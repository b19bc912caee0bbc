//! What a card has, by its compute capability, and what kernels may use of it.

use super::error::{CudaError, Named};
use cudarc::driver::sys as cu;
use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;

/// Names a compute capability, `8.6`, that a newer card is to stand in for: nothing is used that such a card lacks.
const STAND_IN: &str = "CUA_GRPO_CAPABILITY";

/// Shared memory that the driver keeps of every block.
const KEPT: usize = 1024;

/// What kernels may use of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability {
    /// Compute capability: major and minor.
    number: (i32, i32),
    /// Whether the card itself is a newer one.
    stands_in: bool,
    /// Number of multiprocessors.
    pub multiprocessors: usize,
    /// Shared memory that a block may have, and that one of two blocks of a multiprocessor may have.
    pub shared: [usize; 2],
}

impl Capability {
    /// That of the current device.
    ///
    /// # Errors
    /// Below 8.0, which has no matrix units for bf16; and when the environment names what this card cannot stand in for.
    pub fn current() -> Result<Self, CudaError> {
        let mut device = 0;
        // SAFETY: a context is current on the device thread, and the pointer is valid.
        unsafe { cu::cuCtxGetDevice(&mut device) }
            .result()
            .named("cuCtxGetDevice")?;
        let ask = |attribute: Attribute| -> Result<i32, CudaError> {
            let mut value = 0;
            // SAFETY: as above.
            unsafe { cu::cuDeviceGetAttribute(&mut value, attribute, device) }
                .result()
                .named(&format!("{attribute:?}"))?;
            Ok(value)
        };
        let own = (
            ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        if own < (8, 0) {
            return Err(CudaError::new(
                "the CUDA kernels need compute capability 8.0 (bf16 matrix units)",
                own,
            ));
        }
        let most = ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as usize;
        let all = ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)? as usize;
        let card = Self {
            number: own,
            stands_in: false,
            multiprocessors: ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as usize,
            shared: [most, all / 2 - KEPT],
        };
        match std::env::var(STAND_IN) {
            Ok(name) if !name.is_empty() => card.standing_in(&name),
            _ => Ok(card),
        }
    }

    /// This card with what one of the compute capability `name` has.
    fn standing_in(self, name: &str) -> Result<Self, CudaError> {
        let number = name
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let known = number.and_then(|number| Some((number, per_multiprocessor(number)?)));
        match known {
            Some((number, all)) if number < self.number => Ok(Self {
                number,
                stands_in: true,
                shared: [all - KEPT, all / 2 - KEPT],
                ..self
            }),
            Some((number, _)) if number == self.number => Ok(self),
            _ => Err(CudaError::new(
                format!(
                    "{STAND_IN}: expected 8.0, 8.6, 8.9 or 9.0, at most the card's own {}.{}",
                    self.number.0, self.number.1
                ),
                name,
            )),
        }
    }

    /// Whether thread blocks can form clusters, and a kernel may start while the one before it runs.
    pub fn is_hopper_or_newer(&self) -> bool {
        self.number >= (9, 0)
    }

    /// What the run-time compiler is to compile for. Hopper's own instructions need the `a`. For a card that this one
    /// stands in for, the text that the driver translates, as an older card's machine code does not run.
    pub fn architecture(&self) -> String {
        let (major, minor) = self.number;
        match (self.stands_in, self.number) {
            (true, _) => format!("compute_{major}{minor}"),
            (false, (9, 0)) => "sm_90a".to_owned(),
            (false, _) => format!("sm_{major}{minor}"),
        }
    }

    /// Whether the compiler is asked for that text instead of machine code.
    pub fn translates(&self) -> bool {
        self.stands_in
    }
}

/// Shared memory of a multiprocessor (CUDA C++ programming guide, "Technical specifications per compute capability").
fn per_multiprocessor(number: (i32, i32)) -> Option<usize> {
    match number {
        (8, 0) => Some(164 << 10),
        (8, 6) | (8, 9) => Some(100 << 10),
        (9, 0) => Some(228 << 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_stands_in_for_older_ones() {
        let hopper = Capability {
            number: (9, 0),
            stands_in: false,
            multiprocessors: 132,
            shared: [232_448, 115_712],
        };
        assert_eq!(hopper.architecture(), "sm_90a");
        assert!(hopper.is_hopper_or_newer() && !hopper.translates());
        let older = hopper.standing_in("8.6").unwrap();
        assert_eq!(
            (older.architecture().as_str(), older.shared),
            ("compute_86", [101_376, 50_176])
        );
        assert!(!older.is_hopper_or_newer() && older.translates());
        assert_eq!(hopper.standing_in("8.0").unwrap().shared, [166_912, 82_944]);
        assert_eq!(hopper.standing_in("9.0").unwrap(), hopper);
        for wrong in ["7.5", "8", "10.0", "8.x", "hopper"] {
            let error = hopper.standing_in(wrong).unwrap_err().to_string();
            assert!(error.contains("expected 8.0, 8.6, 8.9 or 9.0"), "{wrong}: {error}");
        }
    }
}
