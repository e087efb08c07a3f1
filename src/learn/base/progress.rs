//! The progress line: loss, rate and an estimate from the rate of the last steps.

use std::collections::VecDeque;

use super::schedule::Length;

/// Steps the rate is measured over: enough to be steady, few enough to follow the machine.
const WINDOW: usize = 50;

/// Watches steps go by.
pub struct Progress {
    length: Length,
    recent: VecDeque<(f64, u64)>,
    loss: Option<f64>,
}

impl Progress {
    pub fn new(length: Length) -> Self {
        Self { length, recent: VecDeque::new(), loss: None }
    }

    /// Takes in a finished step: its loss, how long it took and how many tokens it saw.
    pub fn step(&mut self, loss: f64, seconds: f64, tokens: u64) {
        self.recent.push_back((seconds, tokens));
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        self.loss = Some(self.loss.map_or(loss, |mean| mean + 0.05 * (loss - mean)));
    }

    /// The loss, smoothed over about twenty steps.
    pub fn loss(&self) -> f64 {
        self.loss.unwrap_or(f64::NAN)
    }

    /// Tokens per second lately.
    pub fn tokens_per_second(&self) -> f64 {
        let seconds: f64 = self.recent.iter().map(|(s, _)| s).sum();
        self.recent.iter().map(|(_, t)| *t as f64).sum::<f64>() / seconds.max(1e-9)
    }

    /// One line for the terminal.
    pub fn line(&self, steps: u64, seconds: f64) -> String {
        let spent: f64 = self.recent.iter().map(|(s, _)| s).sum();
        let per_step = spent / self.recent.len().max(1) as f64;
        let left = self.length.seconds_left(steps, seconds, per_step);
        let percent = 100.0 * self.length.fraction(steps, seconds);
        format!(
            "step {steps}  {percent:.0} %  loss {:.3}  {:.0} tokens/s  about {} left",
            self.loss(),
            self.tokens_per_second(),
            duration(left)
        )
    }
}

/// Seconds as a person would say them.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s @ 0..=99 => format!("{s} s"),
        s @ 100..=5999 => format!("{} min", (s + 30) / 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_recent_steps() {
        let mut progress = Progress::new(Length::Steps(200));
        for _ in 0..60 {
            progress.step(4.0, 10.0, 100);
        }
        for _ in 0..50 {
            progress.step(2.0, 2.0, 100);
        }
        assert_eq!(progress.tokens_per_second(), 50.0);
        let line = progress.line(110, 700.0);
        assert!(line.contains("about 3 min left") && line.contains("55 %"), "{line}");
    }
}
