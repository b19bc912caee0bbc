//! The processor's files key by key: which file holds which part, what each key may say, and what is done with it.
//!
//! Two tables list the keys of transformers' image and video processors. A key is read and obeyed, or must have the value
//! that says what is done anyway, or is one that transformers does not look at either. `null` is as if a key were absent,
//! but a switch that is null is off, as it is there.

use super::ProcessorError;
use crate::plain_text::is_there;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Most pixels that a budget may ask for: four times that of the released models.
pub(super) const MOST_BUDGET: usize = 1 << 26;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It is read and obeyed.
    Obeyed,
    /// It must be this, which is what is done anyway.
    Only(Fixed),
    /// Transformers has it and its processor does not look at it; where it asks for something, a warning says so.
    Idle,
    /// It names things or concerns the call only.
    Silent,
}

/// A value that a key must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fixed {
    True,
    Class(&'static [&'static str]),
}

/// The processors of images that compute what is computed here.
const IMAGE_CLASSES: &[&str] = &[
    "Qwen2VLImageProcessor",
    "Qwen2VLImageProcessorFast",
    "Qwen2VLImageProcessorPil",
    "Qwen2_5_VLImageProcessor",
    "Qwen3VLImageProcessor",
    "Qwen3VLImageProcessorFast",
];

/// The processors of clips that compute what is computed here.
const VIDEO_CLASSES: &[&str] = &["Qwen3VLVideoProcessor"];

/// Keys of `Qwen2VLImageProcessor`, of the processors that it is made from, and of their files.
const IMAGE_KEYS: &[(&str, Rule)] = &[
    ("size", Rule::Obeyed),
    ("min_pixels", Rule::Obeyed),
    ("max_pixels", Rule::Obeyed),
    ("patch_size", Rule::Obeyed),
    ("temporal_patch_size", Rule::Obeyed),
    ("merge_size", Rule::Obeyed),
    ("image_mean", Rule::Obeyed),
    ("image_std", Rule::Obeyed),
    ("do_resize", Rule::Obeyed),
    ("resample", Rule::Obeyed),
    ("do_rescale", Rule::Obeyed),
    ("rescale_factor", Rule::Obeyed),
    ("do_normalize", Rule::Obeyed),
    ("do_convert_rgb", Rule::Only(Fixed::True)),
    ("image_processor_type", Rule::Only(Fixed::Class(IMAGE_CLASSES))),
    ("feature_extractor_type", Rule::Only(Fixed::Class(IMAGE_CLASSES))),
    ("do_center_crop", Rule::Idle),
    ("crop_size", Rule::Idle),
    ("do_pad", Rule::Idle),
    ("pad_size", Rule::Idle),
    ("image_seq_length", Rule::Idle),
    ("default_to_square", Rule::Silent),
    ("data_format", Rule::Silent),
    ("input_data_format", Rule::Silent),
    ("device", Rule::Silent),
    ("return_tensors", Rule::Silent),
    ("disable_grouping", Rule::Silent),
    ("processor_class", Rule::Silent),
    ("auto_map", Rule::Silent),
    ("transformers_version", Rule::Silent),
    ("_valid_processor_keys", Rule::Silent),
    ("_valid_kwargs_names", Rule::Silent),
    ("model_input_names", Rule::Silent),
];

/// Keys that `Qwen3VLVideoProcessor` has besides. Clips come here as sampled frames, so how to sample them is idle.
const VIDEO_KEYS: &[(&str, Rule)] = &[
    ("min_pixels", Rule::Idle),
    ("max_pixels", Rule::Idle),
    ("cap_pixels_per_frame", Rule::Obeyed),
    ("max_video_tokens", Rule::Obeyed),
    ("video_processor_type", Rule::Only(Fixed::Class(VIDEO_CLASSES))),
    ("fps", Rule::Silent),
    ("num_frames", Rule::Silent),
    ("min_frames", Rule::Silent),
    ("max_frames", Rule::Silent),
    ("do_sample_frames", Rule::Silent),
    ("max_duration", Rule::Silent),
    ("max_image_size", Rule::Silent),
    ("video_metadata", Rule::Silent),
    ("return_metadata", Rule::Silent),
];

/// Keys of `processor_config.json`: its parts, and what names things or is read elsewhere.
const PROCESSOR_KEYS: &[&str] = &[
    "image_processor",
    "video_processor",
    "tokenizer",
    "chat_template",
    "processor_class",
    "auto_map",
    "transformers_version",
    "_commit_hash",
];

