//! The processor's files: every key obeyed or refused by name, and which of several files counts.
//!
//! `fixtures/preprocessor.json` holds configurations, and what transformers 5.24 makes of one picture with each.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::folder;
use cua_grpo_model::processor::{
    ImageProcessorConfig, PixelBudget, PixelLimits, RgbImage, VideoProcessorConfig, set_pixels,
};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const FILE: &str = "preprocessor_config.json";
const NESTED: &str = "processor_config.json";

/// A folder with JSON files.
fn with(files: &[(&str, &Value)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in files {
        std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    }
    dir
}

fn released() -> Value {
    let text = std::fs::read_to_string(folder("a").join(FILE)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn picture(height: usize, width: usize) -> RgbImage {
    let pixels = (0..height).flat_map(|y| {
        (0..width).flat_map(move |x| [x * 13 + y * y, y * 17 + x, (x + y) * 7].map(|value| (value % 256) as u8))
    });
    RgbImage {
        data: pixels.collect(),
        height,
        width,
    }
}

#[test]
fn every_key_that_changes_pixels_is_obeyed() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preprocessor.json"));
    let cases: Vec<Value> = serde_json::from_str(&text.unwrap()).unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let name = &case["name"];
        let dir = with(&[(FILE, &case["config"])]);
        let config = ImageProcessorConfig::load(dir.path()).unwrap();
        let side = |key: &str| case[key].as_u64().unwrap() as usize;
        let pixels = config.process_rgb(&picture(side("height"), side("width"))).unwrap();
        assert_eq!(json!(pixels.grid.thw()), case["grid"], "{name}");
        let weigh = |row: &[f32]| {
            row.iter()
                .enumerate()
                .map(|(i, &v)| f64::from(v) * (i % 97 + 1) as f64)
                .sum::<f64>()
        };
        let rows: Vec<f64> = pixels.values.chunks(pixels.row_len()).map(weigh).collect();
        let want: Vec<f64> = serde_json::from_value(case["rows"].clone()).unwrap();
        assert_eq!(rows.len(), want.len(), "{name}");
        // A level of one byte of one pixel changes a row by 0.003 at least.
        for (row, (got, want)) in rows.iter().zip(&want).enumerate() {
            assert!(
                (got - want).abs() < 2e-3 * want.abs().max(1.0).sqrt(),
                "{name} row {row}: {got} for {want}"
            );
        }
        // What is written reads back as the same.
        let copy = tempfile::tempdir().unwrap();
        config.save(copy.path()).unwrap();
        assert_eq!(ImageProcessorConfig::load(copy.path()).unwrap(), config, "{name}");
    }
}

/// Keys that stand in no part of the file of both processors are of no use there, in transformers neither.
#[test]
fn keys_beside_the_parts_are_told() {
    let said = |file: Value| {
        let folder = with(&[(NESTED, &file)]);
        let (read, said) = common::logged::warnings(|| ImageProcessorConfig::load(folder.path()));
        read.unwrap();
        said
    };
    let own = released();
    let whole = json!({"image_processor": own, "video_processor": own, "processor_class": "Qwen3VLProcessor"});
    assert_eq!(said(whole.clone()), Vec::<String>::new());
    let mut flat = whole;
    flat["max_pixels"] = json!(100);
    let said = said(flat);
    assert!(
        said.len() == 1 && said[0].contains("unknown key `max_pixels` (100)"),
        "{said:?}"
    );
}

#[test]
fn what_is_not_done_is_an_error_that_names_the_key() {
    for (key, value) in [
        ("resample", json!(4)),
        ("resample", json!("box")),
        ("resample", Value::Null),
        ("do_convert_rgb", json!(false)),
        ("image_processor_type", json!("CLIPImageProcessor")),
        ("size", json!({"height": 224, "width": 224})),
        ("size", json!({"shortest_edge": 224})),
        ("size", json!(224)),
        ("size", json!({"shortest_edge": 9000, "longest_edge": 8000})),
        ("max_pixels", json!("many")),
        ("max_pixels", json!(0)),
        ("max_pixels", json!(100)),
        ("min_pixels", json!(1_u64 << 30)),
        ("size", json!({"shortest_edge": 100, "longest_edge": 1_u64 << 40})),
        ("patch_size", json!(1_u64 << 40)),
        ("temporal_patch_size", json!(100)),
        ("image_mean", json!(1e30)),
        ("image_std", json!(1e-30)),
        ("rescale_factor", json!(1e300)),
        ("do_resize", json!("yes")),
        ("do_normalize", json!(1)),
        ("rescale_factor", json!(-1)),
        ("rescale_factor", Value::Null),
        ("image_mean", json!([0.5])),
        ("image_std", json!([0.5, 0.0, 0.5])),
        ("patch_size", json!(0)),
        ("merge_size", Value::Null),
        ("merge_size", json!(255)),
        ("temporal_patch_size", json!(1.5)),
    ] {
        let mut config = released();
        config[key] = value;
        let error = ImageProcessorConfig::load(with(&[(FILE, &config)]).path())
            .unwrap_err()
            .to_string();
        let named = error.contains(&format!("`{key}`"));
        assert!(named && error.contains(FILE), "{key}: {error}");
    }
    for key in [
        "size",
        "patch_size",
        "temporal_patch_size",
        "merge_size",
        "image_mean",
        "image_std",
    ] {
        let mut config = released();
        config.as_object_mut().unwrap().remove(key);
        let error = ImageProcessorConfig::load(with(&[(FILE, &config)]).path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("`{key}`")) && error.contains("found nothing"),
            "{error}"
        );
    }
    let mut config = released();
    config["do_resize"] = json!(false);
    let config = ImageProcessorConfig::load(with(&[(FILE, &config)]).path()).unwrap();
    let error = config.process_rgb(&picture(33, 64)).unwrap_err().to_string();
    assert!(error.contains("do_resize"), "{error}");
}

