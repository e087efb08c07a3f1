//! The bar at the bottom: what the engine does, how fast the reply is, why it ended, how full the
//! context is, the draft included.

use egui::{Align, Layout, Rect, RichText, Sense, Ui, vec2};

use super::engine_state::{EngineState, Mood, reason_words};
use super::theme::{self, space, tokens};
use super::words;

/// How full the context is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextUse {
    /// Tokens of the conversation and the draft, as the chat template writes them.
    pub used: usize,
    /// How many of them the draft adds.
    pub draft: usize,
    /// Positions the model's cache has.
    pub capacity: usize,
}

/// Draws the bar.
pub fn status_ui(ui: &mut Ui, engine: &EngineState, context: Option<ContextUse>) {
    ui.style_mut().override_text_style = Some(egui::TextStyle::Small);
    ui.spacing_mut().item_spacing.x = space::M;
    ui.horizontal_centered(|ui| {
        let wide = ui.available_width() > 620.0;
        state_ui(ui, engine);
        if wide {
            figures_ui(ui, engine);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(context) = context {
                meter_ui(ui, context);
            }
        });
    });
}

/// A dot whose shape tells the mood, and the words.
fn state_ui(ui: &mut Ui, engine: &EngineState) {
    let colors = tokens(ui);
    let (mood, words) = engine.words();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (rect, _) = ui.allocate_exact_size(vec2(10.0, 14.0), Sense::hover());
        let painter = ui.painter();
        match mood {
            Mood::Idle => painter.circle_filled(rect.center(), 4.0, colors.good),
            Mood::Busy => {
                let square = Rect::from_center_size(rect.center(), vec2(8.0, 8.0));
                painter.rect_filled(square, 2.0, colors.accent)
            }
            Mood::Missing => {
                let stroke = egui::Stroke::new(theme::ICON_STROKE, colors.text_faint);
                painter.circle_stroke(rect.center(), 3.5, stroke)
            }
        };
        ui.label(RichText::new(words).color(colors.text)).on_hover_text("What the engine is doing");
    });
}

fn figures_ui(ui: &mut Ui, engine: &EngineState) {
    let (rate, first, reason) = match (&engine.reply, &engine.last) {
        (Some(reply), _) => (reply.tokens_per_sec(), reply.first_token_secs(), None),
        (None, Some(last)) => (
            last.tokens_per_sec(),
            Some(last.timings.first_token_secs),
            Some(reason_words(&last.reason)),
        ),
        (None, None) => (None, None, None),
    };
    if let Some(rate) = rate {
        ui.weak(format!("{rate:.1} tokens/s")).on_hover_text("Tokens per second after the first");
    }
    if let Some(first) = first {
        ui.weak(format!("First token {}", words::seconds(first)))
            .on_hover_text("From sending to the first token of the reply");
    }
    if let Some(reason) = reason {
        ui.weak(reason).on_hover_text("Why the last reply ended");
    }
}

/// A bar with the conversation filled and the draft outlined, and the figures beside it.
fn meter_ui(ui: &mut Ui, context: ContextUse) {
    let colors = tokens(ui);
    let share = |tokens: usize| (tokens as f32 / context.capacity.max(1) as f32).min(1.0);
    let full = context.used >= context.capacity;
    let figures = format!(
        "{} of {} tokens",
        words::count(context.used as u64),
        words::count(context.capacity as u64)
    );
    let hover = if full {
        "More than the context holds; start a new conversation or shorten the message".to_owned()
    } else {
        format!(
            "Context in use; your draft takes {}",
            words::plural(context.draft as u64, "token", "tokens")
        )
    };
    let ink = if full { colors.danger } else { colors.text_weak };
    let text = if full { format!("{figures}, full") } else { figures };
    ui.label(RichText::new(&text).color(ink)).on_hover_text(&hover);
    let (rect, response) = ui.allocate_exact_size(vec2(96.0, 14.0), Sense::hover());
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, "Context");
        info.current_text_value = Some(text.clone());
        info
    });
    let bar = Rect::from_center_size(rect.center(), vec2(rect.width(), 6.0));
    let part = |from: f32, to: f32| {
        Rect::from_x_y_ranges(
            bar.left() + from * bar.width()..=bar.left() + to * bar.width(),
            bar.y_range(),
        )
    };
    let painter = ui.painter();
    painter.rect_filled(bar, 3.0, colors.control);
    let settled = share(context.used.saturating_sub(context.draft));
    let fill = if full { colors.danger } else { colors.accent };
    painter.rect_filled(part(0.0, settled), 3.0, fill);
    let drafted = part(settled, share(context.used));
    if drafted.width() > 0.0 {
        painter.rect_filled(drafted, 3.0, fill.gamma_multiply(0.45));
    }
    response.on_hover_text(hover);
}
