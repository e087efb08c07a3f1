//! The tree as a PNG: the shapes of the screen, filled into a picture of their own size.

use std::collections::HashMap;
use std::io::Cursor;

use anyhow::{Context as _, Result};
use egui::epaint::{Primitive, Vertex};
use egui::{
    ColorImage, Context, ImageData, LayerId, Pos2, RawInput, Rect, TextureId, Vec2, ViewportId,
    vec2,
};
use image::{ExtendedColorType, ImageFormat};

use super::layout::{NODE, extent, place};
use super::paint;
use crate::decode::search::Boundary;
use crate::ui::theme::{self, Tokens};

/// Room around the tree, in points.
const MARGIN: f32 = 16.0;
/// Pixels of a point, while the picture stays below the most pixels.
const SCALE: f32 = 2.0;
const MOST_PIXELS: f32 = 4.0e7;

/// The whole tree, on the light ground whatever the window shows.
///
/// # Errors
/// When the picture cannot be encoded.
pub fn as_png(boundaries: &[Boundary]) -> Result<Vec<u8>> {
    let Picture { size, pixels } = picture(boundaries);
    let [width, height] = size.map(|side| side as u32);
    let mut out = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut out,
        pixels.as_flattened(),
        width,
        height,
        ExtendedColorType::Rgba8,
        ImageFormat::Png,
    )
    .context("the picture cannot be encoded")?;
    Ok(out.into_inner())
}

/// Opaque pixels, row by row.
struct Picture {
    size: [usize; 2],
    pixels: Vec<[u8; 4]>,
}

fn picture(boundaries: &[Boundary]) -> Picture {
    let placed = place(boundaries);
    let [width, height] = extent(&placed);
    let size = vec2(width, height) + Vec2::splat(2.0 * MARGIN);
    let scale = scale_for(size);
    let colors = Tokens::for_dark(false);
    let screen = Rect::from_min_size(Pos2::ZERO, size);
    let context = Context::default();
    theme::install(&context);
    let mut input =
        RawInput { screen_rect: Some(screen), max_texture_side: Some(8192), ..RawInput::default() };
    input.viewports.entry(ViewportId::ROOT).or_default().native_pixels_per_point = Some(scale);
    let mut output = context.run_ui(input, |ui| {
        let painter = ui.ctx().layer_painter(LayerId::background());
        let corner = |at: [f32; 2]| Pos2::new(at[0] + MARGIN, at[1] + MARGIN);
        let node = vec2(NODE[0], NODE[1]);
        paint::edges(&painter, screen, &placed, corner, node, colors);
        for one in &placed {
            let at = Rect::from_min_size(corner(one.at), node);
            paint::node(&painter, at, one, 1.0, colors.raised, colors);
        }
    });
    let mut textures: HashMap<TextureId, ColorImage> = HashMap::new();
    let deltas = output.textures_delta.set.iter();
    for (id, delta) in deltas.flat_map(|(id, deltas)| deltas.iter().map(move |delta| (id, delta))) {
        let ImageData::Color(patch) = &delta.image;
        match (delta.pos, textures.get_mut(id)) {
            (Some([x, y]), Some(held)) => {
                for (line, row) in patch.pixels.chunks_exact(patch.size[0]).enumerate() {
                    let from = (y + line) * held.size[0] + x;
                    held.pixels[from..from + row.len()].copy_from_slice(row);
                }
            }
            _ => {
                textures.insert(*id, ColorImage::clone(patch));
            }
        }
    }
    // All of it was taken; what is dropped unread is an error to egui.
    output.textures_delta.clear();
    let scale = output.pixels_per_point;
    let pixels = [(size.x * scale).ceil() as usize, (size.y * scale).ceil() as usize];
    let ground = vec![colors.canvas.to_array(); pixels[0] * pixels[1]];
    let mut image = Picture { size: pixels, pixels: ground };
    for clipped in context.tessellate(output.shapes, scale) {
        let Primitive::Mesh(mesh) = clipped.primitive else { continue };
        let Some(texture) = textures.get(&mesh.texture_id) else { continue };
        for corners in mesh.indices.chunks_exact(3) {
            let corner = |at: usize| mesh.vertices[corners[at] as usize];
            fill(&mut image, texture, [corner(0), corner(1), corner(2)], scale);
        }
    }
    image
}

/// Pixels of a point in a picture of so many points.
fn scale_for(size: Vec2) -> f32 {
    SCALE.min((MOST_PIXELS / (size.x * size.y)).sqrt())
}