#[test]
fn the_nested_file_of_transformers_5_counts_before_the_older_ones() {
    let mut other = released();
    other["max_pixels"] = json!(3072);
    let nested = json!({"processor_class": "Qwen3VLProcessor", "image_processor": released()});
    let want = ImageProcessorConfig::load(&folder("a")).unwrap();
    assert_eq!(
        ImageProcessorConfig::load(with(&[(NESTED, &nested)]).path()).unwrap(),
        want
    );
    let both = with(&[(NESTED, &nested), (FILE, &other)]);
    assert_eq!(ImageProcessorConfig::load(both.path()).unwrap(), want);
    // A nested file of transformers 4 has no processors in it.
    let old = json!({"processor_class": "Qwen3VLProcessor"});
    let both = with(&[(NESTED, &old), (FILE, &other)]);
    assert_eq!(ImageProcessorConfig::load(both.path()).unwrap().size.longest_edge, 3072);
    let error = ImageProcessorConfig::load(with(&[(NESTED, &old)]).path())
        .unwrap_err()
        .to_string();
    assert!(error.contains(FILE) && error.contains(NESTED), "{error}");
    let error = ImageProcessorConfig::load(with(&[(NESTED, &json!({"image_processor": 3}))]).path()).unwrap_err();
    assert!(error.to_string().contains("image_processor"), "{error}");
}

#[test]
fn clips_have_their_own_keys_and_defaults() {
    let clip = |frames: usize| vec![picture(50, 70); frames];
    let grid = |files: &[(&str, &Value)], frames: usize| {
        let config = VideoProcessorConfig::load(with(files).path()).unwrap();
        config.process(&clip(frames)).unwrap().grid.thw()
    };
    let own = json!({"size": {"shortest_edge": 2048, "longest_edge": 32768}, "fps": 4, "max_frames": 9,
        "video_processor_type": "Qwen3VLVideoProcessor"});
    // Patches, statistics and switches are the class's own where the file is silent.
    let file = [("video_preprocessor_config.json", &own)];
    let config = VideoProcessorConfig::load(with(&file).path()).unwrap().frame;
    assert_eq!(
        (config.patch_size, config.image_mean, config.do_resize),
        (16, [0.5; 3], true)
    );
    assert_eq!(grid(&file, 4), [2, 4, 4]);
    let nested = json!({"video_processor": own, "image_processor": released()});
    assert_eq!(grid(&[(NESTED, &nested)], 4), [2, 4, 4]);
    assert_eq!(
        grid(&[(FILE, &released())], 4),
        [2, 2, 2],
        "the image processor's file, as transformers has it"
    );
    // 5.24: five frames count as four, three as four.
    assert_eq!(grid(&file, 5), [3, 4, 4]);
    let mut capped = own.clone();
    capped["cap_pixels_per_frame"] = json!(true);
    capped["max_video_tokens"] = json!(2);
    assert_eq!(grid(&[("video_preprocessor_config.json", &capped)], 4), [2, 2, 2]);
    let mut wrong = own;
    wrong["video_processor_type"] = json!("LlavaNextVideoProcessor");
    let error = VideoProcessorConfig::load(with(&[("video_preprocessor_config.json", &wrong)]).path()).unwrap_err();
    assert!(error.to_string().contains("video_processor_type"), "{error}");
}

