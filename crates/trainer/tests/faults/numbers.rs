//! Numbers that are not finite: skipped, counted and named in an update; found where they are sampled.

use crate::live::*;
use safetensors::SafeTensors;
use std::path::Path;

fn flags(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gradient_that_is_not_finite_is_skipped_and_named_until_the_limit_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // Until a first update was made the divergence is 0; from then on this weight of it overflows.
    let all = flags(&[
        "--max-steps=9",
        "--output-dir=run",
        "--set=beta=1.0e38",
        "--set=max_skipped_updates=1",
    ]);
    let output = finish(command(folder.path(), SMALL, &all)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in ["2 updates in a row", "max_skipped_updates", "episode", "--resume"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let run = folder.path().join("run");
    let skipped: Vec<usize> = steps(&run).iter().map(|step| step.updates_skipped).collect();
    let before = skipped.len() - 2;
    assert!(
        before < 7 && skipped[..before].iter().all(|count| *count == 0),
        "{skipped:?} {text}"
    );
    assert_eq!(skipped[before..], [1, 1], "{text}");
    assert!(
        text.contains("an update was skipped: its gradient is not finite"),
        "{text}"
    );
    let tasks: Vec<&str> = text.lines().filter(|line| line.contains("rows=")).collect();
    assert_eq!(tasks.len(), 2, "{text}");
    assert!(
        tasks
            .iter()
            .all(|line| line.contains("task ") && line.contains(" episode ")),
        "{text}"
    );

    let again = flags(&["--resume=run", "--beta=0.01"]);
    let output = finish(command(folder.path(), &[], &again)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let after: Vec<usize> = steps(&run).iter().map(|step| step.updates_skipped).collect();
    assert_eq!(after[..skipped.len()], skipped);
    assert!(
        after.len() == 9 && after[skipped.len()..].iter().all(|count| *count == 0),
        "{after:?}"
    );
}

/// The starter with one weight of its last norm replaced by a number that is none.
fn poisoned(folder: &Path) {
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(starter).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let path = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = {
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor("model.language_model.norm.weight").unwrap();
        assert_eq!(tensor.dtype(), safetensors::Dtype::BF16);
        tensor.data().as_ptr() as usize - bytes.as_ptr() as usize
    };
    bytes[place..place + 2].copy_from_slice(&0x7FC0_u16.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn log_probs_that_are_no_numbers_are_found_where_they_are_sampled() {
    let folder = tempfile::tempdir().unwrap();
    poisoned(&folder.path().join("model"));
    let words = [
        "expected a finite log-prob",
        "NaN",
        "weights or activations are not finite",
    ];
    let all = flags(&["eval", "--model-name=model", "--episodes=2", "--max-turns=2"]);
    let output = finish(command(folder.path(), &[], &all)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.contains("2 of 2") && output.stdout.is_empty(), "{text}");
    let all = flags(&["generate", "--model=model", "--prompt=hello", "--max-new-tokens=4"]);
    let output = finish(command(folder.path(), &[], &all)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}