/// One processor's keys, and where they stand.
#[derive(Debug)]
pub(super) struct Section {
    path: PathBuf,
    fields: Map<String, Value>,
    of_clips: bool,
}

impl Section {
    /// The image processor's keys: `image_processor` of `processor_config.json`, else `preprocessor_config.json`. Keys of the
    /// first that stand in no part are told.
    pub(super) fn image(folder: &Path) -> Result<Self, ProcessorError> {
        let nested = folder.join("processor_config.json");
        if is_there(&nested) {
            for (key, value) in object(&nested)?.iter().filter(|(_, value)| !value.is_null()) {
                if !PROCESSOR_KEYS.contains(&key.as_str()) {
                    let value = crate::config::keys::shown(value);
                    tracing::warn!("{}: unknown key `{key}` ({value}) is passed over", nested.display());
                }
            }
        }
        let section = Self::find(folder, "image_processor", &["preprocessor_config.json"])?;
        section.check(&[IMAGE_KEYS])?;
        Ok(section)
    }

    /// The video processor's keys: `video_processor` of `processor_config.json`, else `video_preprocessor_config.json`,
    /// else those of the image processor, as transformers has it.
    pub(super) fn video(folder: &Path) -> Result<Self, ProcessorError> {
        let files = ["video_preprocessor_config.json", "preprocessor_config.json"];
        let mut section = Self::find(folder, "video_processor", &files)?;
        section.of_clips = true;
        section.check(&[VIDEO_KEYS, IMAGE_KEYS])?;
        Ok(section)
    }

    fn find(folder: &Path, part: &str, files: &[&str]) -> Result<Self, ProcessorError> {
        let nested = folder.join("processor_config.json");
        let inside = match is_there(&nested) {
            true => object(&nested)?.remove(part).filter(|part| !part.is_null()),
            false => None,
        };
        let alone = files.iter().map(|name| folder.join(name)).find(|path| is_there(path));
        let Some(inside) = inside else {
            let path = alone.ok_or_else(|| ProcessorError::Format {
                path: folder.to_owned(),
                expected: format!("{}, or `{part}` in processor_config.json", files.join(" or ")),
                got: "none of them; copy them from the released model".to_owned(),
            })?;
            let fields = object(&path)?;
            return Ok(Self {
                path,
                fields,
                of_clips: false,
            });
        };
        let Value::Object(fields) = inside else {
            return Err(ProcessorError::Format {
                path: nested,
                expected: format!("an object under `{part}`"),
                got: inside.to_string(),
            });
        };
        let section = Self {
            path: nested,
            fields,
            of_clips: false,
        };
        // The last file stands in for others only where nothing else is there.
        let other = folder.join(files[0]);
        if other.exists() && section.differs(&object(&other)?) {
            tracing::warn!(
                "{}: `{part}` differs from {}; the first is used, as transformers does; remove the one that is stale",
                section.path.display(),
                other.display()
            );
        }
        Ok(section)
    }

    /// Whether another file says something else in a key that is obeyed.
    fn differs(&self, other: &Map<String, Value>) -> bool {
        let obeyed = IMAGE_KEYS.iter().filter(|(_, rule)| *rule == Rule::Obeyed);
        obeyed.into_iter().any(|(key, _)| {
            let set = |fields: &Map<String, Value>| fields.get(*key).filter(|value| !value.is_null()).cloned();
            matches!((set(&self.fields), set(other)), (Some(a), Some(b)) if a != b)
        })
    }

    /// Holds every key against the tables.
    fn check(&self, tables: &[&[(&str, Rule)]]) -> Result<(), ProcessorError> {
        for (key, value) in &self.fields {
            let mut rules = tables.iter().flat_map(|table| table.iter());
            match rules.find(|(name, _)| name == key).map(|(_, rule)| rule) {
                Some(Rule::Only(Fixed::True)) if value.is_null() => {
                    return Err(self.error(key, "true, which is what is done (null turns it off)"));
                }
                _ if value.is_null() => {}
                Some(Rule::Obeyed | Rule::Silent) => {}
                Some(Rule::Only(Fixed::True)) if *value == true => {}
                Some(Rule::Only(Fixed::True)) => return Err(self.error(key, "true, which is what is done")),
                Some(Rule::Only(Fixed::Class(names))) if names.iter().any(|name| value == name) => {}
                Some(Rule::Only(Fixed::Class(names))) => {
                    return Err(self.error(key, &format!("one of {}", names.join(", "))));
                }
                Some(Rule::Idle) if *value == false => {}
                Some(Rule::Idle) => tracing::warn!(
                    "{}: `{key}` ({value}) has no effect; transformers' processor does not look at it either",
                    self.path.display()
                ),
                None => tracing::warn!("{}: unknown key `{key}` ({value}) is passed over", self.path.display()),
            }
        }
        Ok(())
    }

