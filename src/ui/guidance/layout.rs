//! Where the candidates of a search stand: a column per ranking, a line per row. Pure; drawing and
//! both exports read it.

use crate::decode::search::{Boundary, Branch};

/// Size of a node and of the room between nodes, in points at zoom 1.
pub const NODE: [f32; 2] = [168.0, 38.0];
pub const GAP: [f32; 2] = [44.0, 10.0];

/// A candidate and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    pub branch: &'a Branch,
    /// Its upper left corner, in points at zoom 1.
    pub at: [f32; 2],
    /// The upper left corner of the candidate it continues.
    pub parent: Option<[f32; 2]>,
    /// It is on the path of the best candidate of the last ranking.
    pub on_path: bool,
}

/// Places every candidate.
pub fn place(boundaries: &[Boundary]) -> Vec<Placed<'_>> {
    let path = best_path(boundaries);
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for (column, boundary) in boundaries.iter().enumerate() {
        for (line, branch) in boundary.candidates.iter().enumerate() {
            let at = [column as f32 * (NODE[0] + GAP[0]), line as f32 * (NODE[1] + GAP[1])];
            // Nodes are numbered through.
            let parent = branch.parent.and_then(|parent| placed.get(parent)).map(|one| one.at);
            let on_path = path.binary_search(&branch.node).is_ok();
            placed.push(Placed { branch, at, parent, on_path });
        }
    }
    placed
}

/// Width and height of it all.
pub fn extent(placed: &[Placed<'_>]) -> [f32; 2] {
    placed
        .iter()
        .fold([0.0, 0.0], |[x, y], one| [x.max(one.at[0] + NODE[0]), y.max(one.at[1] + NODE[1])])
}

/// A candidate by its number.
pub fn branch_of(boundaries: &[Boundary], node: usize) -> Option<&Branch> {
    boundaries.iter().flat_map(|boundary| &boundary.candidates).find(|one| one.node == node)
}

/// The candidates from the beginning to this one.
pub fn path_to(boundaries: &[Boundary], node: usize) -> Vec<&Branch> {
    let all: Vec<&Branch> = boundaries.iter().flat_map(|boundary| &boundary.candidates).collect();
    let mut path = Vec::new();
    let mut next = Some(node);
    while let Some(branch) = next.and_then(|node| all.get(node)).filter(|_| path.len() < all.len())
    {
        path.push(*branch);
        next = branch.parent;
    }
    path.reverse();
    path
}

fn best_path(boundaries: &[Boundary]) -> Vec<usize> {
    let best = boundaries.last().and_then(|last| last.kept().first().map(|best| best.node));
    let path = best.map(|best| path_to(boundaries, best)).unwrap_or_default();
    path.iter().map(|branch| branch.node).collect()
}

/// One line of a candidate's text, cut to so many characters.
pub fn short_text(branch: &Branch, most: usize) -> String {
    if branch.ids.is_empty() && branch.finished {
        return "(ended)".to_owned();
    }
    let line: String = branch.text.chars().map(|c| if c.is_control() { '↵' } else { c }).collect();
    let mut short: String = line.chars().take(most).collect();
    if line.chars().count() > most {
        short.push('…');
    }
    short
}

/// A value as it is shown.
pub fn value_text(branch: &Branch) -> String {
    branch.value.map_or_else(|| "no number".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two rankings of `rows` rows of which two are kept.
    pub fn demo(columns: usize, rows: usize) -> Vec<Boundary> {
        let kept = 2;
        (0..columns)
            .map(|column| Boundary {
                number: column,
                tokens: 5 * (column + 1),
                beam_width: kept,
                successors: rows / kept,
                candidates: (0..rows)
                    .map(|row| Branch {
                        node: column * rows + row,
                        parent: (column > 0).then(|| (column - 1) * rows + row % kept),
                        row,
                        ids: vec![7],
                        text: format!(" chunk {column}.{row} & <more>"),
                        value: (row != 3).then_some(1.0 - row as f32),
                        finished: false,
                        rank: (row < kept).then_some(row),
                        tokens: Vec::new(),
                    })
                    .collect(),
                without_value: usize::from(rows > 3),
            })
            .collect()
    }

    #[test]
    fn columns_are_rankings_and_the_path_goes_through_all_of_them() {
        let boundaries = demo(3, 4);
        let placed = place(&boundaries);
        assert_eq!(placed.len(), 12);
        assert_eq!(placed[5].at, [NODE[0] + GAP[0], NODE[1] + GAP[1]]);
        assert_eq!(placed[5].parent, Some(placed[1].at));
        let path: Vec<usize> =
            placed.iter().filter(|one| one.on_path).map(|one| one.branch.node).collect();
        assert_eq!(path, [0, 4, 8]);
        assert_eq!(extent(&placed)[0], 3.0 * NODE[0] + 2.0 * GAP[0]);
        let names: Vec<usize> = path_to(&boundaries, 9).iter().map(|one| one.node).collect();
        assert_eq!(names, [1, 5, 9]);
    }

    #[test]
    fn texts_are_short_and_of_one_line() {
        let branch = Branch { text: "one\ntwo three".into(), ids: vec![1], ..Branch::default() };
        assert_eq!(short_text(&branch, 40), "one↵two three");
        assert_eq!(short_text(&branch, 5), "one↵t…");
        let ended = Branch { finished: true, ..Branch::default() };
        assert_eq!(
            (short_text(&ended, 9).as_str(), value_text(&ended).as_str()),
            ("(ended)", "no number")
        );
    }
}
