//! Pictures, clips and positions against the golden files of both fixture sets.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{SETS, folder, json};
use cua_grpo_model::processor::*;
use safetensors::SafeTensors;
use serde_json::Value;

fn tensors(set: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(set).join("golden").join(name)).unwrap()
}

fn bytes(set: &str, image: &str) -> Vec<u8> {
    std::fs::read(folder(set).join("images").join(image)).unwrap()
}

fn ints(file: &SafeTensors, name: &str) -> Vec<i64> {
    file.tensor(name)
        .unwrap()
        .data()
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    file.tensor(name)
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_u64().unwrap() as usize)
        .collect()
}

fn close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: worst difference {worst}");
}

#[test]
fn sizes_after_the_smart_resize_match_the_tables() {
    for set in SETS {
        let golden = json(set, "preprocess.json");
        let small = (
            golden["factor"].as_u64().unwrap() as usize,
            sizes(&serde_json::json!([golden["min_pixels"], golden["max_pixels"]])),
        );
        for row in golden["smart_resize_image"]["rows"].as_array().unwrap() {
            let (h, w) = (row["h"].as_u64().unwrap() as usize, row["w"].as_u64().unwrap() as usize);
            for (column, factor, min, max) in [
                ("released", 32, 65536, 16_777_216),
                ("cap1M", 32, 65536, 1 << 20),
                ("small", small.0, small.1[0], small.1[1]),
            ] {
                let (new_h, new_w) = smart_resize(h, w, factor, min, max).unwrap();
                assert_eq!(vec![new_h, new_w], sizes(&row[column]), "{set} {column} {h}x{w}");
            }
        }
        for row in golden["smart_resize_video"]["rows"].as_array().unwrap() {
            let [t, h, w] = ["t", "h", "w"].map(|key| row[key].as_u64().unwrap() as usize);
            for (column, factor, min, max) in [
                ("released", 32, 4096, 25_165_824),
                ("small", small.0, small.1[0], small.1[1] * 4),
            ] {
                let (new_h, new_w) = smart_resize_video(t, h, w, 2, factor, min, max).unwrap();
                assert_eq!(
                    vec![new_h, new_w],
                    sizes(&row[column]),
                    "{set} video {column} {t}x{h}x{w}"
                );
            }
        }
    }
}

#[test]
fn impossible_sizes_are_errors() {
    assert!(smart_resize(1, 201, 32, 65536, 1 << 24).is_err());
    assert!(smart_resize(0, 10, 32, 65536, 1 << 24).is_err());
    assert!(smart_resize(10, 10, 32, 0, 1 << 24).is_err(), "rounds to nothing");
    assert!(smart_resize_video(0, 10, 10, 2, 32, 4096, 1 << 24).is_err());
    assert_eq!(
        smart_resize(720, 1280, 32, 65536, 1 << 24).unwrap(),
        (704, 1280),
        "22.5 blocks round to even"
    );
}

/// A picture as the tables have it. They were made from objects of Pillow, whose transparency transformers puts over
/// white; of a path it drops the alpha, which `pictures.rs` holds against its pixels.
fn over_white(set: &str, name: &str) -> RgbImage {
    let encoded = bytes(set, name);
    let mut read = decode_rgb(&encoded).unwrap();
    let pixels = image::load_from_memory(&encoded).unwrap();
    if pixels.color().has_alpha() {
        let over = |[r, g, b, a]: [u8; 4]| {
            let (front, back) = (u32::from(a) * 128, u32::from(255 - a) * 128);
            [r, g, b].map(|channel| {
                let sum = u32::from(channel) * front + 255 * back + (0x80 << 7);
                ((((sum >> 8) + sum) >> 8) >> 7) as u8
            })
        };
        read.data = pixels.to_rgba8().pixels().flat_map(|pixel| over(pixel.0)).collect();
    }
    read
}

#[test]
fn resize_is_bit_equal_to_torchvision() {
    for set in SETS {
        let raw = tensors(set, "preprocess.safetensors");
        let file = SafeTensors::deserialize(&raw).unwrap();
        let mut noise = 0;
        for (name, input) in file.tensors() {
            let Some(stem) = name.strip_prefix("resize.").and_then(|name| name.strip_suffix(".in")) else {
                continue;
            };
            let output = file.tensor(&format!("resize.{stem}.out")).unwrap();
            let (from, to) = (input.shape(), output.shape());
            let got = resize_bicubic(input.data(), from[0], from[1], to[0], to[1]);
            assert!(got == output.data(), "{set} {stem}");
            noise += 1;
        }
        assert_eq!(noise, 6);
        for entry in json(set, "preprocess.json")["images"].as_array().unwrap() {
            let name = entry["file"].as_str().unwrap();
            let image = over_white(set, name);
            let want = decode_rgb(&bytes(set, &format!("resized_tv_{name}"))).unwrap();
            let got = resize_bicubic(&image.data, image.height, image.width, want.height, want.width);
            assert!(got == want.data, "{set} {name}");
        }
    }
}

