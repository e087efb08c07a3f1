//! The look: every colour, size and font of the window, and nowhere else.
//!
//! Panels ask [`tokens`] for a colour by what it means, never by what it is.

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle, vec2};

/// Distances between things, in points.
pub mod space {
    pub const XS: f32 = 4.0;
    pub const S: f32 = 8.0;
    pub const M: f32 = 12.0;
    pub const L: f32 = 16.0;
    pub const XL: f32 = 24.0;
}

/// Corner radius of a control.
pub const RADIUS: u8 = 7;
/// Corner radius of a card, dialog or bubble.
pub const RADIUS_CARD: u8 = 12;
/// Widest a line of running text gets before it stops being pleasant to read.
pub const READING_WIDTH: f32 = 760.0;
/// Stroke width of drawn icons.
pub const ICON_STROKE: f32 = 1.5;

const STRONG: &str = "strong";
const TITLE: &str = "title";
const SECTION: &str = "section";

/// Colours by meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tokens {
    /// Behind the transcript.
    pub canvas: Color32,
    /// Side panels and bars.
    pub panel: Color32,
    /// Cards, dialogs, menus.
    pub raised: Color32,
    /// Text fields and wells.
    pub sunken: Color32,
    /// A control at rest, hovered, pressed.
    pub control: Color32,
    pub control_hovered: Color32,
    pub control_pressed: Color32,
    /// Hairlines.
    pub line: Color32,
    /// The edge of an input, strong enough to be found.
    pub outline: Color32,
    pub text: Color32,
    /// Headings and strong text.
    pub text_strong: Color32,
    pub text_weak: Color32,
    /// Only for what need not be read.
    pub text_faint: Color32,
    pub accent: Color32,
    pub accent_hovered: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// A quiet fill for what is selected.
    pub accent_soft: Color32,
    pub good: Color32,
    pub warning: Color32,
    pub warning_soft: Color32,
    pub danger: Color32,
    pub danger_soft: Color32,
    /// Quiet raised areas: the person's own messages, the composer.
    pub surface: Color32,
    /// Code blocks and inline code.
    pub code_surface: Color32,
    /// Words, strings, numbers and comments in code.
    pub code_keyword: Color32,
    pub code_string: Color32,
    pub code_number: Color32,
    pub code_comment: Color32,
    /// Dims what lies behind a dialog.
    pub scrim: Color32,
    pub shadow: Color32,
    /// Behind a token, from likely (first) to unlikely (last).
    pub probability_ramp: [Color32; 5],
    /// Behind a token, from certain (first) to open (last).
    pub entropy_ramp: [Color32; 5],
    /// A reward, from the lowest (first) to the highest (last): orange to blue, which those who see
    /// red and green alike tell apart.
    pub reward_ramp: [Color32; 5],
}

