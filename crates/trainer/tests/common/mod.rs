//! The binary, run by tests: on the model fixtures, with conversations as users write them and golden figures of
//! transformers and PEFT; and small training runs.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part; helpers of tests are not seen as tests by the lint.

pub mod runs;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Both presets of the fixtures; some mistakes show in one of them only.
pub const SETS: [&str; 2] = ["a", "b"];

/// A fixture folder, which is a checkpoint folder too.
pub fn fixture(set: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../cua-grpo-model/tests/fixtures")
        .join(set)
}

/// A JSON file of the golden folder.
pub fn golden(set: &str, name: &str) -> Value {
    read_json(&fixture(set).join("golden").join(name))
}

/// A JSON file.
pub fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The binary in `folder` without our environment.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

/// Runs the binary.
pub fn trainer(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Runs the binary with nothing in the environment but `environment`: exit code, standard output and standard error.
pub fn trainer_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = command(folder, arguments);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Runs the binary, which must succeed; standard output and standard error.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = trainer(folder, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    (stdout, stderr)
}

/// Floats and integers of a tensor file of the golden folder.
pub struct Golden(Vec<u8>);

impl Golden {
    /// Reads `golden/NAME.safetensors`.
    pub fn open(set: &str, name: &str) -> Self {
        Self(std::fs::read(fixture(set).join("golden").join(format!("{name}.safetensors"))).unwrap())
    }

    /// Values of an f32 tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    }

    /// Values of an i64 tensor.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    }
}

/// The conversation of a golden case, pictures by their path from the folder above `images`.
pub fn messages(set: &str, case: &str) -> Value {
    let picture = |name: &str| json!({"type": "image", "image": format!("images/{name}.png")});
    let text = |text: &str| json!({"type": "text", "text": text});
    match case {
        "text_only" => json!([
            {"role": "user", "content": "Click the button."},
            {"role": "assistant", "content": "The screen."}
        ]),
        "one_image" => json!([
            {"role": "user", "content": [picture("img0"), text("Describe it.")]},
            {"role": "assistant", "content": "The button."}
        ]),
        "two_images" => json!([
            {"role": "system", "content": "A GUI agent."},
            {"role": "user", "content": [text("Do: "), picture("img1")]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"type": "function", "function": {"name": "click", "arguments": {"coordinate": [1, 2]}}}
            ]},
            {"role": "tool", "content": [picture("img2"), text("ok")]},
            {"role": "assistant", "content": "Done é."}
        ]),
        "three_images" => json!([
            {"role": "user", "content": [picture("img2"), text("and"), picture("img0"), picture("img1")]},
            {"role": "assistant", "content": "Yes"}
        ]),
        "video_stripped" => {
            let clip = &golden(set, "positions.json")["video"];
            let frames: Vec<String> = clip["frames"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| format!("images/{}", name.as_str().unwrap()))
                .collect();
            json!([
                {"role": "user", "content": [
                    {"type": "video", "video": frames, "fps": clip["fps"], "frames_indices": clip["frames_indices"]},
                    text("What?")
                ]},
                {"role": "assistant", "content": "It."}
            ])
        }
        other => panic!("no case {other}"),
    }
}

/// A folder with `images` as in the fixture, for files that name pictures by relative paths.
pub fn folder_with_images(set: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for entry in std::fs::read_dir(fixture(set).join("images")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), images.join(entry.file_name())).unwrap();
    }
    folder
}

/// Fails when any value is further off than `tolerance`.
#[track_caller]
pub fn close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    let worst = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    let worst = worst.fold(
        0.0,
        |worst: f32, d| if d.is_nan() { f32::INFINITY } else { worst.max(d) },
    );
    assert!(
        worst <= tolerance,
        "{what}: worst difference {worst}, allowed {tolerance}"
    );
}
