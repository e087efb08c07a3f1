//! The invariants of search, weights and mixing (our notes, section 11), and scikit-learn's numbers.

use half::f16;

use super::calibration::{effective, temperature};
use super::distribution::{mix, weights};
use super::search::{Block, nearest};
use super::*;
use crate::platform::random::{Draws, normal};

const WIDTH: usize = 12;

/// Random keys, queries and values.
struct Made {
    keys: Vec<f16>,
    values: Vec<u32>,
    width: usize,
}

fn made(count: usize, seed: u64) -> Made {
    let keys = (0..count * WIDTH).map(|at| f16::from_f32(normal(seed, 0, at as u64))).collect();
    let mut draws = Draws::new(seed, 1);
    Made { keys, values: (0..count).map(|_| draws.below(9) as u32).collect(), width: WIDTH }
}

fn query(seed: u64) -> Vec<f32> {
    (0..WIDTH as u64).map(|at| normal(seed, 9, at)).collect()
}

impl Made {
    fn nearest(&self, query: &[f32], heads: usize, k: usize) -> Vec<Vec<Neighbour>> {
        nearest(&[Block { first: 0, keys: &self.keys }], query, heads, k, &(0..0))
    }

    fn said(&self, query: &[f32], heads: usize, k: usize, temperature: f64) -> Reference {
        let found = self.nearest(query, heads, k);
        Reference::of(&found, temperature, |entry| self.values[entry]).unwrap()
    }

    fn row(&self, at: usize) -> Vec<f32> {
        let row = &self.keys[at * self.width..(at + 1) * self.width];
        row.iter().map(|value| value.to_f32()).collect()
    }

    fn mapped(&self, width: usize, change: impl Fn(usize, &[f32]) -> Vec<f32>) -> Self {
        let rows = (0..self.values.len()).flat_map(|at| change(at, &self.row(at)));
        let keys = rows.map(f16::from_f32).collect();
        Self { keys, values: self.values.clone(), width }
    }
}

fn close(a: &Reference, b: &Reference, tolerance: f64) -> bool {
    a.tokens
        .iter()
        .chain(&b.tokens)
        .all(|(token, _)| (a.probability(*token) - b.probability(*token)).abs() <= tolerance)
}

#[test]
fn neighbours_and_distributions_are_those_of_scikit_learn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/neighbours.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
    let words = |name: &str| -> Vec<u32> {
        data(name).chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let wide = |name: &str| -> Vec<f64> {
        data(name).chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let shape = file.tensor("queries").unwrap().shape().to_vec();
    let (count, width) = (shape[0], shape[1]);
    let keys: Vec<f16> =
        data("keys").chunks(2).map(|b| f16::from_le_bytes(b.try_into().unwrap())).collect();
    let queries: Vec<f32> =
        data("queries").chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let (values, at) = (words("values"), wide("temperature")[0]);
    // In two blocks, as two sources lie.
    let (front, back) = keys.split_at(300 * width);
    let blocks = [Block { first: 0, keys: front }, Block { first: 300, keys: back }];
    for heads in [1, 4] {
        let found_there = words(&format!("found.{heads}"));
        let distances = wide(&format!("distances.{heads}"));
        let said_there = wide(&format!("said.{heads}"));
        let k = found_there.len() / count / heads;
        let vocabulary = said_there.len() / count;
        for number in 0..count {
            let query = &queries[number * width..(number + 1) * width];
            let found = nearest(&blocks, query, heads, k, &(0..0));
            for (head, found) in found.iter().enumerate() {
                let start = (number * heads + head) * k;
                for (at, neighbour) in found.iter().enumerate() {
                    assert_eq!(neighbour.entry, found_there[start + at] as usize);
                    let expected = distances[start + at];
                    assert!((neighbour.distance - expected).abs() <= 1e-9 * expected.max(1.0));
                }
            }
            let said = Reference::of(&found, at, |entry| values[entry]).unwrap();
            for token in 0..vocabulary {
                let expected = said_there[number * vocabulary + token];
                assert!((said.probability(token as u32) - expected).abs() < 1e-5, "{heads}");
            }
        }
    }
}

#[test]
fn a_reference_is_a_distribution_over_what_its_neighbours_say() {
    let store = made(200, 1);
    for (heads, k) in [(1, 8), (4, 8), (3, 1), (1, 500)] {
        let said = store.said(&query(2), heads, k, 3.0);
        let sum: f64 = said.tokens.iter().map(|(_, p)| p).sum();
        let shares: f64 = said.shares.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-6 && (shares - 1.0).abs() < 1e-6);
        assert!(said.tokens.iter().all(|(_, p)| *p >= 0.0));
        assert!(said.shares.len() <= (k * heads).min(200));
        let seen = |token: &u32| said.shares.iter().any(|(e, _)| store.values[*e] == *token);
        assert!(said.tokens.iter().all(|(token, _)| seen(token)));
    }
    // k is clamped, and of nothing nothing is said.
    assert_eq!(store.nearest(&query(2), 1, 9999)[0].len(), 200);
    assert!(made(0, 1).nearest(&query(2), 1, 5)[0].is_empty());
    assert!(Reference::of(&[Vec::new()], 1.0, |_| 0).is_none());
    assert!(store.nearest(&query(2), 1, 0)[0].is_empty());
}

