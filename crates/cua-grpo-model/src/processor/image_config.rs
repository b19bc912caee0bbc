//! The numbers of the image preprocessing: read from a model folder, and written as the released checkpoints have them.

use super::sections::Section;
use super::{ImageProcessorConfig, PixelBudget, ProcessorError, Resample, fit};
use std::path::Path;

/// Pillow's bytes to 0..1.
const TO_UNIT: f64 = 1.0 / 255.0;

/// Most pixels a side of a patch, and most patches a side of a token.
const MOST_SIDE: usize = 256;

/// Most pixels to a side of what becomes one token: a smaller picture is made as large.
const MOST_FACTOR: usize = 1024;

/// Most frames of a patch.
const MOST_DEPTH: usize = 16;

/// What a file may leave out.
struct Defaults {
    sizes: Option<[usize; 3]>,
    pixels: (Option<usize>, Option<usize>),
    statistics: Option<f32>,
}

/// The class defaults of the image processor are those of another model, so nothing may be left out.
const IMAGE: Defaults = Defaults {
    sizes: None,
    pixels: (None, None),
    statistics: None,
};

/// The class defaults of the video processor are Qwen3-VL's own.
const VIDEO: Defaults = Defaults {
    sizes: Some([16, 2, 2]),
    pixels: (Some(128 * 32 * 32), Some(32 * 32 * 768)),
    statistics: Some(0.5),
};

impl ImageProcessorConfig {
    /// What the released models do with pictures.
    pub const fn released() -> Self {
        Self::qwen3_vl(PixelBudget {
            shortest_edge: 256 * 256,
            longest_edge: 4096 * 4096,
        })
    }

    /// What Qwen3-VL's processor does with pictures within a budget of pixels: patches of 16, two a side to a token, bytes
    /// to -1..1.
    pub const fn qwen3_vl(size: PixelBudget) -> Self {
        Self {
            size,
            patch_size: 16,
            temporal_patch_size: 2,
            merge_size: 2,
            image_mean: [0.5; 3],
            image_std: [0.5; 3],
            do_resize: true,
            resample: Resample::Bicubic,
            do_rescale: true,
            rescale_factor: TO_UNIT,
            do_normalize: true,
        }
    }

