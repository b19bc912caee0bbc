//! The recent apps: cards with what they show, side by side.

use crate::{
    app::App,
    apps,
    draw::{
        geom::{Color, Rect},
        paint::{Clip, Paint},
    },
    state::{LAUNCHER, State, Task, Window},
    ui::{Button, Frame, Ui, Way, sp},
};

/// Builds the recent apps.
pub fn build(state: &State, ui: &mut Ui) {
    ui.paint(Paint::Wallpaper {
        kind: state.wallpaper(),
        dark: ui.theme.dark,
    });
    ui.fill(ui.screen, 0.0, Color::BLACK.alpha(0.35));
    ui.modal();
    ui.window(Window::Recents, LAUNCHER, state.place(Window::Recents));
    let count = state.tasks.len();
    let at = (state.place(Window::Recents).number("at").unwrap_or(0).max(0) as usize).min(count);
    let back = ui.node(ui.screen);
    back.class("android.widget.FrameLayout").id("overview_panel");
    back.tap(State::home);
    back.swipe(move |state, way| {
        let next = match way {
            Way::Right => at + 1,
            Way::Left => at.saturating_sub(1),
            _ => return,
        };
        state.place_mut(Window::Recents).set("at", next.to_string());
    });
    ui.open();
    if count == 0 {
        ui.label(
            0.0,
            ui.screen.h * 0.45,
            ui.screen.w,
            sp(20.0).center(),
            Color::WHITE,
            "No recent items",
        );
        ui.close();
        return;
    }
    let (w, h) = (ui.screen.w * 0.72, ui.screen.h * 0.72);
    let (x, y) = ((ui.screen.w - w) / 2.0, ui.screen.h * 0.10);
    if at == count {
        let rect = Rect::new(ui.screen.w / 2.0 - 60.0, ui.screen.h * 0.46, 120.0, 44.0);
        ui.button(rect, Button::Tonal, "Clear all", |state| {
            state.tasks.clear();
            state.in_app = false;
            state.home();
        });
    }
    for (index, task) in state.tasks.iter().rev().enumerate() {
        let shift = index as f32 - at as f32;
        let left = x - shift * (w + 16.0);
        if left < -w || left > ui.screen.w {
            continue;
        }
        card(state, ui, Rect::new(left, y, w, h), task, shift == 0.0);
    }
    if at < count {
        let top = y + h + 22.0;
        ui.button(
            Rect::new(x, top, w / 2.0 - 6.0, 40.0),
            Button::Tonal,
            "Screenshot",
            |state| {
                state.say("Screenshot saved");
            },
        );
        ui.button(
            Rect::new(x + w / 2.0 + 6.0, top, w / 2.0 - 6.0, 40.0),
            Button::Tonal,
            "Select",
            |_| (),
        );
    }
    ui.close();
}

fn card(state: &State, ui: &mut Ui, rect: Rect, task: &Task, front: bool) {
    let label = state.label(&task.package);
    if let Some(app) = apps::app(&task.package) {
        picture(state, ui, rect, task, app);
    }
    let package = task.package.clone();
    let gone = task.package.clone();
    let node = ui.node(rect);
    node.class("android.widget.FrameLayout").id("snapshot").desc(label);
    node.tap(move |state| state.launch(&package));
    node.swipe(move |state, way| match way {
        Way::Up => {
            state.tasks.retain(|task| task.package != gone);
            state.in_app = false;
        }
        Way::Left | Way::Right => {
            let at = state.place(Window::Recents).number("at").unwrap_or(0);
            let next = if way == Way::Right { at + 1 } else { (at - 1).max(0) };
            state.place_mut(Window::Recents).set("at", next.to_string());
        }
        Way::Down => {}
    });
    if front {
        let icon = Rect::new(rect.center().0 - 24.0, rect.y - 24.0, 48.0, 48.0);
        ui.emblem(icon, 48.0, &state.icon(&task.package));
    }
}

/// What an app shows, smaller.
fn picture(state: &State, ui: &mut Ui, rect: Rect, task: &Task, app: &dyn App) {
    let Some(place) = task.places.last() else {
        return;
    };
    let outer = ui.frame;
    let k = outer.k * rect.w / ui.screen.w;
    let frame = Frame {
        k,
        x: rect.x * outer.k + outer.x,
        y: rect.y * outer.k + outer.y,
    };
    let screen = Rect::new(0.0, 0.0, ui.screen.w, rect.h / (rect.w / ui.screen.w));
    let (theme, font_scale) = (ui.theme, ui.font_scale);
    let mut small = Ui::new(&mut *ui.engine, theme, screen, frame, place);
    small.font_scale = font_scale;
    small.clip = Clip {
        rect: screen,
        radius: 28.0,
    };
    small.area = Rect::new(0.0, super::STATUS, screen.w, screen.h - super::STATUS);
    small.fill(screen, 0.0, theme.surface);
    small.window(Window::App, &task.package, place);
    app.build(state, &mut small);
    let mut paints = small.scene.paints;
    // Lists clip to straight edges; inside a card everything keeps to its round corners.
    let round = Clip {
        rect: rect.scale(outer.k).offset(outer.x, outer.y),
        radius: 28.0 * k,
    };
    let width = ui.screen.w * outer.k;
    for (clip, paint) in &mut paints {
        let part = clip.rect.clip(round.rect);
        // Only what reaches a corner needs the mask of the card; the rest is cut off above and below alone.
        let safe = paint.reach().is_some_and(|reach| {
            let seen = reach.clip(Rect::new(reach.x, part.y, reach.w, part.h));
            let inside = |dx: f32, dy: f32| {
                let room = round.rect.inset(dx * round.radius, dy * round.radius);
                seen.clip(room) == seen
            };
            seen.x >= round.rect.x && seen.right() <= round.rect.right() && (inside(1.0, 0.0) || inside(0.0, 1.0))
        });
        *clip = if safe {
            Clip {
                rect: Rect::new(0.0, part.y, width, part.h),
                radius: 0.0,
            }
        } else {
            Clip {
                rect: round.rect,
                radius: round.radius,
            }
        };
    }
    ui.scene.paints.extend(paints);
}