#[test]
fn a_processor_that_does_not_fit_the_model_is_an_error_that_names_both() {
    let vision = json!({"vision_config": {"patch_size": [16, 16], "temporal_patch_size": 2, "spatial_merge_size": 2}});
    let loads = |key: &str, value: Value| {
        let mut config = released();
        config[key] = value;
        let dir = with(&[(FILE, &config), ("config.json", &vision)]);
        let clips = VideoProcessorConfig::load(dir.path()).map(|_| ());
        let images = ImageProcessorConfig::load(dir.path()).map(|_| ());
        (images, clips)
    };
    let (images, clips) = loads("patch_size", json!(16));
    assert!(images.is_ok() && clips.is_ok());
    for (key, theirs, value, wanted) in [
        ("patch_size", "patch_size", 14, 16),
        ("temporal_patch_size", "temporal_patch_size", 1, 2),
        ("merge_size", "spatial_merge_size", 1, 2),
    ] {
        let (images, clips) = loads(key, json!(value));
        for error in [images.unwrap_err(), clips.unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains(&format!("{FILE}: `{key}` is {value}, ")), "{text}");
            assert!(text.contains(&format!("`vision_config.{theirs}`")), "{text}");
            assert!(text.contains(&format!("config.json is {wanted};")), "{text}");
        }
    }
}

fn limits(min_pixels: usize, max_pixels: usize) -> PixelLimits {
    PixelLimits {
        min_pixels: Some(min_pixels),
        max_pixels: Some(max_pixels),
    }
}

/// What a caller asks for is what the file would say: the same pixels, and the same file where it is written.
#[test]
fn limits_of_a_caller_are_those_of_a_file() {
    let mut asked = released();
    (asked["min_pixels"], asked["max_pixels"]) = (json!(2048), json!(2500));
    let want = ImageProcessorConfig::load(with(&[(FILE, &asked)]).path()).unwrap();
    let own = ImageProcessorConfig::load(with(&[(FILE, &released())]).path()).unwrap();
    let got = own.clone().within(limits(2048, 2500)).unwrap();
    assert_eq!(got, want);
    let picture = picture(200, 90);
    assert_eq!(
        got.process_rgb(&picture).unwrap().values,
        want.process_rgb(&picture).unwrap().values
    );
    assert_ne!(got.grid(200, 90).unwrap(), own.grid(200, 90).unwrap());
    for same in [PixelLimits::default(), limits(0, 0)] {
        assert_eq!(own.clone().within(same).unwrap(), own);
    }
    // One of the two leaves the other as it is.
    let most = PixelLimits {
        max_pixels: Some(9000),
        ..PixelLimits::default()
    };
    let size = own.clone().within(most).unwrap().size;
    assert_eq!((size.shortest_edge, size.longest_edge), (own.size.shortest_edge, 9000));
    // Written into either kind of folder, also where old names stand, everyone reads them.
    let nested = json!({"image_processor": asked, "video_processor": released()});
    for files in [
        &[(FILE, &asked)][..],
        &[(NESTED, &nested)],
        &[(NESTED, &nested), (FILE, &asked)],
    ] {
        let folder = with(files);
        set_pixels(folder.path(), limits(3072, 20_000)).unwrap();
        let read = ImageProcessorConfig::load(folder.path()).unwrap();
        assert_eq!(read, want.clone().within(limits(3072, 20_000)).unwrap(), "{files:?}");
        let (_, said) = common::logged::warnings(|| ImageProcessorConfig::load(folder.path()));
        assert_eq!(said, Vec::<String>::new());
    }
}

#[test]
fn a_phones_screenshot_has_the_tokens_that_the_released_processor_gives_it() {
    let own = ImageProcessorConfig::qwen3_vl(PixelBudget {
        shortest_edge: 65_536,
        longest_edge: 16_777_216,
    });
    assert_eq!(own.tokens(2400, 1080).unwrap(), 2550);
    let half = own.within(limits(65_536, 802_816)).unwrap();
    let grid = half.grid(2400, 1080).unwrap();
    assert_eq!((grid.h * 16, grid.w * 16), (1312, 576));
    assert_eq!(half.tokens(2400, 1080).unwrap(), 738);
}

#[test]
fn limits_that_cannot_be_say_so() {
    let own = ImageProcessorConfig::load(with(&[(FILE, &released())]).path()).unwrap();
    let said = |config: &ImageProcessorConfig, limits| config.clone().within(limits).unwrap_err().to_string();
    let crossed = said(&own, limits(9000, 2048));
    assert!(crossed.contains("got 9000 and 2048; set both"), "{crossed}");
    let below = said(
        &own,
        PixelLimits {
            max_pixels: Some(1),
            ..PixelLimits::default()
        },
    );
    assert!(below.contains("(the model's own) and 1;"), "{below}");
    assert!(said(&own, limits(1, usize::MAX)).contains("at most 67108864"));
    let fixed = ImageProcessorConfig {
        do_resize: false,
        ..own
    };
    assert!(said(&fixed, limits(2048, 9000)).contains("does not resize"));
}