    /// Reads the image processor of a model folder: `image_processor` of `processor_config.json` where that is there, else
    /// `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`], [`ProcessorError::Key`] for a key that says what is not done
    /// here, or that is missing (the class defaults of other models are never assumed), or [`ProcessorError::Misfit`] when
    /// the `config.json` of the folder is of a model that takes other patches.
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let section = Section::image(folder)?;
        let read = Self::from_section(&section, &IMAGE)?;
        fit::check(folder, &section, &read)?;
        Ok(read)
    }

    /// The same keys of the video processor.
    pub(super) fn of_clips(folder: &Path, section: &Section) -> Result<Self, ProcessorError> {
        let read = Self::from_section(section, &VIDEO)?;
        fit::check(folder, section, &read)?;
        Ok(read)
    }

    fn from_section(section: &Section, defaults: &Defaults) -> Result<Self, ProcessorError> {
        let missing = |key: &str| section.error(key, "the value of the released model");
        let size = |key: &str, index: usize| {
            let value = section
                .count(key, MOST_SIDE)?
                .or(defaults.sizes.map(|sizes| sizes[index]));
            value.ok_or_else(|| missing(key))
        };
        let statistics = |key: &str| {
            let value = section.channels(key)?.or(defaults.statistics.map(|value| [value; 3]));
            value.ok_or_else(|| missing(key))
        };
        let (shortest, longest) = section.pixels()?;
        let budget = "size with shortest_edge (fewest pixels) and longest_edge (most pixels)";
        let (least, most) = (section.key_of_pixels("min_pixels"), section.key_of_pixels("max_pixels"));
        let bound = |value: Option<usize>, default: Option<usize>, missing: &'static str, other: &str| {
            // Where one of the two is written by its own name, so should be the other.
            let key = if other == "size" { "size" } else { missing };
            value.or(default).ok_or_else(|| section.error(key, budget))
        };
        let read = Self {
            size: PixelBudget {
                shortest_edge: bound(shortest, defaults.pixels.0, "min_pixels", most)?,
                longest_edge: bound(longest, defaults.pixels.1, "max_pixels", least)?,
            },
            patch_size: size("patch_size", 0)?,
            temporal_patch_size: size("temporal_patch_size", 1)?,
            merge_size: size("merge_size", 2)?,
            image_mean: statistics("image_mean")?,
            image_std: statistics("image_std")?,
            do_resize: section.flag("do_resize", true)?,
            resample: resample(section)?,
            do_rescale: section.flag("do_rescale", true)?,
            rescale_factor: rescale_factor(section)?,
            do_normalize: section.flag("do_normalize", true)?,
        };
        let PixelBudget {
            shortest_edge: fewest,
            longest_edge: largest,
        } = read.size;
        if fewest > largest {
            let (key, expected) = match (least, most) {
                ("min_pixels", _) => (least, format!("at most the largest number of pixels, {largest}")),
                (_, "max_pixels") => (most, format!("at least the fewest pixels, {fewest}")),
                _ => ("size", "fewer pixels at the least than at the most".to_owned()),
            };
            return Err(section.error(key, &expected));
        }
        if read.temporal_patch_size > MOST_DEPTH {
            return Err(section.error("temporal_patch_size", &format!("at most {MOST_DEPTH}")));
        }
        if read.patch_size * read.merge_size > MOST_FACTOR {
            let expected =
                format!("at most {MOST_FACTOR} pixels to a side with patch_size, which a picture is made larger for");
            return Err(section.error("merge_size", &expected));
        }
        for (key, used) in [("resample", read.do_resize), ("rescale_factor", read.do_rescale)] {
            if used && section.is_null(key) {
                return Err(section.error(key, "a value, because it is used"));
            }
        }
        if !read.image_std.iter().all(|&std| (1e-12..=1e12).contains(&std)) {
            return Err(section.error("image_std", "numbers above 0"));
        }
        if !read.image_mean.iter().all(|mean| mean.abs() <= 1e12) {
            return Err(section.error("image_mean", "numbers"));
        }
        Ok(read)
    }

    /// Writes `preprocessor_config.json`, as the released checkpoints have it.
    ///
    /// # Errors
    /// [`ProcessorError::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), ProcessorError> {
        let mut json = serde_json::json!({
            "size": self.size,
            "patch_size": self.patch_size,
            "temporal_patch_size": self.temporal_patch_size,
            "merge_size": self.merge_size,
            "image_mean": self.image_mean,
            "image_std": self.image_std,
            "processor_class": "Qwen3VLProcessor",
            "image_processor_type": "Qwen2VLImageProcessorFast",
        });
        let plain = Self::qwen3_vl(self.size);
        let switches = [
            ("do_resize", self.do_resize, plain.do_resize),
            ("do_rescale", self.do_rescale, plain.do_rescale),
            ("do_normalize", self.do_normalize, plain.do_normalize),
        ];
        for (key, value, _) in switches.into_iter().filter(|(_, value, plain)| value != plain) {
            json[key] = value.into();
        }
        if self.resample != plain.resample {
            json["resample"] = self.resample.number().into();
        }
        if self.rescale_factor != plain.rescale_factor {
            json["rescale_factor"] = self.rescale_factor.into();
        }
        let path = folder.join("preprocessor_config.json");
        ProcessorError::write(&path, &format!("{json:#}\n"))
    }
}

fn resample(section: &Section) -> Result<Resample, ProcessorError> {
    let Some(value) = section.get("resample") else {
        return Ok(Resample::default());
    };
    let named = || match value.as_str()?.to_ascii_lowercase().as_str() {
        "nearest" => Some(Resample::Nearest),
        "lanczos" => Some(Resample::Lanczos),
        "bilinear" => Some(Resample::Bilinear),
        "bicubic" => Some(Resample::Bicubic),
        _ => None,
    };
    let read = value.as_u64().and_then(Resample::from_number).or_else(named);
    read.ok_or_else(|| section.error("resample", "0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)"))
}

fn rescale_factor(section: &Section) -> Result<f64, ProcessorError> {
    let Some(value) = section.get("rescale_factor") else {
        return Ok(TO_UNIT);
    };
    let number = value.as_f64().filter(|number| (1e-12..=1e12).contains(number));
    number.ok_or_else(|| section.error("rescale_factor", "a number above 0"))
}
