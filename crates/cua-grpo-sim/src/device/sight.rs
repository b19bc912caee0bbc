//! What can be found on a picture that was handed over.

use super::Geometry;
use crate::{ground, widget::UiNode};
use cua_grpo_phone::ui::Scene;

/// The things of a screen, as they stood when its picture was taken.
#[derive(Debug)]
pub(crate) enum Sight {
    /// Of the small phone, in pixels of the picture.
    Small(Vec<UiNode>),
    /// Of the full one, in pixels of its screen.
    Pixel(Scene, Geometry),
}

impl Sight {
    /// Where on the picture something is that is described in words.
    pub fn find(&self, description: &str) -> Option<(f64, f64)> {
        match self {
            Self::Small(nodes) => {
                let (x, y) = ground::find(nodes, description)?.bounds.centre();
                Some((f64::from(x), f64::from(y)))
            }
            Self::Pixel(scene, geometry) => {
                let (x, y) = scene.find(description, geometry.drawn)?;
                Some(geometry.to_picture((f64::from(x), f64::from(y))))
            }
        }
    }

    /// How much it weighs: things that are kept.
    pub fn things(&self) -> usize {
        match self {
            Self::Small(nodes) => nodes.len(),
            Self::Pixel(scene, _) => scene.nodes.len(),
        }
    }
}
