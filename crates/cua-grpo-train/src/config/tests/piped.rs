//! A configuration that comes through a pipe.

use super::*;

#[test]
fn a_configuration_comes_through_a_pipe_that_somebody_writes_to() {
    let home = tempfile::tempdir().unwrap();
    let path = crate::files::tests::pipe(&home.path().join("pipe"));
    let sources = Sources {
        file: Some(path.clone()),
        ..Sources::default()
    };
    // `<(...)` of a shell is such a pipe.
    let writer = std::thread::spawn(move || std::fs::write(path, "load_in_4bit: false\nseed: 7").unwrap());
    assert_eq!(load::<TrainConfig>(&sources).unwrap().seed, 7);
    writer.join().unwrap();
    let began = std::time::Instant::now();
    let text = load::<TrainConfig>(&sources).unwrap_err().to_string();
    assert!(
        text.contains("--config") && text.contains("a pipe that did not come to its end within 10 s"),
        "{text}"
    );
    assert!((9..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