const LIGHT: Tokens = Tokens {
    canvas: Color32::from_rgb(0xfc, 0xfb, 0xf9),
    panel: Color32::from_rgb(0xf4, 0xf2, 0xee),
    raised: Color32::from_rgb(0xff, 0xff, 0xff),
    sunken: Color32::from_rgb(0xff, 0xff, 0xff),
    control: Color32::from_rgb(0xe9, 0xe6, 0xe0),
    control_hovered: Color32::from_rgb(0xdf, 0xdb, 0xd3),
    control_pressed: Color32::from_rgb(0xd3, 0xce, 0xc5),
    line: Color32::from_rgb(0xe4, 0xe0, 0xd9),
    outline: Color32::from_rgb(0xc9, 0xc4, 0xba),
    text: Color32::from_rgb(0x25, 0x2c, 0x30),
    text_strong: Color32::from_rgb(0x12, 0x18, 0x1b),
    text_weak: Color32::from_rgb(0x5b, 0x64, 0x69),
    text_faint: Color32::from_rgb(0x7d, 0x84, 0x87),
    accent: Color32::from_rgb(0x0e, 0x6b, 0x7a),
    accent_hovered: Color32::from_rgb(0x0b, 0x5a, 0x67),
    on_accent: Color32::from_rgb(0xff, 0xff, 0xff),
    accent_soft: Color32::from_rgb(0xdb, 0xeb, 0xed),
    good: Color32::from_rgb(0x2c, 0x7a, 0x4b),
    warning: Color32::from_rgb(0x8f, 0x5a, 0x00),
    warning_soft: Color32::from_rgb(0xfb, 0xf0, 0xd9),
    danger: Color32::from_rgb(0xb3, 0x2d, 0x2a),
    danger_soft: Color32::from_rgb(0xfb, 0xe6, 0xe4),
    surface: Color32::from_rgb(0xe8, 0xee, 0xee),
    code_surface: Color32::from_rgb(0xf3, 0xf1, 0xec),
    code_keyword: Color32::from_rgb(0x0b, 0x5a, 0x84),
    code_string: Color32::from_rgb(0x2a, 0x6a, 0x3c),
    code_number: Color32::from_rgb(0x8a, 0x4a, 0x00),
    code_comment: Color32::from_rgb(0x66, 0x6c, 0x6f),
    scrim: Color32::from_rgba_premultiplied(0x0e, 0x10, 0x11, 0x58),
    shadow: Color32::from_rgba_premultiplied(0, 0, 0, 0x1c),
    probability_ramp: [
        Color32::TRANSPARENT,
        Color32::from_rgb(0xfd, 0xf0, 0xd8),
        Color32::from_rgb(0xfa, 0xd9, 0xa6),
        Color32::from_rgb(0xf5, 0xbe, 0x72),
        Color32::from_rgb(0xeb, 0x9d, 0x48),
    ],
    entropy_ramp: [
        Color32::TRANSPARENT,
        Color32::from_rgb(0xe4, 0xee, 0xf0),
        Color32::from_rgb(0xc4, 0xdd, 0xe2),
        Color32::from_rgb(0x98, 0xc6, 0xcf),
        Color32::from_rgb(0x69, 0xad, 0xb9),
    ],
    reward_ramp: [
        Color32::from_rgb(0xc2, 0x5e, 0x0e),
        Color32::from_rgb(0xe0, 0x9b, 0x5b),
        Color32::from_rgb(0xb9, 0xb5, 0xae),
        Color32::from_rgb(0x6f, 0xa6, 0xd0),
        Color32::from_rgb(0x1f, 0x6f, 0xb2),
    ],
};

const DARK: Tokens = Tokens {
    canvas: Color32::from_rgb(0x15, 0x19, 0x1c),
    panel: Color32::from_rgb(0x1b, 0x20, 0x23),
    raised: Color32::from_rgb(0x22, 0x28, 0x2c),
    sunken: Color32::from_rgb(0x12, 0x16, 0x18),
    control: Color32::from_rgb(0x2a, 0x31, 0x36),
    control_hovered: Color32::from_rgb(0x34, 0x3d, 0x42),
    control_pressed: Color32::from_rgb(0x3f, 0x49, 0x4f),
    line: Color32::from_rgb(0x2b, 0x32, 0x36),
    outline: Color32::from_rgb(0x44, 0x4e, 0x54),
    text: Color32::from_rgb(0xdd, 0xe1, 0xe3),
    text_strong: Color32::from_rgb(0xf3, 0xf5, 0xf6),
    text_weak: Color32::from_rgb(0xa3, 0xad, 0xb2),
    text_faint: Color32::from_rgb(0x7c, 0x87, 0x8d),
    accent: Color32::from_rgb(0x63, 0xc3, 0xd0),
    accent_hovered: Color32::from_rgb(0x81, 0xd3, 0xde),
    on_accent: Color32::from_rgb(0x06, 0x26, 0x2b),
    accent_soft: Color32::from_rgb(0x1f, 0x3a, 0x40),
    good: Color32::from_rgb(0x7c, 0xca, 0x97),
    warning: Color32::from_rgb(0xe6, 0xb5, 0x5c),
    warning_soft: Color32::from_rgb(0x3a, 0x30, 0x1c),
    danger: Color32::from_rgb(0xf0, 0x8a, 0x83),
    danger_soft: Color32::from_rgb(0x42, 0x25, 0x25),
    surface: Color32::from_rgb(0x25, 0x2f, 0x34),
    code_surface: Color32::from_rgb(0x1c, 0x22, 0x25),
    code_keyword: Color32::from_rgb(0x7c, 0xc0, 0xea),
    code_string: Color32::from_rgb(0x93, 0xcc, 0x9b),
    code_number: Color32::from_rgb(0xe4, 0xb0, 0x6a),
    code_comment: Color32::from_rgb(0x8f, 0x99, 0x9e),
    scrim: Color32::from_rgba_premultiplied(0, 0, 0, 0x90),
    shadow: Color32::from_rgba_premultiplied(0, 0, 0, 0x60),
    probability_ramp: [
        Color32::TRANSPARENT,
        Color32::from_rgb(0x3a, 0x2e, 0x1a),
        Color32::from_rgb(0x5a, 0x40, 0x18),
        Color32::from_rgb(0x7d, 0x55, 0x16),
        Color32::from_rgb(0x8c, 0x5a, 0x12),
    ],
    entropy_ramp: [
        Color32::TRANSPARENT,
        Color32::from_rgb(0x1c, 0x32, 0x38),
        Color32::from_rgb(0x1d, 0x47, 0x4f),
        Color32::from_rgb(0x1e, 0x5d, 0x68),
        Color32::from_rgb(0x20, 0x75, 0x83),
    ],
    reward_ramp: [
        Color32::from_rgb(0xe8, 0x8a, 0x3c),
        Color32::from_rgb(0xa8, 0x71, 0x44),
        Color32::from_rgb(0x6a, 0x71, 0x76),
        Color32::from_rgb(0x4a, 0x84, 0xb4),
        Color32::from_rgb(0x5a, 0xb0, 0xf0),
    ],
};

