//! Settings.
use crate::{app::{App, Icon, Layer}, state::{State, data::Info}, ui::{Ui, Row, End}};
use crate::state::Toggle;
/// Settings.
pub struct Settings;
impl App for Settings {
    fn info(&self) -> Info { Info { package: "com.android.settings", label: "Settings", activity: "com.android.settings.Settings", permissions: &[] } }
    fn icon(&self) -> Icon { Icon { back: 0xE8_EAED, layers: &[Layer::Glyph("settings", 0x5F_6368, 0.62, 0.0, 0.0)] } }
    fn build(&self, state: &State, ui: &mut Ui) {
        ui.collapsing("Network & internet", |ui, y| {
            let y = ui.row(y, Row::new("Airplane mode").icon("flight").end(End::Switch(state.on(Toggle::Airplane))).tap(|s| s.flip(Toggle::Airplane)));
            ui.row(y, Row::new("Internet").icon("wifi").summary("AndroidWifi"))
        });
    }
}
