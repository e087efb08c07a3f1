//! Simple sums: the one kind of question whose answers are computed rather than written.

use crate::learn::random::Draws;

/// A question with small numbers and its answer.
pub fn question(draws: &mut Draws) -> (String, String) {
    let (a, b) = (draws.below(11), draws.below(11));
    let (word, sign, result) = match draws.below(4) {
        0 | 1 => ("plus", "+", a + b),
        2 => ("minus", "-", a.max(b) - a.min(b)),
        _ => ("times", "*", a * b),
    };
    let (a, b) = if word == "minus" { (a.max(b), a.min(b)) } else { (a, b) };
    let ask = match draws.below(6) {
        0 | 1 => format!("What is {a} {word} {b}?"),
        2 => format!("What is {a} {sign} {b}?"),
        3 => format!("How much is {a} {word} {b}?"),
        4 => format!("{a} {sign} {b} = ?"),
        _ => format!("Can you tell me what {a} {word} {b} is?"),
    };
    (ask, format!("{a} {word} {b} is {result}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_right() {
        let mut draws = Draws::new(4, 0);
        for _ in 0..300 {
            let (ask, answer) = question(&mut draws);
            let words: Vec<&str> = answer.trim_end_matches('.').split(' ').collect();
            let number = |i: usize| words[i].parse::<i64>().unwrap();
            let right = match words[1] {
                "plus" => number(0) + number(2),
                "minus" => number(0) - number(2),
                _ => number(0) * number(2),
            };
            assert_eq!(number(4), right, "{answer}");
            assert!(ask.contains(words[0]) && ask.contains(words[2]), "{ask}");
        }
    }
}
