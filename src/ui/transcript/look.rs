//! Type sizes and measures of the transcript, from the window's style and theme.

use egui::{FontFamily, FontId, TextStyle, Ui};

use crate::ui::theme::{self, Tokens};

/// Fonts and colours for one frame.
#[derive(Debug, Clone)]
pub struct Look {
    pub tokens: Tokens,
    pub body: FontId,
    pub strong: FontId,
    pub code: FontId,
    pub small: FontId,
    /// Distance between the lines of running text, in points.
    pub line_height: f32,
}

impl Look {
    /// The look in this `ui`.
    pub fn of(ui: &Ui) -> Self {
        let size = TextStyle::Body.resolve(ui.style()).size.max(14.0) + 1.0;
        Self {
            tokens: *theme::tokens(ui),
            body: FontId::new(size, FontFamily::Proportional),
            strong: theme::strong_font(ui, size),
            code: FontId::new(size - 2.0, FontFamily::Monospace),
            small: FontId::new(size - 3.0, FontFamily::Proportional),
            line_height: (size * 1.5).round(),
        }
    }

    /// The same for a heading of this level.
    pub fn heading(&self, level: u8) -> Self {
        let scale = match level {
            1 => 1.5,
            2 => 1.28,
            3 => 1.12,
            _ => 1.0,
        };
        let size = (self.body.size * scale).round();
        let strong = FontId::new(size, self.strong.family.clone());
        let mut tokens = self.tokens;
        tokens.text = tokens.text_strong;
        Self {
            tokens,
            body: strong.clone(),
            strong,
            code: FontId::new(size - 2.0, FontFamily::Monospace),
            small: self.small.clone(),
            line_height: (size * 1.35).round(),
        }
    }
}
