//! Access to the golden files: fixtures made by transformers and PEFT, and the model run as the fixtures ran theirs.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part; helpers of tests are not seen as tests by the lint.

pub mod adapters;
pub mod edited;
pub mod logged;
pub mod sessions;

use burn::tensor::{Device, Int, Tensor};
use cua_grpo_core::{Completion, Image, Prompt, Row, StopReason};
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::batch::{Batch, ImageCache, Prefix, RowInput};
use cua_grpo_model::checkpoint::{LoadOptions, load_model};
use cua_grpo_model::processor::{ImageProcessorConfig, Pixels, VideoProcessorConfig, decode_rgb};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Preset a: grouped heads 2:1, head of its own, one file. Preset b: 4:1, tied head, three files, heads wider than the
/// residual stream. Some mistakes show in one of them only.
pub const SETS: [&str; 2] = ["a", "b"];

/// The rows of the padded batches.
pub const BATCH: [&str; 3] = ["text_only", "one_image", "two_images"];

/// The device of every test.
pub fn device() -> Device {
    Device::flex()
}

/// A fixture folder, which is a checkpoint folder too.
pub fn folder(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(set)
}

/// Makes a pipe, which waits for ever for whoever opens it.
pub fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// The model of a fixture.
pub fn model(set: &str) -> Qwen3Vl {
    load_model(&folder(set), &LoadOptions::default(), &device()).unwrap()
}

/// A JSON file of the golden folder.
pub fn json(set: &str, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder(set).join("golden").join(name)).unwrap()).unwrap()
}

/// A JSON list of token ids.
pub fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A tensor file of the golden folder.
pub struct Golden(Vec<u8>);

impl Golden {
    /// Reads `golden/NAME.safetensors`.
    pub fn open(set: &str, name: &str) -> Self {
        Self(std::fs::read(folder(set).join("golden").join(format!("{name}.safetensors"))).unwrap())
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    /// Names of the tensors.
    pub fn names(&self) -> Vec<String> {
        self.file().names().into_iter().map(|name| name.to_string()).collect()
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.file().tensor(name).unwrap().shape().to_vec()
    }

    /// Values of an f32 tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let file = self.file();
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    /// Bytes of a tensor.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.file().tensor(name).unwrap().data().to_vec()
    }

    /// Values of an i64 tensor.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        let file = self.file();
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    /// An i64 tensor as token ids.
    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.ints(name)
            .into_iter()
            .map(|id| u32::try_from(id).unwrap())
            .collect()
    }
}

/// The encoded picture `name` of a fixture.
pub fn image(set: &str, name: &str) -> Image {
    Image::new(std::fs::read(folder(set).join("images").join(name)).unwrap())
}

/// The encoded pictures of a case of `positions.json`.
pub fn case_images(set: &str, case: &str) -> Vec<Image> {
    let golden = json(set, "positions.json");
    let names = golden[case]["images"].as_array().unwrap();
    names.iter().map(|name| image(set, name.as_str().unwrap())).collect()
}

/// A cache that preprocesses as the fixture's processor does.
pub fn images(set: &str) -> Arc<ImageCache> {
    Arc::new(ImageCache::new(ImageProcessorConfig::load(&folder(set)).unwrap(), 8))
}

/// The clip of a fixture.
pub fn clip(set: &str) -> Pixels {
    let golden = json(set, "positions.json");
    let names = golden["video"]["frames"].as_array().unwrap();
    let frames: Vec<_> = names
        .iter()
        .map(|name| decode_rgb(&image(set, name.as_str().unwrap()).bytes).unwrap())
        .collect();
    VideoProcessorConfig::load(&folder(set))
        .unwrap()
        .process(&frames)
        .unwrap()
}

/// Tokens and pixels of a case, taken from `forward_CASE`.
pub fn row(set: &str, case: &str) -> RowInput {
    let tokens = Golden::open(set, &format!("forward_{case}")).ids("input_ids");
    let pixels = if case.starts_with("video") {
        vec![Arc::new(clip(set))]
    } else {
        let cache = images(set);
        case_images(set, case)
            .iter()
            .map(|image| cache.pixels(image).unwrap())
            .collect()
    };
    RowInput::given(tokens, pixels)
}

/// A case as a training row: everything after the prompt is trained.
pub fn completion_row(set: &str, case: &str) -> Row {
    let tokens = row(set, case).tokens;
    let prompt = json(set, "positions.json")[case]["prompt_len"].as_u64().unwrap() as usize;
    let reply = tokens[prompt..].to_vec();
    let logprobs = vec![0.0; reply.len()];
    let mut row = Row::new(1.0);
    row.push_prompt(&Prompt::new(tokens[..prompt].to_vec()).with_images(case_images(set, case)));
    let reply = Completion::new(reply, logprobs, 0, StopReason::Stop).unwrap();
    row.push_completion(&reply).unwrap();
    row
}

/// Logits of a padded batch: for each row, one vector a real token.
pub fn logits(model: &Qwen3Vl, rows: &[RowInput]) -> Vec<Vec<Vec<f32>>> {
    logits_of(model, rows, Batch::assemble(model, rows, &Prefix::default()).unwrap())
}

/// As [`logits`], of a packed batch.
pub fn packed_logits(model: &Qwen3Vl, rows: &[RowInput]) -> Vec<Vec<Vec<f32>>> {
    logits_of(model, rows, Batch::pack(model, rows).unwrap())
}

fn logits_of(model: &Qwen3Vl, rows: &[RowInput], batch: Batch) -> Vec<Vec<Vec<f32>>> {
    let table = cua_grpo_kernels::head(batch.hidden(model, None), model.head());
    let vocab = table.dims()[1];
    let values = values(table);
    let all: Vec<Vec<f32>> = values.chunks_exact(vocab).map(<[f32]>::to_vec).collect();
    rows.iter()
        .zip(&batch.starts)
        .map(|(row, &start)| all[start..start + row.tokens.len()].to_vec())
        .collect()
}

/// The values of a float tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().try_to_vec().unwrap()
}

/// The values of an index tensor.
pub fn ints(tensor: Tensor<1, Int>) -> Vec<i64> {
    tensor.into_data().convert::<i64>().try_to_vec().unwrap()
}

/// Largest absolute difference; infinite where something is not a number.
pub fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len(), "lengths differ");
    got.iter()
        .zip(want)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |sum, d| if d.is_nan() { f32::INFINITY } else { sum.max(d) })
}

/// Fails when any value is further off than `tolerance`.
#[track_caller]
pub fn close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    let worst = worst(got, want);
    assert!(
        worst <= tolerance,
        "{what}: worst difference {worst}, allowed {tolerance}"
    );
}

/// Number of the first largest value.
pub fn argmax(values: &[f32]) -> i64 {
    (0..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best }) as i64
}
