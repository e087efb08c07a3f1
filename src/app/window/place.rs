//! Where the window stands on the screen: taken up from the settings when it opens, noted while it
//! runs.

use egui::{Context, Rect, Vec2, ViewportBuilder, ViewportCommand, pos2, vec2};

use super::state::Window;
use crate::session::WindowPlace;

/// So much of the upper edge must be on a screen that the window can be taken hold of there.
const HOLD: Vec2 = vec2(120.0, 30.0);

/// The window as it is to be opened.
pub fn builder(place: &WindowPlace) -> ViewportBuilder {
    let builder = ViewportBuilder::default()
        .with_inner_size(place.size.map(|points| points as f32))
        .with_min_inner_size(WindowPlace::LEAST_SIZE.map(|points| points as f32));
    match place.position {
        Some(corner) => builder.with_position(corner.map(|at| at as f32)),
        None => builder,
    }
}

/// The place as it is where the window fits on these screens (in points); the default size, placed
/// by the system, where it does not. Nothing is known of no screens.
pub fn on_screens(place: WindowPlace, screens: &[Rect]) -> WindowPlace {
    let size = Vec2::from(place.size.map(|points| points as f32));
    let fits = |screen: &Rect| size.x <= screen.width() && size.y <= screen.height();
    let holds = |screen: &Rect| match place.position {
        Some([x, y]) => {
            let width = size.x.max(HOLD.x);
            let edge = Rect::from_min_size(pos2(x as f32, y as f32), vec2(width, HOLD.y));
            let seen = edge.intersect(*screen);
            seen.width() >= HOLD.x && seen.height() >= HOLD.y / 2.0
        }
        None => true,
    };
    if screens.is_empty() || screens.iter().any(|screen| fits(screen) && holds(screen)) {
        return place;
    }
    let default = WindowPlace::default();
    WindowPlace { size: default.size, position: None, ..place }
}

/// The screens there are, in points; empty where the system does not say.
pub fn screens(creation: &eframe::CreationContext<'_>) -> Vec<Rect> {
    let Some(window) = creation.winit_window() else { return Vec::new() };
    let screen = |scale: f64, at: (i32, i32), size: (u32, u32)| {
        let points = |pixels: f64| (pixels / scale) as f32;
        Rect::from_min_size(
            pos2(points(at.0.into()), points(at.1.into())),
            vec2(points(size.0.into()), points(size.1.into())),
        )
    };
    let monitors = window.available_monitors();
    let screens = monitors.map(|monitor| {
        let (at, size) = (monitor.position(), monitor.size());
        screen(monitor.scale_factor(), (at.x, at.y), (size.width, size.height))
    });
    screens.filter(|screen| screen.width() > 0.0 && screen.height() > 0.0).collect()
}

impl Window {
    /// Moves a window that was opened off the screens to where it can be seen.
    pub(super) fn come_on_screen(&mut self, screens: &[Rect]) {
        self.maximizes = self.place.is_maximized;
        let place = on_screens(self.place, screens);
        if place == self.place {
            return;
        }
        let Some(screen) = screens.first() else { return };
        let size = Vec2::from(place.size.map(|points| points as f32)).min(screen.size());
        let corner = screen.center() - size / 2.0;
        // By the time this is done the zoom of the settings is in force.
        let zoom = self.settings.zoom;
        self.context.send_viewport_cmd(ViewportCommand::InnerSize(size / zoom));
        self.context.send_viewport_cmd(ViewportCommand::OuterPosition(pos2(
            corner.x / zoom,
            corner.y / zoom,
        )));
        self.place = place;
    }

    /// Fills the screen if the window did so the last time. Some window managers only listen once
    /// the window is shown, which it is after its first frame.
    pub(super) fn maximize_once_shown(&mut self) {
        if self.maximizes && self.frames > 1 {
            self.maximizes = false;
            self.context.send_viewport_cmd(ViewportCommand::Maximized(true));
        } else if self.maximizes {
            self.context.request_repaint();
        }
    }

    /// Notes where the window stands; kept when it has stood there for a moment.
    pub(super) fn note_place(&mut self, context: &Context) {
        let zoom = context.zoom_factor();
        // What was kept, not what was noted last: on its way to where it goes a window passes
        // through places that are nowhere to go back to.
        let kept = self.settings.window;
        let before = WindowPlace { size: kept.size, position: kept.position, ..self.place };
        let place = context.input(|input| standing(before, input.viewport(), zoom));
        self.change_place(place);
    }

