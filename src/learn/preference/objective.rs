//! The losses over margins, and what they are made of.
//!
//! A pair's margin is `(log p − log p_ref)(chosen) − (log p − log p_ref)(rejected)`, in nats.
//! DPO (Rafailov et al. 2023, eq. 7): `−log σ(b·margin)`. IPO (Azar et al. 2023, eq. 17):
//! `(margin − 1/(2b))²`. Likelihood asks nothing of the margin: the chosen answer alone is learnt, and
//! the rejected one only shows how the two have parted.

use serde::{Deserialize, Serialize};

/// Which loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Direct preference optimisation.
    #[default]
    Dpo,
    /// Identity preference optimisation: aims at a margin and holds it.
    Ipo,
    /// Plain fine-tuning on the chosen answers.
    Likelihood,
}

impl Objective {
    /// As a person writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpo => "DPO",
            Self::Ipo => "IPO",
            Self::Likelihood => "likelihood of the chosen answers",
        }
    }

    /// The loss of one margin, and its slope there.
    pub fn loss(self, margin: f64, b: f64) -> (f64, f64) {
        match self {
            Self::Dpo => {
                let x = b * margin;
                // log(1 + e^−x) without overflow on either side.
                let loss = (-x).max(0.0) + (-x.abs()).exp().ln_1p();
                (loss, -b / (1.0 + x.exp()))
            }
            Self::Ipo => {
                let off = margin - 0.5 / b;
                (off * off, 2.0 * off)
            }
            Self::Likelihood => (0.0, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_the_derivatives_far_out_and_at_nought() {
        for (objective, b) in [(Objective::Dpo, 0.3), (Objective::Ipo, 0.1)] {
            for margin in [-3000.0, -2.0, 0.0, 0.4, 25.0, 3000.0] {
                let (loss, slope) = objective.loss(margin, b);
                assert!(loss.is_finite() && slope.is_finite());
                let at = |shift: f64| objective.loss(margin + shift, b).0;
                let difference = (at(1e-4) - at(-1e-4)) / 2e-4;
                assert!((slope - difference).abs() < 1e-6 * slope.abs().max(1.0), "{margin}");
            }
        }
    }

    #[test]
    fn values_are_those_of_the_papers() {
        let (loss, slope) = Objective::Dpo.loss(0.0, 0.1);
        assert!((loss - 2.0_f64.ln()).abs() < 1e-12 && (slope + 0.05).abs() < 1e-12);
        assert_eq!(Objective::Ipo.loss(5.0, 0.1), (0.0, 0.0), "the margin IPO aims at: 1/(2b)");
        assert_eq!(Objective::Ipo.loss(2.0, 0.1), (9.0, -6.0));
        assert_eq!(
            Objective::Likelihood.loss(-3.0, 0.1),
            (0.0, 0.0),
            "it asks nothing of a margin"
        );
    }
}
