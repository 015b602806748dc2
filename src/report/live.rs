//! The block of lines that a terminal shows while images are built: one line for each image under way.

use std::io::Write;
use std::time::Instant;

use super::style::Style;

/// Lines that are redrawn in place.
pub struct Live<W> {
    out: W,
    style: Style,
    lines: Vec<Line>,
    drawn: usize,
    last: Option<Instant>,
}

struct Line {
    name: String,
    since: Instant,
    state: String,
}

/// Redraws closer together than this are left out.
const PAUSE_MS: u128 = 60;

impl<W: Write> Live<W> {
    /// Nothing under way yet.
    pub const fn new(out: W, style: Style) -> Self {
        Self { out, style, lines: Vec::new(), drawn: 0, last: None }
    }

    /// Sets what an image is doing; it is added if it is new.
    pub fn set(&mut self, name: &str, state: &str) {
        match self.lines.iter_mut().find(|line| line.name == name) {
            Some(line) => state.clone_into(&mut line.state),
            None => self.lines.push(Line { name: name.to_owned(), since: Instant::now(), state: state.to_owned() }),
        }
        if self.last.is_none_or(|last| last.elapsed().as_millis() >= PAUSE_MS) {
            self.draw("");
        }
    }

    /// Takes an image away and prints a line above the block.
    pub fn finish(&mut self, name: &str, text: &str) {
        self.lines.retain(|line| line.name != name);
        self.draw(text);
    }

    /// Prints a line above the block.
    pub fn print(&mut self, text: &str) {
        self.draw(text);
    }

    fn draw(&mut self, above: &str) {
        let mut screen = String::new();
        if self.drawn > 0 {
            screen.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        screen.push_str("\r\u{1b}[J");
        if !above.is_empty() {
            screen.push_str(above);
            screen.push('\n');
        }
        let shown = self.lines.iter().take(16);
        self.drawn = shown.len();
        for line in shown {
            let seconds = line.since.elapsed().as_secs();
            let text: String = format!("{:>4}s {}  {}", seconds, line.name, line.state)
                .chars()
                .take(self.style.width.saturating_sub(1))
                .collect();
            screen.push_str(&self.style.dim(&text));
            screen.push('\n');
        }
        self.last = Some(Instant::now());
        let _ = self.out.write_all(screen.as_bytes()).and_then(|()| self.out.flush());
    }
}
