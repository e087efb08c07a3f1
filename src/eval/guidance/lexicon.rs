//! A second opinion on sentiment that was fitted to nothing: two lists of words, written by hand.

use super::judge::words;

const PRAISE: &str = "amazing beautiful beautifully best brave brilliant captivating charming clever \
    compelling delight delighted delightful dazzling elegant enchanted enchanting enjoy enjoyed \
    enjoyable excellent exciting exquisite fascinating fine flawless fresh fun funny gem generous \
    gentle glad glorious glowing gorgeous graceful great gripped gripping heartbreaking heartfelt \
    hilarious honest humane inspired inspiring joy joyful kind laugh laughed laughing love loved \
    lovely magnificent marvel marvellous masterful masterpiece memorable moved moving perfect \
    perfectly pleasure poetic powerful precise recommend remarkable rich satisfying sharp smile \
    smiling splendid spellbinding stirring stunning stylish subtle superb superbly sweet tender \
    terrific thoughtful thrilled thrilling touched touching treasure triumph unforgettable vivid \
    warm warmth wise wit witty wonderful wonderfully";

const PAN: &str = "absurd annoying awful awkward bad badly banal bland bloated bore bored boredom \
    boring careless charmless cheap cheaply clumsy cold confused confusing copied copy dead \
    disappointed disappointing dreadful dreary dull embarrassing empty endless fails failure fake \
    fell flat foolish forced forgettable ghastly grating half-baked hated headache hollow \
    insufferable irritating lame lazy lifeless lost mediocre mess messy mindless monotonous nonsense \
    noisy nobody nothing overlong painful pale pathetic pity plodding pointless poor poorly \
    predictable preachy pretentious ridiculous routine sadly shallow shoddy shrill silly slow sloppy \
    smug sluggish soulless stale stiff stupid sugary terrible tedious thin tired tiresome trite \
    ugly unconvincing uninspired unfunny wasted waste weak wooden worn worse worst wrong yawn";

/// Words of praise less words of blame, over both and one: from −1 to 1.
pub fn sentiment(text: &str) -> f64 {
    let of = |list: &str, word: &String| list.split_whitespace().any(|listed| listed == word);
    let (mut praise, mut pan) = (0.0, 0.0);
    for word in words(text) {
        praise += f64::from(u8::from(of(PRAISE, &word)));
        pan += f64::from(u8::from(of(PAN, &word)));
    }
    (praise - pan) / (praise + pan + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_words_and_no_word_is_on_both_lists() {
        assert_eq!(sentiment("A wonderful, wonderful film"), 0.5);
        assert_eq!(sentiment("Dull, but with one fine scene"), 0.0);
        assert!((sentiment("a tedious mess") + 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(sentiment("There is a film."), 0.0);
        let praise: Vec<&str> = PRAISE.split_whitespace().collect();
        let mut all: Vec<&str> = PAN.split_whitespace().chain(praise).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
