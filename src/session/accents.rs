//! Letters without their accents, exactly as the search index leaves them away (SQLite's trigram
//! tokenizer with `remove_diacritics`), so that what the index finds can also be marked.

/// A letter, and behind it the forms of it that a search takes for the same.
const FORMS: &[&str] = &[
    "aàáâãäåāăąǎǟǻȁȃȧḁạảấầẩẫậắằẳẵặ",
    "bḃḅḇ",
    "cçćĉċčḉ",
    "dďḋḍḏḑḓ",
    "eèéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ",
    "fḟ",
    "gĝğġģǧǵḡ",
    "hĥȟḣḥḧḩḫẖ",
    "iìíîïĩīĭįǐȉȋḭḯỉị",
    "jĵǰ",
    "kķǩḱḳḵ",
    "lĺļľḷḹḻḽ",
    "mḿṁṃ",
    "nñńņňǹṅṇṉṋ",
    "oòóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ",
    "pṕṗ",
    "rŕŗřȑȓṙṛṝṟ",
    "sśŝşšșṡṣṥṧṩẛ",
    "tţťțṫṭṯṱẗ",
    "uùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự",
    "vṽṿ",
    "wŵẁẃẅẇẉẘ",
    "xẋẍ",
    "yýÿŷȳẏẙỳỵỷỹ",
    "zźżžẑẓẕ",
];

/// A lower-case character without its accent; `None` for an accent that stands by itself, behind
/// its letter.
pub fn without_accent(c: char) -> Option<char> {
    if is_combining_accent(c) {
        return None;
    }
    // Most text is looked up in no list at all.
    if !matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') {
        return Some(c);
    }
    let base = |forms: &&str| forms.chars().next().filter(|_| forms.contains(c));
    Some(FORMS.iter().find_map(base).unwrap_or(c))
}

/// The accents of the Latin alphabet as characters of their own.
fn is_combining_accent(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{304}' | '\u{306}'..='\u{30c}' | '\u{30f}' | '\u{311}' | '\u{31b}' | '\u{323}'..='\u{328}' | '\u{32d}'..='\u{32e}' | '\u{330}'..='\u{331}'
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn letters_lose_their_accents_and_nothing_else() {
        let folded = |text: &str| text.chars().filter_map(without_accent).collect::<String>();
        assert_eq!(folded("café über façade señor"), "cafe uber facade senor");
        assert_eq!(folded("cafe\u{301}"), "cafe");
        // Letters of their own, not letters with an accent.
        assert_eq!(folded("øłßæ 灯台 ですか"), "øłßæ 灯台 ですか");
    }

    #[test]
    fn the_index_folds_the_same() {
        let database = Connection::open_in_memory().unwrap();
        let table = "CREATE VIRTUAL TABLE t USING fts5
            (text, tokenize = 'trigram remove_diacritics 1')";
        database.execute(table, []).unwrap();
        let mut put = database.prepare("INSERT INTO t (rowid, text) VALUES (?1, ?2)").unwrap();
        let mut find = database.prepare("SELECT rowid FROM t WHERE t MATCH ?1").unwrap();
        let lower = |c: &char| c.is_lowercase() || is_combining_accent(*c);
        // Latin, Greek, Cyrillic and their accents.
        let all = ('\u{80}'..'\u{590}').chain('\u{1e00}'..'\u{2000}').filter(lower);
        for c in all {
            put.execute((c as i64, format!("x{c}yz"))).unwrap();
            let plain: String = without_accent(c).into_iter().collect();
            let is_found = find.exists([format!("\"x{plain}yz\"")]).unwrap();
            assert!(is_found, "{c} (U+{:04X}) is not {plain} to the index", c as u32);
            database.execute("DELETE FROM t", []).unwrap();
        }
    }
}