#[test]
fn the_ends_of_k_and_temperature_are_the_nearest_and_the_frequencies() {
    let store = made(120, 3);
    let asked = query(4);
    let first = store.values[store.nearest(&asked, 1, 1)[0][0].entry];
    for temperature in [1e-3, 1.0, 1e6] {
        assert_eq!(store.said(&asked, 1, 1, temperature).tokens, [(first, 1.0)]);
    }
    // A query that is a key: all mass on its value.
    assert_eq!(store.said(&store.row(7), 1, 1, 2.0).tokens, [(store.values[7], 1.0)]);
    assert!(store.nearest(&store.row(7), 1, 1)[0][0].distance == 0.0);
    assert!(store.said(&asked, 1, 30, 1e-9).probability(first) > 1.0 - 1e-9);
    assert!((store.said(&asked, 1, 30, 0.0).probability(first) - 1.0).abs() < 1e-12);
    let flat = store.said(&asked, 1, 120, 1e12);
    for token in 0..9 {
        let share = store.values.iter().filter(|value| **value == token).count() as f64 / 120.0;
        assert!((flat.probability(token) - share).abs() < 1e-9);
    }
}

#[test]
fn order_copies_shifts_scales_and_rotations_change_only_what_they_should() {
    let store = made(90, 5);
    let asked = query(6);
    let said = store.said(&asked, 1, 12, 4.0);
    let split = store.said(&asked, 4, 12, 4.0);

    let mut turned = store.mapped(WIDTH, |at, _| store.row(89 - at));
    turned.values.reverse();
    assert!(close(&turned.said(&asked, 1, 12, 4.0), &said, 1e-12));
    let mut twice = store.mapped(WIDTH, |_, row| row.to_vec());
    twice.keys.extend(store.keys.clone());
    twice.values.extend(store.values.clone());
    assert!(close(&twice.said(&asked, 1, 24, 4.0), &said, 1e-12));

    // By amounts that half precision holds exactly.
    let shifted = store.mapped(WIDTH, |_, row| row.iter().map(|v| v * 2.0).collect());
    let wider: Vec<f32> = asked.iter().map(|v| v * 2.0).collect();
    assert!(close(&shifted.said(&wider, 1, 12, 16.0), &said, 1e-12), "scale by c, T by c squared");
    let coarse =
        store.mapped(WIDTH, |_, row| row.iter().map(|v| (v * 32.0).round() / 32.0).collect());
    let moved = coarse.mapped(WIDTH, |_, row| row.iter().map(|v| v + 4.0).collect());
    let asked_coarse: Vec<f32> = asked.iter().map(|v| (v * 32.0).round() / 32.0).collect();
    let asked_moved: Vec<f32> = asked_coarse.iter().map(|v| v + 4.0).collect();
    for heads in [1, 4] {
        let here = coarse.said(&asked_coarse, heads, 12, 4.0);
        assert!(close(&moved.said(&asked_moved, heads, 12, 4.0), &here, 1e-9));
    }

    // Coordinates swapped within their slices: nothing changes. Signs and places over slices (an
    // orthogonal map that is exact): a single head sees the same, several do not.
    let within = |row: &[f32]| -> Vec<f32> {
        row.chunks(3).flat_map(|slice| slice.iter().rev().copied()).collect()
    };
    let inside = store.mapped(WIDTH, |_, row| within(row));
    assert!(close(&inside.said(&within(&asked), 1, 12, 4.0), &said, 1e-9));
    assert!(close(&inside.said(&within(&asked), 4, 12, 4.0), &split, 1e-9));
    let over = |row: &[f32]| -> Vec<f32> { (0..WIDTH).map(|at| -row[at * 5 % WIDTH]).collect() };
    let rotated = store.mapped(WIDTH, |_, row| over(row));
    assert!(close(&rotated.said(&over(&asked), 1, 12, 4.0), &said, 1e-9));
    assert!(!close(&rotated.said(&over(&asked), 4, 12, 4.0), &split, 1e-3));
}

