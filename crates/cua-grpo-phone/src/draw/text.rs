//! Text: shaping and line breaking by `cosmic-text`, glyphs as masks of coverage. All sizes here are pixels.

use cosmic_text::{
    Align as Side, Attrs, Buffer, CacheKey, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, LayoutGlyph, Metrics,
    Shaping, SwashCache, SwashContent, Weight, Wrap, fontdb,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Laid-out texts and glyphs that are kept; beyond that the caches begin anew.
const MOST_LAID: usize = 6000;
const MOST_GLYPHS: usize = 6000;

/// Which of the embedded families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Face {
    /// What the system and its own apps speak in.
    System,
    /// Roboto, which other apps use.
    Roboto,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Font {
    /// The family.
    pub face: Face,
    /// Size of the em square.
    pub size: f32,
    /// Whether it is of medium weight.
    pub medium: bool,
    /// Height of a line.
    pub line: f32,
}

/// Where lines stand in their box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Align {
    /// At the left edge.
    Left,
    /// In the middle.
    Center,
    /// At the right edge.
    Right,
}

/// A text that is broken into lines and shaped.
#[derive(Debug)]
pub struct Laid {
    /// Width of the widest line.
    pub width: f32,
    /// Height of all lines.
    pub height: f32,
    /// Where glyphs begin and end in the width of the box.
    pub span: (f32, f32),
    /// Where lines end, as counts of bytes of the text.
    pub ends: Vec<usize>,
    glyphs: Vec<(LayoutGlyph, f32)>,
}

impl Laid {
    /// Where the cursor stands behind so many bytes: x and upper edge of the line.
    pub fn cursor(&self, at: usize, line_height: f32) -> (f32, f32) {
        let line = self.ends.iter().position(|end| at <= *end).unwrap_or(0);
        let top = line as f32 * line_height;
        let before = self
            .glyphs
            .iter()
            .filter(|(glyph, baseline)| glyph.end <= at && *baseline >= top && *baseline < top + line_height)
            .map(|(glyph, _)| glyph.x + glyph.w);
        (before.fold(0.0, f32::max), top)
    }
}

/// A glyph as a mask of coverage.
#[derive(Debug)]
pub(crate) struct Mask {
    pub left: i32,
    pub top: i32,
    pub width: usize,
    pub height: usize,
    pub coverage: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    text: String,
    face: Face,
    medium: bool,
    align: Align,
    /// Size, line height and width in 64ths of a pixel; lines.
    numbers: [u32; 4],
}

/// Fonts with their caches. One serves one thread at a time: see [`with_engine`].
pub struct TextEngine {
    fonts: FontSystem,
    swash: SwashCache,
    laid: HashMap<Key, Arc<Laid>>,
    masks: HashMap<CacheKey, Option<Arc<Mask>>>,
}

static EXTRA: Mutex<Vec<Arc<Vec<u8>>>> = Mutex::new(Vec::new());
static POOL: Mutex<Vec<TextEngine>> = Mutex::new(Vec::new());

/// Adds a font file (TTF, OTF or TTC) that is asked for characters that the embedded ones lack, e.g. CJK.
///
/// It holds for texts that are drawn from now on, in all phones of the process.
///
/// # Errors
/// When the bytes hold no font.
pub fn add_font(bytes: Vec<u8>) -> Result<(), FontError> {
    let bytes = Arc::new(bytes);
    let mut database = fontdb::Database::new();
    if database
        .load_font_source(fontdb::Source::Binary(bytes.clone()))
        .is_empty()
    {
        return Err(FontError);
    }
    EXTRA.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    POOL.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(())
}

/// Bytes that hold no font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FontError;

impl std::fmt::Display for FontError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected the bytes of a TTF, OTF or TTC font, got something else")
    }
}

impl std::error::Error for FontError {}

/// Lends an engine: there are as many as threads that draw at once.
pub fn with_engine<R>(work: impl FnOnce(&mut TextEngine) -> R) -> R {
    let idle = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut engine = idle.unwrap_or_else(TextEngine::new);
    let result = work(&mut engine);
    POOL.lock().unwrap_or_else(PoisonError::into_inner).push(engine);
    result
}

