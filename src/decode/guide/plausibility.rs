//! The base-plausibility filter of DExperts (arXiv 2105.03023): guides may not promote what the
//! base finds implausible.

use crate::decode::ranking::Ranking;

/// Bans every token outside the smallest set whose probability under `base` reaches `mass`; one
/// token is always kept. `steered` and `base` are one row each.
pub fn keep_plausible(steered: &mut [f32], base: &[f32], mass: f32) {
    let max = base.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |id: u32| f64::from(base[id as usize] - max).exp();
    let all: f64 = (0..base.len() as u32).map(weight).sum();
    let target = f64::from(mass) * all;
    let mut keep = vec![false; base.len()];
    let mut ranking = Ranking::new(base);
    let mut kept = 0.0;
    for rank in 0..base.len() {
        let Some(id) = ranking.id(rank) else { break };
        keep[id as usize] = true;
        kept += weight(id);
        if kept >= target {
            break;
        }
    }
    for (score, keep) in steered.iter_mut().zip(keep) {
        if !keep {
            *score = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_smallest_set_that_reaches_the_mass() {
        let base: Vec<f32> = [0.1_f32, 0.5, 0.3, 0.1].iter().map(|p| p.ln()).collect();
        for (mass, kept) in [
            (0.5, &[1][..]),
            (0.6, &[1, 2]),
            (0.85, &[0, 1, 2]),
            (1e-9, &[1]),
            (1.0, &[0, 1, 2, 3]),
        ] {
            let mut steered = vec![7.0; 4];
            keep_plausible(&mut steered, &base, mass);
            let left: Vec<usize> = (0..4).filter(|id| steered[*id] == 7.0).collect();
            assert_eq!(left, kept, "{mass}");
            assert!(steered.iter().all(|z| *z == 7.0 || *z == f32::NEG_INFINITY));
        }
    }
}
