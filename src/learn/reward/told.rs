//! What a run says while it goes on: lines for a person, steps, and how it does on what was held
//! out.

use std::fmt;

use super::standing::Standing;
use crate::learn::base::progress::duration;

/// One thing told; shown it is a line for the terminal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told<'a> {
    /// Something a person should know.
    Line(&'a str),
    /// A step was taken: of how many, the smoothed standing, and how long the rest takes at the
    /// pace so far.
    Step { steps: u64, of: u64, standing: Standing, seconds_left: f64 },
    /// What was held out, looked at after so many steps.
    Check { steps: u64, standing: Standing },
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line),
            Self::Step { steps, of, standing, seconds_left } => {
                let (said, left) = (standing.phrase(), duration(*seconds_left));
                write!(f, "step {steps} of {of}  {said}  about {left} left")
            }
            Self::Check { steps: 0, standing } => write!(f, "at first: {}", standing.phrase()),
            Self::Check { steps, standing } => {
                write!(f, "after step {steps}: {}", standing.phrase())
            }
        }
    }
}
