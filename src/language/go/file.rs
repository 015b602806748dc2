//! The part of a Go file that says what it needs: constraints, package clause, imports, embeds. The rest is not parsed.

use serde::{Deserialize, Serialize};

use super::constraint::{self, Constraint};

/// What a Go file needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoFile {
    /// The name in its package clause.
    pub package: String,
    /// The paths that it imports, sorted, each once; without `C` and `unsafe`.
    pub imports: Vec<String>,
    /// Whether it imports `C`.
    pub cgo: bool,
    /// The patterns of its `//go:embed` lines.
    pub embeds: Vec<String>,
    /// When it belongs to a build.
    pub constraint: Option<Constraint>,
}

impl GoFile {
    /// Reads the beginning of a Go file, and its `//go:embed` lines.
    ///
    /// # Errors
    /// What cannot be understood, as a phrase.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut file = Self { constraint: constraint::of_header(text)?, ..Self::default() };
        let mut scanner = Scanner { rest: text };
        let word = scanner.word()?;
        if word != "package" {
            return Err(format!("it begins with `{word}` and not with a package clause"));
        }
        file.package = scanner.word()?.to_owned();
        if file.package.is_empty() {
            return Err("the package clause names nothing".to_owned());
        }
        while scanner.statement()? && scanner.word()? == "import" {
            for path in scanner.imports()? {
                match path {
                    "C" => file.cgo = true,
                    "unsafe" => {}
                    path => file.imports.push(path.to_owned()),
                }
            }
        }
        file.imports.sort_unstable();
        file.imports.dedup();
        if file.imports.binary_search_by(|path| path.as_str().cmp("embed")).is_ok() {
            file.embeds = embeds(text)?;
        }
        Ok(file)
    }
}

/// The patterns of all lines that look like `//go:embed`; one inside a raw string is taken for one too, which does no harm.
fn embeds(text: &str) -> Result<Vec<String>, String> {
    let mut patterns = Vec::new();
    for line in text.lines() {
        let Some(mut rest) = line.trim_start().strip_prefix("//go:embed") else { continue };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            continue;
        }
        loop {
            rest = rest.trim_start();
            let quote = match rest.chars().next() {
                None => break,
                Some(quote @ ('"' | '`')) => quote,
                Some(_) => {
                    let (word, tail) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
                    patterns.push(word.to_owned());
                    rest = tail;
                    continue;
                }
            };
            let end = rest[1..].find(quote).ok_or("a quoted pattern of //go:embed has no end")?;
            let word = &rest[1..=end];
            if quote == '"' && word.contains('\\') {
                return Err(format!("the pattern \"{word}\" of //go:embed has an escape in it"));
            }
            patterns.push(word.to_owned());
            rest = &rest[end + 2..];
        }
    }
    Ok(patterns)
}

/// Reads words, strings and parentheses; blanks and comments between them mean nothing.
struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    /// Skips blanks and comments, and semicolons too if asked.
    fn skip(&mut self, semicolons: bool) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || (semicolons && c == ';'));
            if self.rest.starts_with("//") {
                self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            } else if let Some(block) = self.rest.strip_prefix("/*") {
                let end = block.find("*/").ok_or("a comment has no end")?;
                self.rest = &block[end + 2..];
            } else {
                return Ok(());
            }
        }
    }

    /// Goes to the next statement; false at the end of the file.
    fn statement(&mut self) -> Result<bool, String> {
        self.skip(true)?;
        Ok(!self.rest.is_empty())
    }

    /// A word; empty if something else stands there.
    fn word(&mut self) -> Result<&'t str, String> {
        self.skip(false)?;
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    /// What follows `import`: one path, or several in parentheses.
    fn imports(&mut self) -> Result<Vec<&'t str>, String> {
        self.skip(false)?;
        let Some(group) = self.rest.strip_prefix('(') else { return Ok(vec![self.import()?]) };
        self.rest = group;
        let mut paths = Vec::new();
        loop {
            self.skip(true)?;
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(paths);
            }
            paths.push(self.import()?);
        }
    }

    /// A path, with or without a name before it.
    fn import(&mut self) -> Result<&'t str, String> {
        self.skip(false)?;
        match self.rest.strip_prefix('.') {
            Some(rest) => self.rest = rest,
            None => drop(self.word()?),
        }
        self.skip(false)?;
        let quote = self.rest.chars().next().filter(|quote| matches!(quote, '"' | '`'));
        let quote = quote.ok_or("an import has no path")?;
        let end = self.rest[1..].find(quote).ok_or("the path of an import has no end")?;
        let path = &self.rest[1..=end];
        if path.is_empty() || path.contains(['\\', '\n']) {
            return Err(format!("the import path `{}` is odd", path.escape_default()));
        }
        self.rest = &self.rest[end + 2..];
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> String {
        GoFile::parse(text).unwrap().imports.join(" ")
    }

    #[test]
    fn imports_in_all_their_forms() {
        let text = "\u{feff}/* licence */\n// doc\npackage main // x\n\nimport \"a\"\nimport b \"b\"; import . \"c\"\n\
            import _ `d`\nimport (\n\t\"e\" // why\n\tf \"f\"; g \"g\"\n\t/* \"no\" */ . \"h\"\n\t_ \"i\"\n)\n\
            import ()\nimport (\"z\";\"y\")\nvar x = `import \"no\"`\nimport \"late\"\n";
        assert_eq!(imports(text), "a b c d e f g h i y z");
        assert_eq!(imports("package x"), "");
        assert_eq!(imports("package x; import \"a\"; func f() {}"), "a");
        let file = GoFile::parse("package x\n// #include <a.h>\nimport \"C\"\nimport \"unsafe\"\r\nimport \"a/a\"\r\n");
        let file = file.unwrap();
        assert!(file.cgo && file.imports == ["a/a"] && file.package == "x");
    }

    #[test]
    fn what_is_no_go_is_said() {
        for text in [
            "",
            "func main() {}",
            "package x\nimport\n",
            "package x\nimport \"a\nb\"",
            "package x\nimport (\"a\"",
            "/* package x",
            "package x\nimport \"\"\n",
            "package x\nimport a b \"c\"",
        ] {
            assert!(GoFile::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn embeds_are_read_where_embed_is_imported() {
        let body = "\n//go:embed a b/*.txt\nvar x string\nvar (\n\t//go:embed \"with blank\" `raw` all:dir\n\ty embed.FS\n)\n//go:embedded no\n";
        let text = format!("package x\nimport \"embed\"\n{body}");
        assert_eq!(GoFile::parse(&text).unwrap().embeds, ["a", "b/*.txt", "with blank", "raw", "all:dir"]);
        let text = format!("package x\nimport \"fmt\"\n{body}");
        assert!(GoFile::parse(&text).unwrap().embeds.is_empty());
        assert!(GoFile::parse("package x\nimport _ \"embed\"\n//go:embed \"a\n").is_err());
    }
}
