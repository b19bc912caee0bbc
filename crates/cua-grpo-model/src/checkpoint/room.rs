//! Whether weights fit where they are to lie, before any is read.

use super::{LoadOptions, WeightDtype};
use crate::memory::machine::{Available, Source, held_by_process};
use crate::nn::Weight;
use crate::{ModelError, Qwen3Vl};
use cua_grpo_kernels::BLOCK;
use std::path::Path;

/// Bytes of the weights of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needed {
    /// As they are to be held.
    bytes: u64,
    /// With all linear maps in four bits.
    four_bits: u64,
    /// Matrices that are held in a number format.
    matrices: u64,
}

/// Bytes of so many weights in four bits with a scale in f32 for each block.
fn in_four_bits(weights: u64) -> u64 {
    weights / 2 + weights.div_ceil(BLOCK as u64) * 4
}

/// What `model` needs, whose weights are still to be read.
fn needed(model: &Qwen3Vl, options: &LoadOptions) -> Needed {
    let narrow = LoadOptions::new(WeightDtype::Bf16);
    let (mut bytes, mut matrices) = (0, 0);
    model.visit(&mut |name, param| {
        let weights = param.count() as u64;
        bytes += weights * options.dtype_of(name, &param).size() as u64;
        if narrow.dtype_of(name, &param) == WeightDtype::Bf16 {
            matrices += weights;
        }
    });
    model.visit_nf4(&mut |_, weight| bytes += in_four_bits(weight.dims().iter().product::<usize>() as u64));
    let mut four_bits = bytes;
    model.visit_linear(&mut |_, linear| {
        if let Weight::Dense(_) = linear.weight {
            let weights = linear.dims().iter().product::<usize>() as u64;
            four_bits = four_bits - weights * options.dtype.size() as u64 + in_four_bits(weights);
        }
    });
    Needed {
        bytes,
        four_bits,
        matrices,
    }
}

