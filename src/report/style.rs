//! Colour, where there is a terminal that wants it. Everything can be understood without.

/// How text is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether to use colour.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Style {
    /// Plain text for files and pipes.
    pub const PLAIN: Self = Self { color: false, width: 100 };

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For what will change.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For what stays.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// For success.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what needs attention.
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// For failure.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}