/// Fills a triangle; neighbours share no pixel and leave none out (the top left rule).
fn fill(image: &mut Picture, texture: &ColorImage, mut corners: [Vertex; 3], scale: f32) {
    let cross = |a: Vec2, b: Vec2| a.x * b.y - a.y * b.x;
    let area_of = |[a, b, c]: [Vertex; 3]| cross(b.pos - a.pos, c.pos - a.pos) * scale * scale;
    if area_of(corners) < 0.0 {
        corners.swap(1, 2);
    }
    let area = area_of(corners);
    if area <= 0.0 {
        return;
    }
    let at = corners.map(|corner| corner.pos.to_vec2() * scale);
    let least = at[0].min(at[1]).min(at[2]).max(Vec2::ZERO);
    let most = at[0].max(at[1]).max(at[2]);
    let [width, height] = image.size;
    for y in least.y as usize..(most.y.max(0.0).ceil() as usize).min(height) {
        for x in least.x as usize..(most.x.max(0.0).ceil() as usize).min(width) {
            let here = vec2(x as f32 + 0.5, y as f32 + 0.5);
            let mut weights = [0.0; 3];
            let inside = (0..3).all(|corner| {
                let (from, to) = (at[(corner + 1) % 3], at[(corner + 2) % 3]);
                let (edge, weight) = (to - from, cross(to - from, here - from));
                weights[corner] = weight / area;
                let is_top_left = edge.y < 0.0 || edge.y == 0.0 && edge.x > 0.0;
                weight > 0.0 || weight == 0.0 && is_top_left
            });
            if inside {
                let colour = shade(texture, &corners, weights);
                let pixel = &mut image.pixels[y * width + x];
                *pixel = over(colour, *pixel);
            }
        }
    }
}

/// The colour of a triangle at a point: that of its corners times the texture's nearest texel.
fn shade(texture: &ColorImage, corners: &[Vertex; 3], weights: [f32; 3]) -> [u8; 4] {
    let mut uv = Vec2::ZERO;
    let mut channels = [0.0; 4];
    for (corner, weight) in corners.iter().zip(weights) {
        uv += corner.uv.to_vec2() * weight;
        for (sum, channel) in channels.iter_mut().zip(corner.color.to_array()) {
            *sum += weight * f32::from(channel);
        }
    }
    let texel = |along: f32, side: usize| ((along * side as f32) as usize).min(side - 1);
    let [width, height] = texture.size;
    let texel = texture.pixels[texel(uv.y, height) * width + texel(uv.x, width)].to_array();
    std::array::from_fn(|at| (channels[at] * f32::from(texel[at]) / 255.0).round() as u8)
}

/// A premultiplied colour over an opaque one.
fn over(above: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    let left = 255 - u32::from(above[3]);
    let mix =
        |at: usize| (u32::from(above[at]) + (u32::from(below[at]) * left + 127) / 255).min(255);
    std::array::from_fn(|at| mix(at) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::layout::GAP;
    use super::super::layout::tests::demo;
    use super::*;

    #[test]
    fn the_picture_shows_every_candidate_and_the_kept_path() {
        let boundaries = demo(3, 4);
        let bytes = as_png(&boundaries).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let image = picture(&boundaries);
        assert_eq!([read.width() as usize, read.height() as usize], image.size);
        let colors = Tokens::for_dark(false);
        let at = |x: f32, y: f32| {
            let [x, y] = [x + MARGIN, y + MARGIN].map(|along| (along * SCALE) as usize);
            image.pixels[y * image.size[0] + x]
        };
        for column in 0..3 {
            for line in 0..4 {
                let x = column as f32 * (NODE[0] + GAP[0]);
                let y = line as f32 * (NODE[1] + GAP[1]);
                assert_eq!(at(x + 160.0, y + 19.0), colors.raised.to_array(), "inside a candidate");
                assert_eq!(at(x + 80.0, y - 5.0), colors.canvas.to_array(), "between two");
                // Its first line of text.
                let inked =
                    (0..120).flat_map(|dx| (4..18).map(move |dy| (dx, dy))).filter(|(dx, dy)| {
                        at(x + 8.0 + *dx as f32, y + *dy as f32) != colors.raised.to_array()
                    });
                assert!(inked.count() > 40, "no text in {column} {line}");
            }
        }
        let edge = |line: usize| at(0.5, line as f32 * (NODE[1] + GAP[1]) + 19.0);
        assert_eq!(edge(0), colors.accent.to_array(), "the kept path is strong");
        assert_ne!(edge(3), colors.accent.to_array());
    }

    #[test]
    fn a_large_tree_stays_a_picture_that_can_be_held() {
        let [width, height] = extent(&place(&demo(400, 16)));
        let pixels = vec2(width, height) * scale_for(vec2(width, height));
        assert!(pixels.x * pixels.y < 1.01 * MOST_PIXELS && pixels.x > 8000.0, "{pixels:?}");
        assert!(as_png(&[]).is_ok(), "nothing is a small picture");
    }
}