/// Refuses the checkpoint `dir` when its weights take more than there is: of the host what is free and what this process holds
/// itself, which may be used again; of a card all that it has, for what is taken of it may be the pool of this process.
///
/// # Errors
/// [`ModelError::Memory`] with both figures and what helps.
pub(super) fn check(
    model: &Qwen3Vl,
    options: &LoadOptions,
    dir: &Path,
    available: &Available,
) -> Result<(), ModelError> {
    let needed = needed(model, options);
    let (room, place) = match available.source {
        Source::Host => (
            available.free.saturating_add(held_by_process().unwrap_or(0)),
            "are free on this machine",
        ),
        Source::Gpu => (available.total, "are all that the card has"),
        Source::Flag => (available.free, "are there"),
    };
    if needed.bytes <= room {
        return Ok(());
    }
    let mut advice = Vec::new();
    let mut fitting = |what: &str, bytes: u64| {
        if bytes < needed.bytes && bytes <= room {
            advice.push(format!("{what} takes {}", gib(bytes)));
        }
    };
    if options.dtype == WeightDtype::F32 {
        fitting("dtype bf16", needed.bytes - 2 * needed.matrices);
    }
    fitting("load_in_4bit", needed.four_bits);
    if advice.is_empty() {
        advice.push(format!(
            "another number format does not help (load_in_4bit takes {})",
            gib(needed.four_bits)
        ));
    }
    advice.push("or use a machine or a card with more memory".to_owned());
    Err(ModelError::Memory {
        path: dir.to_owned(),
        needed: gib(needed.bytes),
        room: format!("{} {place}", gib(room)),
        advice: advice.join("; "),
    })
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    //! Mutations tried: vectors counted in the format of the matrices, scales of four bits left out.

    use super::*;
    use crate::ModelConfig;
    use crate::checkpoint::{Nf4Options, SINGLE_FILE, load_model};
    use crate::memory::{Memory, ModelSizes};
    use crate::placement::{DeviceSpec, Placement};
    use burn::tensor::Device;
    use std::time::{Duration, Instant};

    const FORMATS: [(WeightDtype, bool); 3] = [
        (WeightDtype::F32, false),
        (WeightDtype::Bf16, false),
        (WeightDtype::Bf16, true),
    ];

    fn options(dtype: WeightDtype, four_bits: bool) -> LoadOptions {
        let nf4 = four_bits.then(Nf4Options::default);
        LoadOptions { dtype, nf4 }
    }

    #[test]
    fn the_need_is_that_of_the_plan() {
        for name in ["2b", "30b-a3b"] {
            let config = ModelConfig::preset(name).unwrap();
            let sizes = ModelSizes::of(&config, None).unwrap();
            for (dtype, four_bits) in [(WeightDtype::F32, false), (WeightDtype::Bf16, false)] {
                let placement = Placement {
                    device: DeviceSpec::Cpu,
                    dtype,
                    four_bits,
                };
                let planned = Memory::of(&placement).weights(&sizes);
                let model = Qwen3Vl::unread(&config, &Device::flex());
                let needed = needed(&model, &options(dtype, four_bits));
                assert_eq!(needed.bytes, planned, "{name} {dtype:?}");
                let four = Placement {
                    four_bits: true,
                    ..placement
                };
                let planned = Memory::of(&four).weights(&sizes);
                // The scales of each map are rounded up here.
                assert!(needed.four_bits.abs_diff(planned) < 1 << 16, "{name} {dtype:?}");
            }
        }
    }

    /// A checkpoint of zeros that takes no place on the disk.
    fn sparse(config: &ModelConfig) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_json(0, 1).to_string()).unwrap();
        let (mut header, mut end) = (serde_json::Map::new(), 0);
        Qwen3Vl::unread(config, &Device::flex()).visit(&mut |name, param| {
            let mut shape = param.dims();
            if name.ends_with("patch_embed.proj.weight") {
                // Stored with the axes of its kernels apart.
                shape = vec![shape[0], 3, 2, 16, 16];
            }
            let start = end;
            end += 2 * shape.iter().product::<usize>() as u64;
            let place = serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
            header.insert(name.to_owned(), place);
        });
        let header = serde_json::to_vec(&header).unwrap();
        let mut head = (header.len() as u64).to_le_bytes().to_vec();
        head.extend(header);
        let path = dir.path().join(SINGLE_FILE);
        std::fs::write(&path, &head).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(head.len() as u64 + end).unwrap();
        dir
    }

    #[test]
    fn a_checkpoint_that_is_larger_than_the_memory_is_refused_before_it_is_read() {
        let mut config = ModelConfig::preset("2b").unwrap();
        // A terabyte of f32 in one matrix.
        config.text.vocab_size = 1 << 24;
        config.text.hidden_size = 1 << 14;
        config.vision.out_hidden_size = 1 << 14;
        let dir = sparse(&config);
        let start = Instant::now();
        for (dtype, four_bits) in FORMATS {
            let error = load_model(dir.path(), &options(dtype, four_bits), &Device::flex()).unwrap_err();
            assert!(matches!(error, ModelError::Memory { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("are free on this machine") && text.contains("GiB"),
                "{text}"
            );
            assert!(text.contains("does not help") && text.contains("more memory"), "{text}");
        }
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn the_error_says_what_fits() {
        let config = ModelConfig::preset("8b").unwrap();
        let said = |gib: f64, dtype, four_bits| {
            let model = Qwen3Vl::unread(&config, &Device::flex());
            let available = Available::of_flag(gib);
            match check(&model, &options(dtype, four_bits), Path::new("8b"), &available) {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            }
        };
        let text = said(24.0, WeightDtype::F32, false);
        for words in [
            "8b: the weights take 32.",
            "24.00 GiB",
            "dtype bf16 takes 16.",
            "load_in_4bit takes ",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let text = said(12.0, WeightDtype::Bf16, false);
        assert!(
            text.contains("load_in_4bit takes ") && !text.contains("dtype bf16"),
            "{text}"
        );
        assert_eq!(said(40.0, WeightDtype::F32, false), "");
        assert_eq!(said(17.0, WeightDtype::Bf16, false), "");
    }
}
