//! The canonical encoding under a key: every field with its label, every value with its length, so that no two records
//! can run together into one text.

/// Feeds labelled values to blake3.
pub struct Encoder(blake3::Hasher);

impl Encoder {
    /// Begins an encoding for one purpose; equal values for different purposes give different hashes.
    pub fn new(purpose: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(purpose))
    }

    /// A single value.
    pub fn field(&mut self, label: &'static str, value: &[u8]) {
        self.part(label.as_bytes());
        self.part(value);
    }

    /// A value that may be absent; absent differs from empty.
    pub fn optional(&mut self, label: &'static str, value: Option<&[u8]>) {
        self.part(label.as_bytes());
        if let Some(value) = value {
            self.0.update(&[1]);
            self.part(value);
        } else {
            self.0.update(&[0]);
        }
    }

    /// The head of a list: its label and how many entries follow.
    pub fn list(&mut self, label: &'static str, length: usize) {
        self.part(label.as_bytes());
        self.0.update(&(length as u64).to_le_bytes());
    }

    /// The hash.
    pub fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder;

    #[test]
    fn boundaries_count() {
        let hash = |fields: &[(&'static str, &[u8])]| {
            let mut encoder = Encoder::new("test");
            for (label, value) in fields {
                encoder.field(label, value);
            }
            encoder.finish()
        };
        assert_ne!(hash(&[("a", b"bc")]), hash(&[("ab", b"c")]));
        assert_ne!(hash(&[("a", b"b"), ("c", b"")]), hash(&[("a", b""), ("c", b"b")]));
        let mut absent = Encoder::new("test");
        absent.optional("a", None);
        let mut empty = Encoder::new("test");
        empty.optional("a", Some(b""));
        assert_ne!(absent.finish(), empty.finish());
    }
}
