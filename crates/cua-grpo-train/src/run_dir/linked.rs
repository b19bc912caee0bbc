//! Links that come while a run is at work.

use super::places::{FILES, FOLDERS};
use super::{Identity, RunDir};
use crate::config::TrainConfig;
use crate::files::LOCK;

#[test]
fn a_link_that_comes_while_a_run_is_at_work_is_found_before_the_next_write() {
    let home = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        output_dir: home.path().join("run").display().to_string(),
        ..Default::default()
    };
    let dir = RunDir::create(&config, Identity::new()).unwrap();
    dir.check().unwrap();
    for name in FOLDERS.iter().chain(FILES).filter(|name| **name != LOCK) {
        let (path, away) = (dir.path().join(name), home.path().join("away"));
        let there = std::fs::rename(&path, &away).is_ok();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(home.path(), &path).unwrap();
        let text = dir.check().unwrap_err().to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        std::fs::remove_file(&path).unwrap();
        if there {
            std::fs::rename(&away, &path).unwrap();
        }
        dir.check().unwrap();
    }
}
