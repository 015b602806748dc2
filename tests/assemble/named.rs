//! Differences between the embedded builder, which follows the newest BuildKit, and older ones: the table of docs/keys.md, "Versions".
//!
//! What an engine does is seen, not read from a version: distributions build them from other parts.

use orchestrate::exec::buildkit::Buildkit;
use serde_json::Value;

use crate::Bench;
use crate::flatten::{self, Difference};
use crate::judge::Feature;

/// What an engine was seen to do.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// An octal `--chmod` is for the folders that are made for a destination too (BuildKit 0.21).
    mode_of_folders: bool,
    /// `ADD --chown` is for what an archive holds too (BuildKit 0.23).
    owner_of_archives: bool,
    /// Such folders lose what the umask of the daemon takes: Docker's builder has one, buildkitd has none.
    umask: bool,
    /// Letters in `--chmod` (Dockerfile 1.14).
    pub symbolic: bool,
    /// The history shows values of args (BuildKit 0.14).
    args_in_history: bool,
    /// The history shows ports as a list (BuildKit 0.25).
    list_of_ports: bool,
    /// An archive is unpacked by the rules of a newer library than any BuildKit has (Debian's Docker 28.5): no name with `..`, links are
    /// followed where they do not lead out, and folders that no entry describes are 0755 whatever is around them.
    pub rooted_archives: bool,
}

/// Cases about what only [`Known::rooted_archives`] changes.
pub const ROOTED_ARCHIVES: &[&str] =
    &["add names with dots", "add tar into folder with setgid", "add through a link to nothing"];

/// Cases that an engine without letters in `--chmod` takes for something else.
pub const SYMBOLIC: &[&str] = &["letters for a new folder"];

/// One Dockerfile that shows all of it but the last.
const PROBE: &str = "FROM scratch\nARG GIVEN\nEXPOSE 80\nCOPY --chmod=711 a.txt /mode/x\nCOPY --chmod=777 a.txt /open/x\n\
    ADD --chown=5:6 archives/plain.tar /owner/\n";

impl Known {
    /// Asks, once for each bench.
    pub async fn of(bench: &Bench, buildkit: &Buildkit) -> Self {
        *bench.known.get_or_init(|| Self::ask(bench, buildkit)).await
    }

    async fn ask(bench: &Bench, buildkit: &Buildkit) -> Self {
        let built = bench.buildkit(buildkit, PROBE).await.expect("every BuildKit builds this");
        let image = flatten::image(&[&bench.folder.path().join("buildkit")], built);
        let is = |path: &str, start: &str| image.files[path].starts_with(start);
        let history = image.config["history: texts"].as_array().expect("the history is a list");
        let says = |text: &str| history.iter().any(|line| line == text);
        let dots = bench.buildkit(buildkit, "FROM scratch\nADD archives/dots.tar /x/y/\n").await;
        let letters = Feature::SymbolicMode.probe();
        let letters = letters.answer(bench.buildkit(buildkit, letters.dockerfile()).await.is_ok());
        Self {
            umask: is("open", "folder 755 "),
            symbolic: letters,
            mode_of_folders: is("mode", "folder 711 "),
            owner_of_archives: is("owner/top.txt", "file 640 5:6 "),
            args_in_history: says("ARG GIVEN=given"),
            list_of_ports: says("EXPOSE [80/tcp]"),
            rooted_archives: dots.is_err(),
        }
    }

    /// Whether the table names this difference. A narrow question: all else about the path must be equal.
    pub fn names(&self, dockerfile: &str, difference: &Difference<'_>) -> bool {
        let Difference { what, name, ours: Some(ours), theirs: Some(theirs) } = difference else { return false };
        if (*what, *name) == ("field", "history: texts") {
            return self.plain(ours) == self.plain(theirs);
        }
        let octal = dockerfile
            .match_indices("--chmod=")
            .any(|(at, flag)| dockerfile[at + flag.len()..].starts_with(|first: char| first.is_ascii_digit()));
        let words = |text: &str| text.splitn(4, ' ').map(str::to_owned).collect::<Vec<_>>();
        let (ours, theirs) = (words(ours), words(theirs));
        let equal = |fields: &[usize]| fields.iter().all(|field| ours.get(*field) == theirs.get(*field));
        let bits = |words: &[String]| words.get(1).and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let masked = self.umask && bits(&ours).map(|mode| mode & !0o022) == bits(&theirs);
        let mode = (!self.mode_of_folders || masked) && octal && ours[0] == "folder" && equal(&[0, 2, 3]);
        let with_owner = dockerfile.lines().any(|line| line.starts_with("ADD ") && line.contains("--chown="));
        let owner = !self.owner_of_archives && with_owner && {
            // A link has no permissions in its words.
            if ours[0] == "link" { equal(&[0, 2, 3]) } else { equal(&[0, 1, 3]) }
        };
        *what == "file" && (mode || owner)
    }

    /// The lines of a history without what this engine writes otherwise.
    fn plain(&self, texts: &str) -> Vec<String> {
        let lines: Vec<Value> = serde_json::from_str(texts).unwrap_or_default();
        let line = |line: &Value| {
            let text = line.as_str().unwrap_or_default();
            match text.split_once(' ') {
                Some(("ARG", args)) if !self.args_in_history => {
                    // A value may hold blanks; the names of the args are what stands before `=`.
                    let names = args.split(' ').map(|arg| arg.split('=').next().unwrap_or_default());
                    format!("ARG {}", names.collect::<Vec<_>>().join(" "))
                }
                Some(("EXPOSE", ports)) if !self.list_of_ports => {
                    let ports = ports.trim_start_matches("map").replace(":{}", "");
                    format!("EXPOSE {ports}")
                }
                _ => text.to_owned(),
            }
        };
        lines.iter().map(line).collect()
    }
}
