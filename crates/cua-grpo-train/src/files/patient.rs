//! Files that the user names, which may be pipes: whoever is at the other end has so long, and then it is an error.

use super::bounded::{Limit, read_bytes};
use super::own::name;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long a pipe is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of the file, pipe or device `path` that the user names, at most `limit`. A pipe has ten seconds to come to
/// its end.
///
/// # Errors
/// [`ErrorKind::TimedOut`] when it has not; as [`read_bytes`].
pub(crate) fn read_given(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    read_within_time(path, limit, PATIENCE)
}

/// Opens the pipe or device `path` to write to. A pipe that nobody reads is waited for, for ten seconds.
///
/// # Errors
/// [`ErrorKind::TimedOut`] when nobody came; those of opening.
pub(super) fn open_given(path: &Path) -> Result<File> {
    open_within_time(path, PATIENCE)
}

fn read_within_time(path: &Path, limit: Limit, patience: Duration) -> Result<Vec<u8>> {
    let kind = path.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return read_bytes(path, limit);
    }
    let late = format!("{} that did not come to its end", name(kind));
    let path = path.to_path_buf();
    in_time(patience, &late, move || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit.bytes() + 1).read_to_end(&mut bytes)?;
        limit.check(bytes.len() as u64)?;
        Ok(bytes)
    })
}

fn open_within_time(path: &Path, patience: Duration) -> Result<File> {
    let kind = path.metadata()?.file_type();
    let late = format!("{} that nobody reads", name(kind));
    let path = path.to_path_buf();
    in_time(patience, &late, move || OpenOptions::new().write(true).open(path))
}

/// What `act` comes to. Where it does not in time, its thread is left to wait for the end of the process.
fn in_time<T: Send + 'static>(
    patience: Duration,
    late: &str,
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("a pipe".into());
    thread.spawn(move || {
        // Nobody waits any more where it came late.
        let _ = sender.send(act());
    })?;
    match receiver.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => Err(Error::other("the thread at the pipe has died: this is a bug")),
        Err(RecvTimeoutError::Timeout) => {
            let seconds = patience.as_secs_f64();
            Err(Error::new(
                ErrorKind::TimedOut,
                format!("found {late} within {seconds} s; start the program at its other end first, or name a file"),
            ))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {

    use super::*;
    use crate::files::tests::pipe;
    use std::time::Instant;

    #[test]
    fn a_pipe_is_read_and_written_while_someone_is_at_its_other_end_and_no_longer() {
        let home = tempfile::tempdir().unwrap();
        // The thread that reads stays at its pipe.
        let [read, written] = ["read", "written"].map(|name| pipe(&home.path().join(name)));
        let short = Duration::from_millis(200);
        let began = Instant::now();
        for error in [
            read_within_time(&read, Limit::SMALL, short).unwrap_err(),
            open_within_time(&written, short).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let text = error.to_string();
            assert!(text.contains("a pipe that") && text.contains("name a file"), "{text}");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn what_comes_through_a_pipe_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let path = pipe(&home.path().join("pipe"));
        let give = |text: &'static str| {
            let path = path.clone();
            std::thread::spawn(move || std::fs::write(path, text).unwrap())
        };
        let writer = give("seed: 1");
        assert_eq!(read_given(&path, Limit::SMALL).unwrap(), b"seed: 1");
        writer.join().unwrap();
        let writer = give("seed: 1");
        let error = read_given(&path, Limit::new(3)).unwrap_err();
        assert!(error.to_string().contains("at most 3 bytes"), "{error}");
        writer.join().unwrap();
        let error = read_given(Path::new("/dev/zero"), Limit::SMALL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    }
}
