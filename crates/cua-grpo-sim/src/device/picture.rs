//! Pictures of a box, in its resolution and scale.

use super::geometry::Geometry;
use crate::{
    phone::{HEIGHT, Phone, ROW, VISIBLE_ROWS},
    render,
    widget::UiNode,
};
use image::{
    ImageError, RgbImage,
    imageops::{self, FilterType},
};

/// What a box showed at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub phone: Phone,
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
        self.sized(self.phone.render())
    }

    /// Brings what the phone drew to the size of pictures.
    fn sized(&self, drawn: RgbImage) -> RgbImage {
        let (width, whole) = self.geometry.picture();
        if self.geometry == Geometry::default() {
            return drawn;
        }
        let height = (f64::from(drawn.height()) * f64::from(whole) / f64::from(HEIGHT)).round() as u32;
        imageops::resize(&drawn, width, height.max(1), FilterType::Triangle)
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// Whatever the encoder reports.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        render::encode(&self.image())
    }

    /// What can be named on it, in its pixels.
    pub fn nodes(&self) -> Vec<UiNode> {
        self.geometry.place(self.phone.nodes())
    }

    /// The whole list in front from where it stands down to its end, at most `most` pixels high, and the phone scrolled as
    /// far as that.
    pub fn scrolled(mut self, most: f64) -> (RgbImage, Phone) {
        let (first, list) = (self.phone.render(), ROW.unsigned_abs() * VISIBLE_ROWS as u32);
        let mut rows = vec![first];
        let down = self.geometry.to_phone((0.0, most)).1 - f64::from(HEIGHT);
        let mut left = (down / f64::from(ROW)).floor().max(0.0);
        while left >= 1.0 && self.phone.can_scroll().1 {
            let before = self.phone.scroll_rows();
            let middle = f64::from(HEIGHT) / 2.0;
            self.phone.scroll(middle, middle, 0.0, f64::from(ROW));
            if self.phone.scroll_rows() == before {
                // A dialog is in front, and nothing behind it moves.
                break;
            }
            rows.push(self.phone.render());
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
        (self.sized(whole), self.phone)
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
            let mut device = Device::new(seed);
            for hour in 0..20 {
                device.phone.shell(&format!(
                    "content insert --uri content://alarms --bind time:s:{hour:02}:01"
                ));
            }
            device.phone.shell("am start -n com.android.deskclock/.DeskClock");
            let rows = device.phone.alarms().len();
            let (image, phone) = device.picture().scrolled(4000.0);
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
