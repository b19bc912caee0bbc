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
