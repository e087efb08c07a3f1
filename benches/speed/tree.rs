//! What a frame with the tree of candidates takes: sixteen candidates at forty rankings, the layout
//! and the shapes of it made anew, as after every ranking.

use std::time::Instant;

use egui::{Context, RawInput, Rect, pos2, vec2};
use tiller::decode::search::{Boundary, Branch};
use tiller::ui::guidance::tree::{TreeState, TreeView, tree_ui};

const ROWS: usize = 16;
const RANKINGS: usize = 40;
const KEPT: usize = 4;
const FRAMES: usize = 50;
/// What a screen of sixty frames a second leaves for one.
const BUDGET_MS: f64 = 1000.0 / 60.0;

pub fn print() {
    let context = Context::default();
    tiller::ui::theme::install(&context);
    println!("The tree of {ROWS} candidates at {RANKINGS} rankings, a frame of 1920 × 500 points");
    let boundaries: Vec<Boundary> = (0..RANKINGS).map(boundary).collect();
    for (name, zoomed_out) in [("as it follows", false), ("all of it in sight", true)] {
        let width = if zoomed_out { 40_000.0 } else { 1920.0 };
        let size = vec2(width, 500.0);
        let input = || RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), size)),
            ..RawInput::default()
        };
        let (mut state, mut commands) = (TreeState::default(), Vec::new());
        let mut slowest = 0.0_f64;
        let mut sum = 0.0;
        for frame in 0..FRAMES {
            let started = Instant::now();
            let view = TreeView { boundaries: &boundaries };
            let mut output =
                context.run_ui(input(), |ui| tree_ui(ui, &view, &mut state, &mut commands));
            // There is no screen to bring letters to.
            output.textures_delta.clear();
            let shapes = context.tessellate(output.shapes, output.pixels_per_point);
            std::hint::black_box(shapes);
            let milliseconds = 1000.0 * started.elapsed().as_secs_f64();
            // The first frames make the letters.
            if frame >= 5 {
                slowest = slowest.max(milliseconds);
                sum += milliseconds;
            }
        }
        let mean = sum / (FRAMES - 5) as f64;
        println!("{name:<20} {mean:>7.2} ms a frame, at most {slowest:.2} (of {BUDGET_MS:.1})");
    }
    println!();
}

fn boundary(number: usize) -> Boundary {
    let branch = |row: usize| Branch {
        node: number * ROWS + row,
        parent: (number > 0).then(|| (number - 1) * ROWS + row % KEPT),
        row,
        ids: vec![7; 5],
        text: format!(" five tokens of a reply {number}.{row}"),
        value: Some(1.0 - row as f32),
        finished: false,
        rank: (row < KEPT).then_some(row),
        tokens: Vec::new(),
    };
    Boundary {
        number,
        tokens: 5 * (number + 1),
        beam_width: KEPT,
        successors: ROWS / KEPT,
        candidates: (0..ROWS).map(branch).collect(),
        without_value: 0,
    }
}