    /// The file that the keys stand in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What a key says; `null` is nothing.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// An error that names the key and what it says.
    pub(super) fn error(&self, key: &str, expected: &str) -> ProcessorError {
        ProcessorError::Key {
            path: self.path.clone(),
            key: key.to_owned(),
            expected: expected.to_owned(),
            got: self.fields.get(key).map_or("nothing".to_owned(), Value::to_string),
        }
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, key: &str, most: usize) -> Result<Option<usize>, ProcessorError> {
        let read = |value| {
            let number = whole(value).filter(|number| *number <= most);
            number.ok_or_else(|| self.error(key, &format!("a whole number from 1 to {most}")))
        };
        self.get(key).map(read).transpose()
    }

    /// The key that says the fewest (`min_pixels`) or the most pixels (`max_pixels`): the one of these names where it is
    /// written, else `size`.
    pub(super) fn key_of_pixels(&self, name: &'static str) -> &'static str {
        if !self.of_clips && self.get(name).is_some() {
            name
        } else {
            "size"
        }
    }

    /// Whether a key is there and null.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(Value::is_null)
    }

    /// A switch, off where it is null.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, ProcessorError> {
        match self.fields.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.error(key, "true or false")),
        }
    }

    /// One number for each channel, or one for all.
    pub(super) fn channels(&self, key: &str) -> Result<Option<[f32; 3]>, ProcessorError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        let all = match value {
            Value::Array(items) => {
                let numbers: Option<Vec<f32>> = items.iter().map(number).collect();
                numbers.and_then(|numbers| <[f32; 3]>::try_from(numbers).ok())
            }
            other => number(other).map(|number| [number; 3]),
        };
        all.map(Some)
            .ok_or_else(|| self.error(key, "three numbers, or one for all channels"))
    }

    /// The fewest and the most pixels: `size`, in whose place the image processor's `min_pixels` and `max_pixels` stand where
    /// they are given.
    pub(super) fn pixels(&self) -> Result<(Option<usize>, Option<usize>), ProcessorError> {
        let mut bounds = [None, None];
        if let Some(size) = self.get("size") {
            let wrong = || {
                self.error(
                    "size",
                    &format!(
                        "{{\"shortest_edge\": fewest pixels, \"longest_edge\": most pixels}}, up to {MOST_BUDGET}"
                    ),
                )
            };
            let fields = size.as_object().ok_or_else(wrong)?;
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let bound = match name.as_str() {
                    "shortest_edge" | "min_pixels" => &mut bounds[0],
                    "longest_edge" | "max_pixels" => &mut bounds[1],
                    _ => return Err(wrong()),
                };
                let read = Some(whole(value).filter(|pixels| *pixels <= MOST_BUDGET).ok_or_else(wrong)?);
                if bound.is_some() && *bound != read {
                    return Err(wrong());
                }
                *bound = read;
            }
        }
        if self.of_clips {
            return Ok((bounds[0], bounds[1]));
        }
        Ok((
            self.count("min_pixels", MOST_BUDGET)?.or(bounds[0]),
            self.count("max_pixels", MOST_BUDGET)?.or(bounds[1]),
        ))
    }
}

/// A whole number above 0, also where it is written as a fraction (`65536.0`).
pub(super) fn whole(value: &Value) -> Option<usize> {
    let number = value.as_u64().or_else(|| {
        let number = value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && *number < 1e15)?;
        (number > 0.0).then_some(number as u64)
    });
    number.filter(|&number| number > 0)?.try_into().ok()
}

/// The fields of a JSON file that holds one object.
pub(super) fn object(path: &Path) -> Result<Map<String, Value>, ProcessorError> {
    let text = ProcessorError::read(path)?;
    let value = serde_json::from_str(&text).map_err(|error| ProcessorError::json(path, "a JSON object", &error))?;
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(ProcessorError::Format {
            path: path.to_owned(),
            expected: "a JSON object".to_owned(),
            got: other.to_string().chars().take(80).collect(),
        }),
    }
}