/// The colours of the theme this `ui` is drawn in.
pub fn tokens(ui: &egui::Ui) -> &'static Tokens {
    Tokens::for_dark(ui.visuals().dark_mode)
}

impl Tokens {
    /// The colours of the dark or the light theme.
    pub fn for_dark(dark: bool) -> &'static Self {
        if dark { &DARK } else { &LIGHT }
    }

    /// No colour at all.
    pub const CLEAR: Color32 = Color32::TRANSPARENT;
}

/// The heavier cut of the text font, or the plain one in a context without [`install`].
pub fn strong_font(ui: &egui::Ui, size: f32) -> FontId {
    let font = strong(size);
    let is_bound = ui.fonts(|fonts| fonts.families().contains(&font.family));
    if is_bound { font } else { FontId::proportional(size) }
}

fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

/// The heading of a dialog or of the empty state.
pub fn title() -> TextStyle {
    TextStyle::Name(TITLE.into())
}

/// The heading of a section in a side panel, and anything else that is to stand out a little.
pub fn section() -> TextStyle {
    TextStyle::Name(SECTION.into())
}

/// Fonts and both styles, once at start-up.
pub fn install(context: &egui::Context) {
    context.set_fonts(fonts());
    for theme in [egui::Theme::Light, egui::Theme::Dark] {
        context.set_style_of(theme, style(theme));
    }
    // Zoom has commands of its own, so that the palette and the settings know of it too.
    context.options_mut(|options| options.zoom_with_keyboard = false);
}

/// The fonts egui brings; scripts they lack come from the system's own. There is one weight of text,
/// so what stands out does so by size and by the strong text colour; the family of strong text is
/// kept apart, so that a second weight has its place.
fn fonts() -> egui::FontDefinitions {
    let mut fonts = egui::FontDefinitions::default();
    let text = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    fonts.families.insert(FontFamily::Name(STRONG.into()), text);
    fonts
}

fn style(theme: egui::Theme) -> egui::Style {
    let tokens = Tokens::for_dark(theme == egui::Theme::Dark);
    let mut style = egui::Style {
        visuals: visuals(theme, tokens),
        animation_time: 0.12,
        ..egui::Style::default()
    };
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(12.5)),
        (TextStyle::Body, FontId::proportional(15.0)),
        (TextStyle::Button, FontId::proportional(14.0)),
        (TextStyle::Monospace, FontId::monospace(13.5)),
        (TextStyle::Heading, strong(18.0)),
        (section(), strong(13.5)),
        (title(), strong(22.0)),
    ]
    .into();
    style.drag_value_text_style = TextStyle::Button;
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(space::S, 6.0);
    spacing.button_padding = vec2(10.0, 5.0);
    spacing.interact_size = vec2(36.0, 28.0);
    spacing.window_margin = Margin::same(20);
    spacing.menu_margin = Margin::same(6);
    spacing.slider_rail_height = 4.0;
    spacing.tooltip_width = 320.0;
    spacing.combo_height = 320.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 9.0;
    spacing.icon_spacing = 8.0;
    spacing.scroll = egui::style::ScrollStyle::floating();
    spacing.scroll.bar_width = 8.0;
    style.interaction.tooltip_delay = 0.4;
    style
}

