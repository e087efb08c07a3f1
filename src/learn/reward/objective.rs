//! The losses that rewards are trained with, their slopes, and where in two answers they are read.

use super::texts::Text;

/// The pairwise loss of a margin, `-log sigmoid(margin)`, and its slope `-sigmoid(-margin)`
/// (spec section 8.1).
pub fn pairwise(margin: f64) -> (f64, f64) {
    // Never the exponential of a large number.
    let smaller = (-margin.abs()).exp();
    let loss = (-margin).max(0.0) + smaller.ln_1p();
    let slope = match margin >= 0.0 {
        true => -smaller / (1.0 + smaller),
        false => -1.0 / (1.0 + smaller),
    };
    (loss, slope)
}

/// The squared error of a rating and its slope.
pub fn rating(reward: f64, wanted: f64) -> (f64, f64) {
    ((reward - wanted).powi(2), 2.0 * (reward - wanted))
}

/// Positions of two answers to the same prompt at which as many of each answer's ids have been
/// seen: `count` of them, evenly spread over the shorter answer, and where the answers part, which
/// is where decoding has to choose. Before that there is nothing to compare, and such positions are
/// left out.
pub fn aligned(pair: [&Text; 2], count: usize) -> Vec<[usize; 2]> {
    if count == 0 {
        return Vec::new();
    }
    let answers = pair.map(|text| &text.ids[text.answer..]);
    let shorter = answers[0].len().min(answers[1].len());
    let same = answers[0].iter().zip(answers[1]).take_while(|(a, b)| a == b).count();
    let parting = same + 1;
    let spread = (1..=count).map(|step| step * shorter / (count + 1));
    let behind = spread.filter(|seen| *seen > parting);
    let mut seen: Vec<usize> =
        [parting].into_iter().filter(|seen| *seen <= shorter).chain(behind).collect();
    seen.dedup();
    // Both at their ends is what is compared anyway.
    seen.retain(|seen| answers.iter().any(|answer| *seen < answer.len()));
    seen.into_iter().map(|seen| pair.map(|text| text.answer + seen - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec section 11, invariant 15.
    #[test]
    fn the_pairwise_loss_is_the_spec_s() {
        let (loss, slope) = pairwise(0.0);
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-15 && (slope + 0.5).abs() < 1e-15);
        for margin in [-800.0, -30.0, -2.0, -0.1, 0.3, 4.0, 800.0] {
            let (loss, slope) = pairwise(margin);
            assert!(loss.is_finite() && (-1.0..=0.0).contains(&slope), "{margin}");
            // Swapping winner and loser negates the margin: the losses differ by it.
            assert!((pairwise(-margin).0 - loss - margin).abs() < 1e-12 * margin.abs().max(1.0));
            let step = 1e-5;
            let measured = (pairwise(margin + step).0 - pairwise(margin - step).0) / (2.0 * step);
            assert!((slope - measured).abs() < 1e-7, "{margin}: {slope} against {measured}");
        }
    }

    #[test]
    fn positions_are_aligned_and_begin_where_the_answers_part() {
        let text = |prompt: usize, answer: &[u32]| {
            let ids = vec![9; prompt].into_iter().chain(answer.iter().copied()).collect();
            Text { ids, answer: prompt }
        };
        let (a, b) = (text(3, &[1, 2, 3, 4, 5, 6]), text(3, &[1, 2, 7, 8, 5, 6, 7, 8]));
        // After 1, 3 and 4 of 6 ids; after one the answers are the same still, after three they part.
        assert_eq!(aligned([&a, &b], 3), [[5, 5], [6, 6]]);
        assert_eq!(aligned([&a, &b], 1), [[5, 5]]);
        assert!(aligned([&a, &b], 0).is_empty());
        // Where they part counts also between two of the evenly spread positions.
        let c = text(3, &[1, 2, 3, 4, 9, 6, 7]);
        assert_eq!(aligned([&a, &c], 2), [[7, 7]]);
        // One ends where the other goes on: the end marker is compared with what is said instead.
        let (short, long) = (text(2, &[1]), text(4, &[2, 3, 4]));
        assert_eq!(aligned([&short, &long], 2), [[2, 4]]);
        assert!(aligned([&short, &text(4, &[2])], 2).is_empty(), "that is their end");
    }
}
