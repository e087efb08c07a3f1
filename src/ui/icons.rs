//! The window's icons, drawn rather than taken from a font: they are sharp at every zoom and take
//! the colour of the text beside them. None stands without a name for the screen reader.

use egui::{Color32, Painter, Pos2, Rect, Response, Sense, Stroke, Ui, pos2, vec2};

use super::theme::{self, Tokens};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    Plus,
    Search,
    Trash,
    Pencil,
    Close,
    Check,
    Gear,
    More,
    Folder,
    File,
    Copy,
    Undo,
    Stop,
    Pause,
    LeftPanel,
    RightPanel,
    ChevronRight,
    ChevronDown,
    Info,
    Warning,
    Restart,
    ChevronLeft,
    ArrowUp,
    ArrowDown,
    Continue,
    Branch,
    Tokens,
}

impl Icon {
    /// Draws it into a square.
    pub fn paint(self, painter: &Painter, square: Rect, color: Color32) {
        let stroke = Stroke::new(theme::ICON_STROKE, color);
        // Coordinates below are in a 16 by 16 grid.
        let at = |x: f32, y: f32| square.min + vec2(x, y) * (square.width() / 16.0);
        let scale = square.width() / 16.0;
        let line = |points: &[(f32, f32)]| {
            let points: Vec<Pos2> = points.iter().map(|&(x, y)| at(x, y)).collect();
            painter.add(egui::Shape::line(points, stroke));
        };
        let closed = |points: &[(f32, f32)]| {
            let points: Vec<Pos2> = points.iter().map(|&(x, y)| at(x, y)).collect();
            painter.add(egui::Shape::closed_line(points, stroke));
        };
        let frame = |x0: f32, y0: f32, x1: f32, y1: f32, radius: f32| {
            painter.rect_stroke(
                Rect::from_min_max(at(x0, y0), at(x1, y1)),
                radius * scale,
                stroke,
                egui::StrokeKind::Middle,
            );
        };
        let dot = |x: f32, y: f32, radius: f32| {
            painter.circle_filled(at(x, y), radius * scale, color);
        };
        match self {
            Self::Plus => {
                line(&[(8.0, 3.0), (8.0, 13.0)]);
                line(&[(3.0, 8.0), (13.0, 8.0)]);
            }
            Self::Search => {
                painter.circle_stroke(at(7.0, 7.0), 4.2 * scale, stroke);
                line(&[(10.2, 10.2), (13.5, 13.5)]);
            }
            Self::Trash => {
                line(&[(2.8, 4.5), (13.2, 4.5)]);
                line(&[(6.0, 4.5), (6.0, 2.8), (10.0, 2.8), (10.0, 4.5)]);
                line(&[(4.2, 4.5), (4.9, 13.4), (11.1, 13.4), (11.8, 4.5)]);
            }
            Self::Pencil => {
                closed(&[(3.0, 13.0), (3.6, 10.2), (10.8, 3.0), (13.0, 5.2), (5.8, 12.4)]);
            }
            Self::Close => {
                line(&[(4.0, 4.0), (12.0, 12.0)]);
                line(&[(12.0, 4.0), (4.0, 12.0)]);
            }
            Self::Check => line(&[(3.0, 8.5), (6.5, 12.0), (13.0, 4.5)]),
            Self::Gear => {
                painter.circle_stroke(at(8.0, 8.0), 2.2 * scale, stroke);
                painter.circle_stroke(at(8.0, 8.0), 4.6 * scale, stroke);
                for step in 0..8_u8 {
                    let angle = f32::from(step) * std::f32::consts::TAU / 8.0;
                    let (sin, cos) = angle.sin_cos();
                    line(&[(8.0 + 4.6 * cos, 8.0 + 4.6 * sin), (8.0 + 6.6 * cos, 8.0 + 6.6 * sin)]);
                }
            }
            Self::More => {
                dot(3.5, 8.0, 1.2);
                dot(8.0, 8.0, 1.2);
                dot(12.5, 8.0, 1.2);
            }
            Self::Folder => {
                closed(&[
                    (2.2, 12.8),
                    (2.2, 3.4),
                    (6.2, 3.4),
                    (7.6, 5.2),
                    (13.8, 5.2),
                    (13.8, 12.8),
                ]);
            }
            Self::File => {
                closed(&[(3.6, 2.2), (9.4, 2.2), (12.4, 5.2), (12.4, 13.8), (3.6, 13.8)]);
                line(&[(9.2, 2.4), (9.2, 5.4), (12.2, 5.4)]);
            }
            Self::Copy => {
                frame(5.4, 5.4, 13.4, 13.4, 1.5);
                line(&[(10.4, 2.8), (2.8, 2.8), (2.8, 10.4)]);
            }
            Self::Undo => {
                line(&[(6.0, 3.0), (3.0, 6.0), (6.0, 9.0)]);
                line(&[
                    (3.0, 6.0),
                    (9.6, 6.0),
                    (12.0, 7.2),
                    (12.8, 9.4),
                    (12.0, 11.6),
                    (9.6, 12.8),
                ]);
            }
            Self::Stop => {
                painter.rect_filled(
                    Rect::from_min_max(at(4.0, 4.0), at(12.0, 12.0)),
                    1.5 * scale,
                    color,
                );
            }
            Self::Pause => {
                for x in [4.5, 9.0] {
                    let bar = Rect::from_min_max(at(x, 4.0), at(x + 2.5, 12.0));
                    painter.rect_filled(bar, 0.8 * scale, color);
                }
            }
            Self::LeftPanel => {
                frame(2.2, 3.0, 13.8, 13.0, 2.0);
                line(&[(6.4, 3.0), (6.4, 13.0)]);
            }
            Self::RightPanel => {
                frame(2.2, 3.0, 13.8, 13.0, 2.0);
                line(&[(9.6, 3.0), (9.6, 13.0)]);
            }
            Self::ChevronRight => line(&[(6.0, 3.8), (10.2, 8.0), (6.0, 12.2)]),
            Self::ChevronDown => line(&[(3.8, 6.0), (8.0, 10.2), (12.2, 6.0)]),
            Self::Info => {
                painter.circle_stroke(at(8.0, 8.0), 5.8 * scale, stroke);
                line(&[(8.0, 7.4), (8.0, 11.2)]);
                dot(8.0, 5.0, 0.9);
            }
            Self::Warning => {
                closed(&[(8.0, 2.4), (14.2, 13.2), (1.8, 13.2)]);
                line(&[(8.0, 6.4), (8.0, 9.6)]);
                dot(8.0, 11.4, 0.8);
            }
            Self::ChevronLeft => line(&[(10.0, 3.8), (5.8, 8.0), (10.0, 12.2)]),
            Self::ArrowUp => {
                line(&[(8.0, 13.4), (8.0, 2.8)]);
                line(&[(3.5, 7.3), (8.0, 2.8), (12.5, 7.3)]);
            }
            Self::ArrowDown => {
                line(&[(8.0, 2.6), (8.0, 13.2)]);
                line(&[(3.5, 8.7), (8.0, 13.2), (12.5, 8.7)]);
            }
            Self::Continue => {
                line(&[(2.6, 3.4), (2.6, 12.6)]);
                line(&[(5.8, 8.0), (13.6, 8.0)]);
                line(&[(10.2, 4.6), (13.6, 8.0), (10.2, 11.4)]);
            }
            Self::Branch => {
                for (x, y) in [(4.2, 3.6), (4.2, 12.4), (11.8, 5.0)] {
                    painter.circle_stroke(at(x, y), 1.8 * scale, stroke);
                }
                line(&[(4.2, 5.4), (4.2, 10.6)]);
                line(&[(11.8, 6.8), (11.2, 8.4), (9.6, 9.2), (4.2, 9.8)]);
            }
            Self::Tokens => {
                frame(1.8, 3.0, 6.2, 6.8, 1.0);
                frame(8.4, 3.0, 14.2, 6.8, 1.0);
                frame(1.8, 9.2, 8.8, 13.0, 1.0);
                frame(11.0, 9.2, 14.2, 13.0, 1.0);
            }
            Self::Restart => {
                let arc: Vec<(f32, f32)> = (0..=20_u8)
                    .map(|step| {
                        let angle = -0.6 + f32::from(step) / 20.0 * 5.2;
                        (8.0 + 5.0 * angle.cos(), 8.0 + 5.0 * angle.sin())
                    })
                    .collect();
                line(&arc);
                line(&[(12.6, 1.8), (12.6, 5.4), (9.0, 5.4)]);
            }
        }
    }
}