fn visuals(theme: egui::Theme, tokens: &Tokens) -> egui::Visuals {
    let mut visuals = theme.default_visuals();
    let corner = CornerRadius::same(RADIUS);
    let card = CornerRadius::same(RADIUS_CARD);
    let widget = |fill: Color32, edge: Color32, text: Color32| egui::style::WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        corner_radius: corner,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(tokens.panel, tokens.line, tokens.text);
    visuals.widgets.inactive = widget(tokens.control, Tokens::CLEAR, tokens.text);
    visuals.widgets.hovered = widget(tokens.control_hovered, tokens.outline, tokens.text);
    visuals.widgets.active = widget(tokens.control_pressed, tokens.accent, tokens.text);
    visuals.widgets.open = widget(tokens.control_hovered, tokens.outline, tokens.text);
    visuals.selection.bg_fill = tokens.accent_soft;
    visuals.selection.stroke = Stroke::new(1.5, tokens.accent);
    visuals.hyperlink_color = tokens.accent;
    visuals.faint_bg_color = tokens.panel;
    visuals.extreme_bg_color = tokens.sunken;
    visuals.text_edit_bg_color = Some(tokens.sunken);
    visuals.code_bg_color = tokens.code_surface;
    visuals.warn_fg_color = tokens.warning;
    visuals.error_fg_color = tokens.danger;
    visuals.weak_text_color = Some(tokens.text_weak);
    visuals.window_corner_radius = card;
    visuals.menu_corner_radius = CornerRadius::same(10);
    visuals.window_fill = tokens.raised;
    visuals.window_stroke = Stroke::new(1.0, tokens.line);
    visuals.panel_fill = tokens.panel;
    let shadow = egui::Shadow { offset: [0, 6], blur: 24, spread: 0, color: tokens.shadow };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.disabled_alpha = 0.45;
    // A blinking cursor would repaint an idle window twice a second.
    visuals.text_cursor.blink = false;
    visuals.text_cursor.stroke = Stroke::new(2.0, tokens.accent);
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance after WCAG 2.1.
    fn luminance(color: Color32) -> f32 {
        let channel = |value: u8| {
            let value = f32::from(value) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_is_readable_on_every_surface() {
        for tokens in [&LIGHT, &DARK] {
            let surfaces =
                [tokens.canvas, tokens.panel, tokens.raised, tokens.sunken, tokens.surface];
            for surface in surfaces {
                assert!(contrast(tokens.text, surface) >= 7.0, "text on {surface:?}");
                assert!(contrast(tokens.text_weak, surface) >= 4.5, "muted on {surface:?}");
                assert!(contrast(tokens.text_faint, surface) >= 3.0, "faint on {surface:?}");
                assert!(contrast(tokens.accent, surface) >= 4.5, "accent on {surface:?}");
            }
            assert!(contrast(tokens.on_accent, tokens.accent) >= 4.5);
            assert!(contrast(tokens.danger, tokens.danger_soft) >= 4.5);
            assert!(contrast(tokens.warning, tokens.warning_soft) >= 4.5);
            for tint in tokens.probability_ramp.iter().chain(&tokens.entropy_ramp) {
                let behind = if tint.a() == 0 { tokens.canvas } else { *tint };
                assert!(contrast(tokens.text_strong, behind) >= 4.5, "tokens on {tint:?}");
            }
            for code in
                [tokens.code_keyword, tokens.code_string, tokens.code_number, tokens.code_comment]
            {
                assert!(contrast(code, tokens.code_surface) >= 4.5, "{code:?} in code");
            }
        }
    }
}
