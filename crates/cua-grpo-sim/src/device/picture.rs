//! Pictures of a box, in its resolution and scale.

use super::{Sight, geometry::Geometry};
use crate::{
    handset::Handset,
    phone::{HEIGHT, Phone, ROW, VISIBLE_ROWS},
    pixel, render,
    widget::UiNode,
};
use axum::body::Bytes;
use cua_grpo_phone::Frame;
use image::{
    ImageError, RgbImage,
    imageops::{self, FilterType},
};

/// What a box showed at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub phone: Handset,
    /// What the full phone showed.
    pub frame: Option<Frame>,
    pub geometry: Geometry,
    /// Number of the state of the box.
    pub state: u64,
}

impl Picture {
    /// The same without the scale of pictures.
    pub fn unscaled(self) -> Self {
        Self {
            geometry: self.geometry.unscaled(),
            ..self
        }
    }

    pub fn image(&self) -> RgbImage {
        match (&self.phone, &self.frame) {
            (Handset::Small(phone), _) => self.sized(phone.render()),
            (_, Some(frame)) => self.sized(pixel::picture(frame)),
            (Handset::Pixel(phone), None) => self.sized(pixel::picture(&phone.clone().frame())),
        }
    }

    /// Brings what the phone drew to the size of pictures.
    fn sized(&self, drawn: RgbImage) -> RgbImage {
        let (width, whole) = self.geometry.picture();
        if !self.geometry.is_changed() {
            return drawn;
        }
        let height = (f64::from(drawn.height()) * f64::from(whole) / f64::from(self.geometry.drawn.1)).round() as u32;
        imageops::resize(&drawn, width, height.max(1), FilterType::Triangle)
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// Whatever the encoder reports.
    pub fn png(&self) -> Result<Bytes, ImageError> {
        if let (Handset::Pixel(phone), Some(frame), false) = (&self.phone, &self.frame, self.geometry.is_changed()) {
            return phone.png(frame);
        }
        render::encode(&self.image()).map(Bytes::from)
    }

    /// What can be named on it, in its pixels.
    pub fn nodes(&self) -> Vec<UiNode> {
        self.geometry.place(match &self.phone {
            Handset::Small(phone) => phone.nodes(),
            Handset::Pixel(phone) => phone.nodes(),
        })
    }

    /// What can be found on it.
    pub fn sight(&self) -> Sight {
        match &self.phone {
            Handset::Small(_) => Sight::Small(self.nodes()),
            Handset::Pixel(phone) => {
                let mut scene = phone.phone().scene();
                scene.paints = Vec::new();
                Sight::Pixel(scene, self.geometry)
            }
        }
    }

    /// The whole list in front from where it stands down to its end, at most `most` pixels high, and the phone scrolled as
    /// far as that.
    pub fn scrolled(self, most: f64) -> (RgbImage, Handset) {
        let highest = self.geometry.to_phone((0.0, most)).1;
        match self.phone.clone() {
            Handset::Small(phone) => {
                let (image, phone) = Self::small_scrolled(*phone, highest);
                (self.sized(image), Handset::Small(Box::new(phone)))
            }
            Handset::Pixel(phone) => {
                let (image, phone) = phone.scrolled(highest as u32);
                (self.sized(image), Handset::Pixel(Box::new(phone)))
            }
        }
    }

    fn small_scrolled(mut phone: Phone, most: f64) -> (RgbImage, Phone) {
        let (first, list) = (phone.render(), ROW.unsigned_abs() * VISIBLE_ROWS as u32);
        let mut rows = vec![first];
        let down = most - f64::from(HEIGHT);
        let mut left = (down / f64::from(ROW)).floor().max(0.0);
        while left >= 1.0 && phone.can_scroll().1 {
            let before = phone.scroll_rows();
            let middle = f64::from(HEIGHT) / 2.0;
            phone.scroll(middle, middle, 0.0, f64::from(ROW));
            if phone.scroll_rows() == before {
                // A dialog is in front, and nothing behind it moves.
                break;
            }
            rows.push(phone.render());
            left -= 1.0;
        }
        let (row, width) = (ROW.unsigned_abs(), rows[0].width());
        let added = row * (rows.len() as u32 - 1);
        let mut whole = RgbImage::new(width, HEIGHT.unsigned_abs() + added);
        // The bar above and what was visible first; then the last row of each step; then the bar below.
        imageops::replace(&mut whole, &rows[0], 0, 0);
        for (step, image) in rows.iter().enumerate().skip(1) {
            let line = imageops::crop_imm(image, 0, list, width, row).to_image();
            imageops::replace(
                &mut whole,
                &line,
                0,
                i64::from(row + list) + i64::from(row) * (step as i64 - 1),
            );
        }
        let last = &rows[rows.len() - 1];
        let below = row + list;
        let bar = imageops::crop_imm(last, 0, below, width, HEIGHT.unsigned_abs() - below).to_image();
        imageops::replace(&mut whole, &bar, 0, i64::from(below + added));
        (whole, phone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn a_whole_list_is_pictured_once() {
        // Phones that greet with a dialog, and phones that do not.
        for seed in 0..12 {
            let mut device = Device::small(seed);
            for hour in 0..20 {
                let phone = device.phone.small_mut().expect("a small phone");
                phone.shell(&format!(
                    "content insert --uri content://alarms --bind time:s:{hour:02}:01"
                ));
            }
            let phone = device.phone.small_mut().expect("a small phone");
            phone.shell("am start -n com.android.deskclock/.DeskClock");
            let rows = phone.alarms().len();
            let (image, phone) = device.picture().scrolled(4000.0);
            let phone = phone.small().expect("a small phone");
            let added = if phone.startup().is_some() {
                0
            } else {
                rows - VISIBLE_ROWS
            };
            assert_eq!(
                image.height(),
                HEIGHT.unsigned_abs() + ROW.unsigned_abs() * added as u32,
                "{seed}"
            );
            assert_eq!(phone.scroll_rows(), added);
            if added > 0 {
                // The last visible row of the phone's own last screen is the last row of the picture.
                let last = |image: &RgbImage| {
                    let top = image.height() - 2 * ROW.unsigned_abs();
                    imageops::crop_imm(image, 0, top, image.width(), ROW.unsigned_abs()).to_image()
                };
                assert_eq!(last(&image), last(&phone.render()), "{seed}");
            }
            let (short, _) = device.picture().scrolled(450.0);
            assert!(short.height() <= 450, "{seed}: {}", short.height());
        }
    }
}