impl TextEngine {
    fn new() -> Self {
        let mut database = fontdb::Database::new();
        for bytes in [
            include_bytes!("../../assets/fonts/GoogleSans-Regular.ttf").as_slice(),
            include_bytes!("../../assets/fonts/GoogleSans-Medium.ttf"),
            include_bytes!("../../assets/fonts/Roboto-Regular.ttf"),
            include_bytes!("../../assets/fonts/Roboto-Medium.ttf"),
        ] {
            database.load_font_source(fontdb::Source::Binary(Arc::new(bytes)));
        }
        for bytes in EXTRA.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            database.load_font_source(fontdb::Source::Binary(bytes.clone()));
        }
        Self {
            fonts: FontSystem::new_with_locale_and_db("en-US".to_owned(), database),
            swash: SwashCache::new(),
            laid: HashMap::new(),
            masks: HashMap::new(),
        }
    }

    /// Breaks a text into at most `lines` lines of at most `width`; what does not fit ends in an ellipsis.
    pub fn lay(&mut self, text: &str, font: Font, align: Align, width: f32, lines: usize) -> Arc<Laid> {
        let fixed = |value: f32| (value * 64.0).round().max(0.0) as u32;
        let key = Key {
            text: text.to_owned(),
            face: font.face,
            medium: font.medium,
            align,
            numbers: [fixed(font.size), fixed(font.line), fixed(width), lines as u32],
        };
        if let Some(laid) = self.laid.get(&key) {
            return laid.clone();
        }
        if self.laid.len() > MOST_LAID {
            self.laid.clear();
        }
        let laid = Arc::new(self.shape(text, font, align, width, lines));
        self.laid.insert(key, laid.clone());
        laid
    }

    fn shape(&mut self, text: &str, font: Font, align: Align, width: f32, lines: usize) -> Laid {
        let family = match font.face {
            Face::System => "Google Sans",
            Face::Roboto => "Roboto",
        };
        let weight = if font.medium { Weight::MEDIUM } else { Weight::NORMAL };
        let attrs = Attrs::new().family(Family::Name(family)).weight(weight);
        let mut buffer = Buffer::new(&mut self.fonts, Metrics::new(font.size.max(1.0), font.line.max(1.0)));
        buffer.set_wrap(if lines == 1 { Wrap::None } else { Wrap::WordOrGlyph });
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(lines)));
        // A hair of room, so that a box as wide as its text does not cut it.
        buffer.set_size(Some(width + 0.5), None);
        let side = match align {
            Align::Left => Side::Left,
            Align::Center => Side::Center,
            Align::Right => Side::Right,
        };
        buffer.set_text(text, &attrs, Shaping::Advanced, Some(side));
        buffer.shape_until_scroll(&mut self.fonts, false);
        let starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let mut laid = Laid {
            width: 0.0,
            height: 0.0,
            span: (0.0, 0.0),
            ends: Vec::new(),
            glyphs: Vec::new(),
        };
        for run in buffer.layout_runs().take(lines) {
            let start = starts.get(run.line_i).copied().unwrap_or(0);
            laid.width = laid.width.max(run.line_w);
            laid.height = run.line_top + run.line_height;
            laid.ends.push(start + run.glyphs.last().map_or(0, |glyph| glyph.end));
            laid.glyphs.extend(run.glyphs.iter().map(|glyph| {
                let mut glyph = glyph.clone();
                glyph.start += start;
                glyph.end += start;
                (glyph, run.line_y)
            }));
        }
        let edges = |glyph: &LayoutGlyph| (glyph.x, glyph.x + glyph.w);
        let spans = laid.glyphs.iter().map(|(glyph, _)| edges(glyph));
        laid.span = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
        laid
    }

    /// Calls `put` for each glyph with the place of its mask's corner, for a text whose box begins at `x`, `y`.
    pub(crate) fn glyphs(&mut self, laid: &Laid, x: f32, y: f32, mut put: impl FnMut(i32, i32, &Mask)) {
        for (glyph, baseline) in &laid.glyphs {
            let physical = glyph.physical((x, (y + baseline).round()), 1.0);
            if let Some(mask) = self.mask(physical.cache_key) {
                put(physical.x + mask.left, physical.y - mask.top, &mask);
            }
        }
    }

    fn mask(&mut self, key: CacheKey) -> Option<Arc<Mask>> {
        if let Some(known) = self.masks.get(&key) {
            return known.clone();
        }
        if self.masks.len() > MOST_GLYPHS {
            self.masks.clear();
        }
        let image = self.swash.get_image_uncached(&mut self.fonts, key);
        let mask = image
            .filter(|image| image.placement.width > 0 && image.content == SwashContent::Mask)
            .map(|image| {
                Arc::new(Mask {
                    left: image.placement.left,
                    top: image.placement.top,
                    width: image.placement.width as usize,
                    height: image.placement.height as usize,
                    coverage: image.data,
                })
            });
        self.masks.insert(key, mask.clone());
        mask
    }
}