/// A square button that shows an icon; `name` is read aloud and `hover` shown.
pub fn button(ui: &mut Ui, icon: Icon, name: &str, hover: &str) -> Response {
    button_sized(ui, icon, name, hover, 28.0, None)
}

/// The same with its size, and a colour other than the quiet one.
pub fn button_sized(
    ui: &mut Ui,
    icon: Icon,
    name: &str,
    hover: &str,
    size: f32,
    color: Option<Color32>,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(size, size), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, enabled, name));
    if ui.is_rect_visible(rect) {
        let tokens = theme::tokens(ui);
        let fill = if response.is_pointer_button_down_on() {
            tokens.control_pressed
        } else if response.hovered() {
            tokens.control_hovered
        } else {
            Tokens::CLEAR
        };
        ui.painter().rect_filled(rect, f32::from(theme::RADIUS), fill);
        if response.has_focus() {
            ui.painter().rect_stroke(
                rect,
                f32::from(theme::RADIUS),
                Stroke::new(1.5, tokens.accent),
                egui::StrokeKind::Inside,
            );
        }
        let strong = response.hovered() || response.has_focus();
        let resting = if strong { tokens.text } else { tokens.text_weak };
        let color = color.unwrap_or(resting);
        let color = if enabled { color } else { tokens.text_faint };
        icon.paint(ui.painter(), Rect::from_center_size(rect.center(), vec2(16.0, 16.0)), color);
    }
    if hover.is_empty() { response } else { response.on_hover_text(hover) }
}

/// An icon that is only looked at.
pub fn show(ui: &mut Ui, icon: Icon, size: f32, color: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(size, size), Sense::hover());
    icon.paint(
        ui.painter(),
        Rect::from_center_size(pos2(rect.center().x, rect.center().y), vec2(size, size)),
        color,
    );
}
