//! `--chmod`: an octal number, or clauses such as `u=rwX,go=rX`.
//!
//! Source: the Dockerfile reference, "COPY --chown --chmod"; POSIX, `chmod`, "Extended Description".

/// What `--chmod` does to permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Sets them.
    Octal(u32),
    /// Changes them.
    Symbolic(Vec<Clause>),
}

/// One action of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// The bits of those that it is for: 0o700 user, 0o070 group, 0o007 others.
    who: u32,
    operator: char,
    permissions: String,
}

impl Mode {
    /// Reads the value of `--chmod`; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(mode) = u32::from_str_radix(text, 8) {
            return (mode <= 0o7777).then_some(Self::Octal(mode));
        }
        let mut clauses = Vec::new();
        for clause in text.split(',') {
            let actions = clause.find(['+', '-', '='])?;
            let mut who = 0;
            for letter in clause[..actions].chars() {
                who |= match letter {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return None,
                };
            }
            let who = if who == 0 { 0o777 } else { who };
            let mut rest = &clause[actions..];
            while let Some(operator) = rest.chars().next() {
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
                let permissions = rest[1..end].to_owned();
                let copies = ["u", "g", "o"].contains(&permissions.as_str());
                if !copies && !permissions.chars().all(|letter| "rwxXst".contains(letter)) {
                    return None;
                }
                clauses.push(Clause { who, operator, permissions });
                rest = &rest[end..];
            }
        }
        Some(Self::Symbolic(clauses))
    }

    /// The bits that a file or folder with the bits `mode` gets.
    pub(super) fn apply(&self, mode: u32, folder: bool) -> u32 {
        match self {
            Self::Octal(octal) => *octal,
            Self::Symbolic(clauses) => clauses.iter().fold(mode, |mode, clause| clause.apply(mode, folder)),
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, folder: bool) -> u32 {
        let everywhere = |bits: u32| bits | bits << 3 | bits << 6;
        let mut bits = 0;
        for letter in self.permissions.chars() {
            bits |= match letter {
                'r' => everywhere(0o4) & self.who,
                'w' => everywhere(0o2) & self.who,
                'x' => everywhere(0o1) & self.who,
                'X' if folder || mode & 0o111 != 0 => everywhere(0o1) & self.who,
                's' => {
                    (if self.who & 0o700 != 0 { 0o4000 } else { 0 }) | (if self.who & 0o070 != 0 { 0o2000 } else { 0 })
                }
                't' => 0o1000,
                'u' => everywhere(mode >> 6 & 0o7) & self.who,
                'g' => everywhere(mode >> 3 & 0o7) & self.who,
                'o' => everywhere(mode & 0o7) & self.who,
                _ => 0,
            };
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => mode & !self.who | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_set_and_letters_change() {
        for (text, before, folder, after) in [
            ("755", 0o644, false, 0o755),
            ("4711", 0o644, false, 0o4711),
            ("u=rwX,go=rX", 0o644, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("a+x", 0o644, false, 0o755),
            ("go-rwx", 0o755, false, 0o700),
            ("g=u", 0o740, false, 0o770),
            ("u+s,+t", 0o755, false, 0o5755),
        ] {
            assert_eq!(Mode::parse(text).unwrap().apply(before, folder), after, "{text}");
        }
        for bad in ["", "888", "10000", "rwx", "u=z", "z+x", "u"] {
            assert_eq!(Mode::parse(bad), None, "{bad}");
        }
    }
}