#[test]
fn pixel_values_match_for_opaque_gray_palette_and_transparent_images() {
    for set in SETS {
        let config = ImageProcessorConfig::load(&folder(set)).unwrap();
        let raw = tensors(set, "preprocess.safetensors");
        let file = SafeTensors::deserialize(&raw).unwrap();
        let all = floats(&file, "pixel_values");
        for entry in json(set, "preprocess.json")["images"].as_array().unwrap() {
            let name = entry["file"].as_str().unwrap();
            let encoded = bytes(set, name);
            let pixels = config.process_rgb(&over_white(set, name)).unwrap();
            assert_eq!(pixels.grid.thw().to_vec(), sizes(&entry["grid_thw"]));
            assert_eq!(
                pixels.grid.tokens(config.merge_size) as u64,
                entry["image_tokens"].as_u64().unwrap()
            );
            assert_eq!(
                config.encoded_grid(&encoded).unwrap(),
                pixels.grid,
                "the header alone gives the grid"
            );
            let row = pixels.row_len();
            if let Some(offset) = entry["row_offset"].as_u64() {
                let start = offset as usize * row;
                close(&pixels.values, &all[start..start + pixels.values.len()], 1e-6, name);
            } else {
                let (first, last) = (&pixels.values[..row], &pixels.values[pixels.values.len() - row..]);
                close(first, &floats(&file, &format!("extra.{name}.first_patch")), 1e-6, name);
                close(last, &floats(&file, &format!("extra.{name}.last_patch")), 1e-6, name);
            }
        }
    }
}