    /// Notes how wide the panels are.
    pub(super) fn note_panels(&mut self, sidebar: Option<f32>, side_panel: Option<f32>) {
        let width = |width: Option<f32>, before: u32| match width {
            Some(width) => width.round() as u32,
            None => before,
        };
        let place = self.place;
        self.change_place(WindowPlace {
            sidebar_width: width(sidebar, place.sidebar_width),
            side_panel_width: width(side_panel, place.side_panel_width),
            ..place
        });
    }

    fn change_place(&mut self, place: WindowPlace) {
        if place != self.place {
            self.place = place;
            self.keep_later(|unkept| unkept.place = true);
        }
    }
}

/// What the system says of the window. Minimised or over the whole screen it is nowhere to go back
/// to; maximised it goes back to where it was before.
fn standing(before: WindowPlace, viewport: &egui::ViewportInfo, zoom: f32) -> WindowPlace {
    if viewport.minimized == Some(true) || viewport.fullscreen == Some(true) {
        return before;
    }
    let is_maximized = viewport.maximized == Some(true);
    if is_maximized {
        return WindowPlace { is_maximized, ..before };
    }
    let size = viewport.inner_rect.map(|inside| inside.size() * zoom);
    let size = size.map(|size| [size.x.round() as u32, size.y.round() as u32]);
    let position = viewport.outer_rect.map(|outside| outside.min.to_vec2() * zoom);
    let position = position.map(|at| [at.x.round() as i32, at.y.round() as i32]);
    WindowPlace {
        size: size.filter(|size| size.iter().all(|side| *side > 0)).unwrap_or(before.size),
        position: position.or(before.position),
        is_maximized,
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect::from_min_size(pos2(x, y), vec2(width, height))
    }

    fn place(size: [u32; 2], position: Option<[i32; 2]>) -> WindowPlace {
        WindowPlace { size, position, sidebar_width: 333, ..WindowPlace::default() }
    }

    #[test]
    fn a_window_off_the_screens_falls_back_to_the_default() {
        let screens = [screen(0.0, 0.0, 1280.0, 800.0), screen(1280.0, 0.0, 1920.0, 1080.0)];
        let stays = [
            place([900, 600], None),
            place([900, 600], Some([10, 10])),
            place([1900, 1000], Some([1290, 20])),
            // Half of it is beyond the right edge, but it can be pulled back.
            place([900, 600], Some([2700, 900])),
        ];
        for place in stays {
            assert_eq!(on_screens(place, &screens), place);
            assert_eq!(on_screens(place, &[]), place, "nothing is known");
        }
        let goes = [
            place([5000, 600], None),
            place([900, 2000], Some([0, 0])),
            place([1900, 1000], Some([-700, 0])),
            place([900, 600], Some([4000, 100])),
            place([900, 600], Some([-890, 100])),
            // Its upper edge is above the screen: nothing to take hold of.
            place([900, 600], Some([100, -40])),
        ];
        for place in goes {
            let default = WindowPlace { sidebar_width: 333, ..WindowPlace::default() };
            assert_eq!(on_screens(place, &screens), default, "{place:?}");
        }
    }

    #[test]
    fn what_is_noted_is_where_the_window_goes_back_to() {
        let before = place([900, 600], Some([1, 2]));
        let mut viewport = egui::ViewportInfo {
            inner_rect: Some(screen(5.0, 25.0, 400.0, 300.0)),
            outer_rect: Some(screen(4.0, 4.0, 402.0, 322.0)),
            ..Default::default()
        };
        let noted = standing(before, &viewport, 2.0);
        assert_eq!((noted.size, noted.position), ([800, 600], Some([8, 8])), "in system points");
        assert_eq!(noted.sidebar_width, 333);
        viewport.maximized = Some(true);
        let noted = standing(before, &viewport, 1.0);
        assert_eq!(noted, WindowPlace { is_maximized: true, ..before });
        viewport.minimized = Some(true);
        assert_eq!(standing(before, &viewport, 1.0), before);
        assert_eq!(standing(before, &egui::ViewportInfo::default(), 1.0), before);
    }
}
