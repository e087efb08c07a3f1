//! What names a vector: a SHA-256 over everything it adds, whatever file it came from.

use sha2::{Digest, Sha256};

use super::{Part, Vector};

/// Values hashed at a time.
const PIECE: usize = 16 * 1024;

/// 32 hexadecimal digits. The name a person gave it and the base it was made with do not count.
pub fn fingerprint(vector: &Vector) -> String {
    let mut hash = Sha256::new();
    hash.update(b"tiller vector 1");
    let mut bytes = Vec::with_capacity(4 * PIECE);
    for (name, part) in &vector.parts {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        let (kind, scale, values): (&str, f32, [&[f32]; 2]) = match part {
            Part::LowRank { down, up, scale, .. } => ("factors", *scale, [down, up]),
            Part::Full { values, .. } => ("values", 1.0, [values, &[]]),
            Part::Replacement { values, .. } => ("saved", 1.0, [values, &[]]),
        };
        hash.update(format!("{kind} {:?} {scale:?}", part.shape()));
        for values in values {
            hash.update((values.len() as u64).to_le_bytes());
            for piece in values.chunks(PIECE) {
                bytes.clear();
                bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
                hash.update(&bytes);
            }
        }
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_numbers_and_nothing_else() {
        let vector = |name: &str, value: f32| {
            let part = Part::Full { shape: vec![2], values: vec![value, 1.0] };
            let parts = [("model.norm.weight".to_owned(), part)].into();
            Vector { name: name.into(), parts, ..Vector::default() }
        };
        let first = fingerprint(&vector("medical", 0.5));
        assert_eq!(first.len(), 32);
        assert_eq!(first, fingerprint(&vector("renamed", 0.5)));
        assert_ne!(first, fingerprint(&vector("medical", 0.25)));
    }
}