#[test]
fn clips_match_in_pixels_grid_and_timestamps() {
    for set in SETS {
        let config = VideoProcessorConfig::load(&folder(set)).unwrap();
        let golden = &json(set, "positions.json")["video"];
        let names = golden["frames"].as_array().unwrap();
        let frames: Vec<_> = names
            .iter()
            .map(|name| decode_rgb(&bytes(set, name.as_str().unwrap())).unwrap())
            .collect();
        let pixels = config.process(&frames).unwrap();
        assert_eq!(pixels.grid.thw().to_vec(), sizes(&golden["video_grid_thw"][0]));
        let raw = tensors(set, "vision_video.safetensors");
        let file = SafeTensors::deserialize(&raw).unwrap();
        let row = pixels.row_len();
        close(
            &pixels.values[..row],
            &floats(&file, "pixel_values_videos.first_patch"),
            1e-6,
            "first patch",
        );
        let last = &pixels.values[pixels.values.len() - row..];
        close(
            last,
            &floats(&file, "pixel_values_videos.last_patch"),
            1e-6,
            "last patch",
        );
        let sum = |row: &[f32]| row.iter().map(|&value| f64::from(value)).sum::<f64>() as f32;
        let sums: Vec<f32> = pixels.values.chunks_exact(row).map(sum).collect();
        close(&sums, &floats(&file, "pixel_values_videos.row_sums"), 2e-3, "row sums");
        let times = frame_timestamps(&sizes(&golden["frames_indices"]), golden["fps"].as_f64().unwrap(), 2);
        let want: Vec<f64> = golden["timestamps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_f64().unwrap())
            .collect();
        assert_eq!(times, want);
    }
}

#[test]
fn broken_files_are_decode_errors() {
    let config = ImageProcessorConfig::load(&folder("a")).unwrap();
    assert!(matches!(
        config.process(b"not a picture"),
        Err(ProcessorError::Decode { .. })
    ));
    let mut cut = bytes("a", "img0.png");
    cut.truncate(cut.len() / 2);
    assert!(matches!(config.process(&cut), Err(ProcessorError::Decode { .. })));
}

/// One row of a golden case: ids, positions `[3]`, delta and grids, all unpadded.
struct PositionCase {
    name: String,
    ids: Vec<u32>,
    positions: [Vec<i64>; 3],
    delta: i64,
    images: Vec<Grid>,
    videos: Vec<Grid>,
}

fn position_cases(set: &str) -> Vec<PositionCase> {
    let raw = tensors(set, "positions.safetensors");
    let file = SafeTensors::deserialize(&raw).unwrap();
    let grids = |name: &str| -> Vec<Grid> {
        let values = file.tensor(name).map(|_| ints(&file, name)).unwrap_or_default();
        values
            .chunks_exact(3)
            .map(|g| Grid::new(g[0] as usize, g[1] as usize, g[2] as usize))
            .collect()
    };
    let mut cases = Vec::new();
    for case in [
        "text_only",
        "one_image",
        "two_images",
        "three_images",
        "video",
        "video_stripped",
        "batch_left",
        "batch_right",
    ] {
        let shape = file.tensor(&format!("{case}.input_ids")).unwrap().shape().to_vec();
        let (rows, width) = (shape[0], shape[1]);
        let ids = ints(&file, &format!("{case}.input_ids"));
        let positions = ints(&file, &format!("{case}.position_ids"));
        let deltas = ints(&file, &format!("{case}.rope_deltas"));
        let mask = file.tensor(&format!("{case}.attention_mask"));
        let mask = mask.map_or(vec![1; ids.len()], |_| ints(&file, &format!("{case}.attention_mask")));
        let images = grids(&format!("{case}.image_grid_thw"));
        let video = if case.starts_with("video") {
            grids("video.video_grid_thw")
        } else {
            Vec::new()
        };
        // The batch holds rows with 0, 1 and 2 pictures.
        let split: Vec<Vec<Grid>> = if rows == 1 {
            vec![images]
        } else {
            vec![Vec::new(), images[..1].to_vec(), images[1..].to_vec()]
        };
        for (row, images) in split.into_iter().enumerate() {
            let kept: Vec<usize> = (0..width).filter(|column| mask[row * width + column] == 1).collect();
            cases.push(PositionCase {
                name: format!("{set} {case} row {row}"),
                ids: kept.iter().map(|column| ids[row * width + column] as u32).collect(),
                positions: [0, 1, 2].map(|axis| {
                    kept.iter()
                        .map(|column| positions[(axis * rows + row) * width + column])
                        .collect()
                }),
                delta: deltas[row],
                images,
                videos: video.clone(),
            });
        }
    }
    cases
}

#[test]
fn positions_match_and_can_be_made_piece_by_piece() {
    for set in SETS {
        let tokenizer = Tokenizer::load(&folder(set)).unwrap();
        let ids = tokenizer.special().pads(2);
        for case in position_cases(set) {
            let name = &case.name;
            let (positions, delta) = rope_index(&case.ids, &case.images, &case.videos, ids).unwrap();
            assert_eq!(positions, case.positions, "{name}");
            assert_eq!(delta, case.delta, "{name}");
            if !case.videos.is_empty() {
                continue;
            }
            // Every cut that does not go through a picture.
            for cut in 1..case.ids.len() {
                let (before, after) = case.ids.split_at(cut);
                if before.last() == Some(&ids.image) && after[0] == ids.image {
                    continue;
                }
                let runs = |tokens: &[u32]| {
                    tokens
                        .split(|&id| id != ids.image)
                        .filter(|run| !run.is_empty())
                        .count()
                };
                let (first, second) = case.images.split_at(runs(before));
                let mut state = PositionState::default();
                let head = state.extend(before, first, &[], ids).unwrap();
                let tail = state.extend(after, second, &[], ids).unwrap();
                for axis in 0..3 {
                    assert_eq!(
                        [&head[axis][..], &tail[axis][..]].concat(),
                        case.positions[axis],
                        "{name} cut {cut}"
                    );
                }
                assert_eq!(
                    state.next,
                    case.ids.len() as i64 + case.delta,
                    "{name}: the next token stands at len + delta"
                );
            }
        }
    }
}

#[test]
fn pads_that_do_not_fit_their_grids_are_errors() {
    let ids = PadIds {
        image: 7,
        video: 8,
        merge: 2,
    };
    let grid = Grid::new(1, 4, 4);
    let fits = [1, 7, 7, 7, 7, 1];
    assert!(rope_index(&fits, &[grid], &[], ids).is_ok());
    for (tokens, images) in [
        (&fits[..4], vec![grid]),
        (&fits[..], vec![]),
        (&fits[..], vec![grid, grid]),
        (&fits[..1], vec![grid]),
    ] {
        let mut state = PositionState { next: 3 };
        assert!(state.extend(tokens, &images, &[], ids).is_err());
        assert_eq!(state.next, 3, "an error leaves the state alone");
    }
}
