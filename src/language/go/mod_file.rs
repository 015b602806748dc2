//! `go.mod` and `go.work`: the lines that say where packages come from.

/// What a `go.mod` or `go.work` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModFile {
    /// The path of the module; empty in `go.work`.
    pub module: String,
    /// The minor version of its `go` line: 22 for `go 1.22.3`.
    pub go: Option<u32>,
    /// The paths of the modules that it requires.
    pub requires: Vec<String>,
    /// Modules that are replaced by folders: the path and the folder as written.
    pub replaces: Vec<(String, String)>,
    /// The folders of `go.work`'s modules, as written.
    pub uses: Vec<String>,
}

impl ModFile {
    /// Reads the lines; those that mean nothing here are passed over.
    pub fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut block: Option<String> = None;
        for line in text.lines() {
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match (&block, &words[..]) {
                (_, []) => {}
                (Some(_), [")", ..]) => block = None,
                (Some(verb), rest) => file.line(&verb.clone(), rest),
                (None, [verb, "(", ..]) => block = Some((*verb).to_owned()),
                (None, [verb, rest @ ..]) => file.line(verb, rest),
            }
        }
        file
    }

    fn line(&mut self, verb: &str, words: &[&str]) {
        match (verb, words) {
            ("module", [path, ..]) => self.module = (*path).to_owned(),
            ("go", [version, ..]) => self.go = minor(version),
            ("require", [path, ..]) => self.requires.push((*path).to_owned()),
            ("use", [folder, ..]) => self.uses.push((*folder).to_owned()),
            ("replace", _) => {
                let Some(arrow) = words.iter().position(|word| *word == "=>") else { return };
                // A folder has no version after it and begins like a path.
                if let ([path, ..], [folder]) = (&words[..arrow], &words[arrow + 1..])
                    && (folder.starts_with("./")
                        || folder.starts_with("../")
                        || folder.starts_with('/')
                        || is_dots(folder))
                {
                    self.replaces.push(((*path).to_owned(), (*folder).to_owned()));
                }
            }
            _ => {}
        }
    }
}

fn is_dots(folder: &str) -> bool {
    folder == "." || folder == ".."
}

fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("1.")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// The words of a line without its comment. A word may be quoted; parentheses and `=>` stand alone.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return words };
        if rest.starts_with("//") {
            return words;
        }
        let end = match first {
            '(' | ')' => 1,
            '"' | '`' => match rest[1..].find(first) {
                Some(end) => {
                    words.push(rest[1..=end].to_owned());
                    rest = &rest[end + 2..];
                    continue;
                }
                None => rest.len(),
            },
            _ => {
                let blank = rest.find(|c: char| c.is_whitespace() || c == '(' || c == ')').unwrap_or(rest.len());
                rest.find("//").map_or(blank, |comment| blank.min(comment))
            }
        };
        words.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_blocks() {
        let text = "// top\nmodule example.com/a // the module\n\ngo 1.22.3\ntoolchain go1.23.0\n\nrequire example.com/b v1.0.0\n\
            require (\n\texample.com/c v0.0.0-1 // indirect\n\t\"example.com/d\" v1.2.3\n)\n\
            replace example.com/b => ../b\nreplace (\n\texample.com/c v0.0.0-1 => ./third/c // x\n\texample.com/d => example.com/e v1.0.0\n)\n\
            exclude example.com/z v1.0.0\n";
        let file = ModFile::parse(text);
        assert_eq!((file.module.as_str(), file.go), ("example.com/a", Some(22)));
        assert_eq!(file.requires, ["example.com/b", "example.com/c", "example.com/d"]);
        let replaces: Vec<String> = file.replaces.iter().map(|(path, folder)| format!("{path} {folder}")).collect();
        assert_eq!(replaces, ["example.com/b ../b", "example.com/c ./third/c"]);
        let work = ModFile::parse("go 1.21\n\nuse (\n\t./a\n\t. // here\n)\nuse ./b\nreplace x => ./x\n");
        assert_eq!(work.uses, ["./a", ".", "./b"]);
        assert_eq!(work.replaces.len(), 1);
        assert_eq!(ModFile::parse("module(\n x\n)\n").module, "x");
    }
}