#[test]
fn several_heads_add_up_to_the_whole_vector() {
    let store = made(60, 7);
    let asked = query(8);
    assert_eq!(store.nearest(&asked, 1, 60).len(), 1);
    let whole = &store.nearest(&asked, 1, 60)[0];
    let parts = store.nearest(&asked, 4, 60);
    for neighbour in whole {
        let of_entry = |found: &Vec<Neighbour>| {
            found.iter().find(|n| n.entry == neighbour.entry).unwrap().distance
        };
        let sum: f64 = parts.iter().map(of_entry).sum();
        assert!((sum - neighbour.distance).abs() < 1e-9);
    }
    // Equal slices: several heads on the copies are one head on the whole.
    let narrow = made(60, 9);
    let copies = narrow.mapped(WIDTH * 4, |_, row| row.repeat(4));
    let asked_copies = asked.repeat(4);
    let one = copies.said(&asked_copies, 1, 10, 5.0);
    assert!(close(&copies.said(&asked_copies, 4, 10, 5.0), &one, 1e-9));
}

#[test]
fn weights_stay_whole_however_far_everything_is() {
    let at = |distances: &[f64]| -> Vec<Neighbour> {
        let with_entry = distances.iter().enumerate();
        with_entry.map(|(entry, distance)| Neighbour { entry, distance: *distance }).collect()
    };
    let near = weights(&at(&[0.0, 1.0, 2.5]), 1, 1.0);
    let far = weights(&at(&[1e8, 1e8 + 1.0, 1e8 + 2.5]), 1, 1.0);
    for (a, b) in near.iter().zip(&far) {
        assert!((a - b).abs() < 1e-7 && b.is_finite());
    }
    assert!((far.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(weights(&at(&[5.0, 5.0]), 1, 0.0), [0.5, 0.5]);
    // Nearer is never less, flatter never less even.
    let before = weights(&at(&[1.0, 2.0, 3.0]), 1, 1.0);
    let after = weights(&at(&[1.0, 1.5, 3.0]), 1, 1.0);
    assert!(after[1] >= before[1]);
    let mut last = 0.0;
    for temperature in [0.1, 0.5, 1.0, 4.0, 50.0] {
        let count = effective(&weights(&at(&[1.0, 2.0, 3.0]), 1, temperature));
        assert!(count >= last);
        last = count;
    }
}

#[test]
fn the_temperature_makes_the_root_of_k_neighbours_count() {
    let store = made(400, 11);
    let queries: Vec<Vec<Neighbour>> =
        (0..40).map(|seed| store.nearest(&query(100 + seed), 1, 32).remove(0)).collect();
    let chosen = temperature(&queries, 32).unwrap();
    let mut counts: Vec<f64> = queries.iter().map(|q| effective(&weights(q, 1, chosen))).collect();
    counts.sort_by(f64::total_cmp);
    assert!((counts[20] - 32_f64.sqrt()).abs() < 0.05, "{}", counts[20]);
    assert_eq!(temperature(&[], 32), None);
    assert_eq!(temperature(&[vec![Neighbour { entry: 0, distance: 3.0 }]], 32), Some(1.0));
}

#[test]
fn the_gate_is_open_near_and_closed_far() {
    let near = Quantiles([1.0, 4.0, 9.0, 16.0, 25.0]);
    let far = Quantiles([100.0, 121.0, 144.0, 169.0, 196.0]);
    let calibration = Calibration { temperature: 1.0, k: 32, near, far, entries: 9 };
    assert!(calibration.gate(0.0, 0.5) > 0.99 && calibration.gate(4.0, 0.5) > 0.99);
    assert!(calibration.gate(100.0, 0.5) < 0.01 && calibration.gate(1e9, 0.5) == 0.0);
    let odd = Calibration { near: far, far: near, ..calibration };
    assert!(calibration.gate(40.0, 0.8) > calibration.gate(40.0, 0.5), "a later middle opens it");
    assert!(odd.gate(0.0, 0.5) > 0.5 && odd.gate(1e4, 0.5) < 0.5);
}

fn probabilities(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raw: Vec<f64> = logits.iter().map(|z| f64::from(z - max).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|p| p / sum).collect()
}

fn log_mass(logits: &[f32]) -> f32 {
    logits.iter().map(|z| f64::from(*z).exp()).sum::<f64>().ln() as f32
}

#[test]
fn mixing_keeps_its_bounds_and_off_is_exact() {
    let logits: Vec<f32> = (0..9).map(|at| 2.0 * normal(1, 2, at)).collect();
    let (own, mass) = (probabilities(&logits), log_mass(&logits));
    let store = made(50, 13);
    let (a, b) = (store.said(&query(14), 1, 6, 2.0), store.said(&query(15), 2, 6, 2.0));
    let mixed = |references: &[(f64, &Reference)]| {
        let mut logits = logits.clone();
        mix(&mut logits, mass, references);
        logits
    };
    assert_eq!(mixed(&[]), logits);
    assert_eq!(mixed(&[(0.0, &a), (0.0, &b)]), logits, "to the bit");
    for lambda in [0.1, 0.5, 0.9, 1.0] {
        let p = probabilities(&mixed(&[(lambda, &a)]));
        let expected =
            |token: usize| (1.0 - lambda) * own[token] + lambda * a.probability(token as u32);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        for (token, p) in p.iter().enumerate() {
            assert!((p - expected(token)).abs() < 1e-6, "{lambda} {token}");
            assert!(*p >= (1.0 - lambda) * own[token] - 1e-7);
        }
        let apart: f64 = p.iter().zip(&own).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
        assert!(apart <= lambda + 1e-6);
        // So what was said at all costs at most −ln(1 − λ).
        for (p, own) in p.iter().zip(&own) {
            assert!(lambda == 1.0 || -p.ln() <= -own.ln() - (1.0 - lambda).ln() + 1e-5);
        }
    }
    let both = probabilities(&mixed(&[(0.3, &a), (0.2, &b)]));
    assert_eq!(mixed(&[(0.3, &a), (0.2, &b)]), mixed(&[(0.2, &b), (0.3, &a)]), "no order");
    for (token, p) in both.iter().enumerate() {
        let t = token as u32;
        let expected = 0.5 * own[token] + 0.3 * a.probability(t) + 0.2 * b.probability(t);
        assert!((p - expected).abs() < 1e-6);
    }
    // More than a whole is shared out.
    let shared = probabilities(&mixed(&[(0.9, &a), (0.9, &b)]));
    let expected = |t: usize| 0.5 * a.probability(t as u32) + 0.5 * b.probability(t as u32);
    assert!(shared.iter().enumerate().all(|(t, p)| (p - expected(t)).abs() < 1e-6));

    let best = |p: &[f64]| (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
    let sure = Reference { tokens: vec![(4, 1.0)], shares: vec![(0, 1.0)] };
    assert_eq!(best(&probabilities(&mixed(&[(0.51, &sure)]))), 4);
    let agreed = Reference { tokens: vec![(best(&own) as u32, 1.0)], shares: vec![(0, 1.0)] };
    for lambda in [0.05, 0.5, 1.0] {
        assert_eq!(best(&probabilities(&mixed(&[(lambda, &agreed)]))), best(&own));
    }
    // A value from a larger vocabulary is no panic.
    let foreign = Reference { tokens: vec![(999, 1.0)], shares: vec![(0, 1.0)] };
    assert!(mixed(&[(0.5, &foreign)]).iter().all(|z| z.is_finite()));
}
