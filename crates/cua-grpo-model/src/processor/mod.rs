//! The processor: everything between messages, pictures and text on one side and tokens, pixels and positions on the other.
//!
//! No tensor is made here. The pieces are plain functions and can be used alone:
//!
//! | piece | turns |
//! |---|---|
//! | [`Tokenizer`] | text into ids; data cannot forge control tokens |
//! | [`ChatTemplate`] | messages into text, as Jinja under Python renders it |
//! | [`ChatRenderer`] | messages and pictures into a prompt, by extension (the `Renderer` seam) |
//! | [`Conversation`] | a JSON file in the chat form, with its pictures and clips, into tokens and patches |
//! | [`ImageProcessorConfig`] | an encoded picture into normalised patches |
//! | [`VideoProcessorConfig`] | frames into normalised patches and timestamps |
//! | [`rope_index`], [`PositionState`] | tokens and grids into M-RoPE positions |

mod added;
mod conversation;
mod copy;
mod decode;
mod error;
mod exact_json;
mod fit;
mod grid;
mod guard;
mod image;
mod image_config;
mod jpeg;
mod positions;
mod prompt;
mod qwen2;
mod renderer;
mod resize;
mod sections;
mod smart_resize;
mod template;
mod tokenizer;
mod tokenizer_keys;
mod train;
mod video;
mod words;

pub use conversation::{Conversation, ConversationError, Encoded};
pub use copy::{copy_processor, set_pixels};
pub use decode::{MOST_BYTES, MOST_PIXELS, RgbImage, decode_rgb, image_size};
pub use error::ProcessorError;
pub use exact_json::{big_integer, parse_json};
pub use grid::{Grid, Pixels};
pub use guard::{Guard, Trust};
pub use image::{ImageProcessorConfig, PixelBudget, PixelLimits};
pub use positions::{PadIds, PositionState, rope_index};
pub use prompt::{VideoSpan, expand_pads, expand_videos};
pub use renderer::{ChatRenderer, ConversationOptions, Literals};
pub use resize::{Resample, resize, resize_bicubic};
pub use smart_resize::{smart_resize, smart_resize_video};
pub use template::{ChatTemplate, python_json};
pub use tokenizer::{SpecialIds, Tokenizer};
pub use train::{ADDED_TOKENS, train_tokenizer};
pub use video::{VideoProcessorConfig, frame_timestamps};
