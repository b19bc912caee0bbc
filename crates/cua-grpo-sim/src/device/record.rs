//! Films of the screen: a frame whenever it changes, kept for a recording or for looking back.

use super::mp4;
use axum::body::Bytes;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Frames of a recording, and of what is kept to look back; the oldest go first.
const MOST_FRAMES: usize = 2000;
/// Bytes of them.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How far back can be looked.
pub(crate) const LONGEST_REWIND: Duration = Duration::from_secs(300);

/// A picture and when it came.
#[derive(Debug, Clone)]
struct Frame {
    at: Instant,
    png: Arc<Vec<u8>>,
}

/// Frames, oldest first.
#[derive(Debug, Clone, Default)]
struct Film {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Film {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.png.len();
        self.frames.push_back(frame);
        while self.frames.len() > MOST_FRAMES || (self.bytes > MOST_BYTES && self.frames.len() > 1) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.bytes -= oldest.png.len();
        }
    }

    /// Forgets what was replaced before `since`: the frame that was shown then stays.
    fn trim(&mut self, since: Instant) {
        while self.frames.get(1).is_some_and(|next| next.at <= since) {
            self.forget();
        }
    }

    /// As a video from `since` to `until`.
    fn video(mut self, since: Instant, until: Instant, size: (u32, u32)) -> Bytes {
        self.trim(since);
        let starts: Vec<Instant> = self.frames.iter().map(|frame| frame.at.max(since)).collect();
        let ends = starts.iter().copied().skip(1).chain([until]);
        let lengths = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| end.saturating_duration_since(*start));
        let frames: Vec<(Arc<Vec<u8>>, Duration)> =
            self.frames.iter().map(|frame| frame.png.clone()).zip(lengths).collect();
        mp4::film(&frames, size).into()
    }
}

/// What is being recorded of a box.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    recording: Option<(Instant, Film)>,
    rewind: Option<Film>,
    /// Mark of the frame that came last.
    last: Option<u64>,
}

impl Recorder {
    /// Whether frames are wanted; then [`Recorder::wants`] tells of each.
    pub fn is_on(&self) -> bool {
        self.recording.is_some() || self.rewind.is_some()
    }

    /// Whether a screen with this mark differs from the last one.
    pub fn wants(&self, mark: u64) -> bool {
        self.is_on() && self.last != Some(mark)
    }

    /// Takes a frame.
    pub fn take(&mut self, mark: u64, png: Vec<u8>) {
        self.last = Some(mark);
        let frame = Frame {
            at: Instant::now(),
            png: Arc::new(png),
        };
        if let Some((_, film)) = &mut self.recording {
            film.push(frame.clone());
        }
        if let Some(film) = &mut self.rewind {
            film.trim(frame.at.checked_sub(LONGEST_REWIND).unwrap_or(frame.at));
            film.push(frame);
        }
    }

    /// Begins a recording; false when there is one.
    pub fn start(&mut self) -> bool {
        self.last = None;
        let fresh = self.recording.is_none();
        if fresh {
            self.recording = Some((Instant::now(), Film::default()));
        }
        fresh
    }

    /// Ends the recording and gives it as a video.
    pub fn stop(&mut self, size: (u32, u32)) -> Option<Bytes> {
        let (since, film) = self.recording.take()?;
        Some(film.video(since, Instant::now(), size))
    }

    /// Begins to keep the last minutes; what is kept already stays.
    pub fn enable_rewind(&mut self) {
        self.last = None;
        self.rewind.get_or_insert_default();
    }

    pub fn disable_rewind(&mut self) {
        self.rewind = None;
    }

    /// The last `length` as a video; `None` when nothing is kept.
    pub fn extract(&self, length: Duration, size: (u32, u32)) -> Option<Bytes> {
        let film = self.rewind.clone()?;
        let now = Instant::now();
        let first = film.frames.front().map_or(now, |frame| frame.at);
        let since = now.checked_sub(length).unwrap_or(first).max(first);
        Some(film.video(since, now, size))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The parts of a film in which `name` says what they are, by their contents.
    fn part<'a>(bytes: &'a [u8], name: &[&[u8; 4]]) -> &'a [u8] {
        let Some((first, rest)) = name.split_first() else {
            return bytes;
        };
        let mut left = bytes;
        while left.len() >= 8 {
            let length = u32::from_be_bytes(left[..4].try_into().unwrap()) as usize;
            if &left[4..8] == *first {
                return part(&left[8..length], rest);
            }
            left = &left[length..];
        }
        panic!("no part {}", String::from_utf8_lossy(*first));
    }

    fn number(bytes: &[u8], index: usize) -> u32 {
        u32::from_be_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap())
    }

    #[test]
    fn films_have_a_frame_for_each_change() {
        let mut recorder = Recorder::default();
        assert!(!recorder.wants(1) && recorder.stop((2, 3)).is_none());
        assert!(recorder.start() && !recorder.start());
        for (mark, png) in [(1, b"one".as_slice()), (1, b"same"), (2, b"two-two"), (3, b"3")] {
            if recorder.wants(mark) {
                recorder.take(mark, png.to_vec());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
        let film = recorder.stop((2, 3)).unwrap();
        assert_eq!(part(&film, &[b"mdat"]), b"onetwo-two3");
        let tables: [&[u8; 4]; 4] = [b"moov", b"trak", b"mdia", b"minf"];
        let table = |name| part(&film, &[&tables[..], &[b"stbl", name]].concat());
        let sizes = table(b"stsz");
        assert_eq!(
            (2..6).map(|index| number(sizes, index)).collect::<Vec<_>>(),
            [3, 3, 7, 1]
        );
        let first = number(table(b"stco"), 2) as usize;
        assert_eq!(&film[first..first + 3], b"one");
        let times = table(b"stts");
        let lengths: u32 = (0..3).map(|index| number(times, 3 + 2 * index)).sum();
        assert_eq!(
            lengths,
            number(part(&film, &[b"moov", b"mvhd"]), 4),
            "frames last as long as the film"
        );
        assert!(number(times, 7) >= 5, "the last frame stays until the end");
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut recorder = Recorder::default();
        recorder.enable_rewind();
        for mark in 0..MOST_FRAMES as u64 + 10 {
            recorder.take(mark, vec![0; 10]);
        }
        let film = recorder.rewind.as_ref().unwrap();
        assert_eq!((film.frames.len(), film.bytes), (MOST_FRAMES, 10 * MOST_FRAMES));
        std::thread::sleep(Duration::from_millis(3));
        let short = recorder.extract(Duration::from_millis(1), (1, 1)).unwrap();
        assert_eq!(part(&short, &[b"mdat"]).len(), 10, "the frame that was shown then");
        recorder.disable_rewind();
        assert!(recorder.extract(Duration::from_secs(1), (1, 1)).is_none());
    }
}
