//! Which variables have which values: build args before the first FROM, and in a stage.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::Request;
use super::expand::{Expanded, Lexer};
use super::syntax::{ArgDeclaration, Dockerfile, Word};
use crate::problem::{Code, Location, Problem, Problems, Span};

/// Args that are always taken and never declared: they do not change the result of a step.
///
/// Source: the Dockerfile reference, "Predefined ARGs".
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// Args that BuildKit obeys without a declaration and that change the result, each with its source. `BUILDKIT_SYNTAX` is not among
/// them: it counts as the front end that it names. Not here, because they change no result: `BUILDKIT_BUILD_NAME`,
/// `BUILDKIT_CACHE_MOUNT_NS` (where cache mounts lie), `BUILDKIT_DOCKERFILE_CHECK` (lints), `BUILDKIT_HISTORY_PROVENANCE_V1`,
/// `BUILDKIT_INLINE_CACHE` (extra metadata of the cache), `BUILDKIT_MULTI_PLATFORM` (the index is ours), `BUILDKIT_ATTEST_*` and
/// `BUILDKIT_SBOM_SCAN_*` (attestations, which `output:` switches on and which count there).
const OBEYED: [&str; 4] = [
    // Whether `.git` of a remote context or a git ADD is kept: frontend/dockerui/config.go, keyContextKeepGitDirArg.
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    // Whether triggers of bases are run: Dockerfile frontend 1.29.
    "BUILDKIT_DISABLE_ONBUILD",
    // The host name that RUN sees: frontend/dockerui/config.go, keyHostnameArg.
    "BUILDKIT_SANDBOX_HOSTNAME",
    // The time of layers and of the image: docs/build-repro.md of BuildKit.
    "SOURCE_DATE_EPOCH",
];

/// Whether BuildKit obeys an arg without a declaration, so that another value may give another image.
pub(super) fn is_obeyed(name: &str) -> bool {
    OBEYED.contains(&name)
}

/// Whether an arg may be passed without being declared.
pub(super) fn needs_no_declaration(name: &str) -> bool {
    name.starts_with("BUILDKIT_")
        || name == "SOURCE_DATE_EPOCH"
        || (PROXIES.contains(&name.to_ascii_lowercase().as_str())
            && (name.chars().all(|c| !c.is_ascii_uppercase()) || name.chars().all(|c| !c.is_ascii_lowercase())))
}

/// Replaces variables in a word; what is wrong becomes a problem.
pub(super) fn expand(
    lexer: Lexer,
    word: &Word,
    values: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Expanded> {
    lexer
        .expand(&word.text, values)
        .map_err(|error| problems.push(substitution(word, &error.message, error.offset)))
        .ok()
}

/// The problem of a word that cannot be expanded, underlined from where it goes wrong.
pub(super) fn substitution(word: &Word, why: &str, offset: usize) -> Problem {
    let Span { start, length } = word.location.span;
    let text = word.location.source.text().get(start..start + length);
    let offset = if text == Some(word.text.as_str()) { offset.min(length) } else { 0 };
    let place = word.location.source.at(start + offset, length - offset);
    Problem::error(Code::BadSubstitution, format!("`{}` cannot be expanded: {why}", word.text)).at(&place, "")
}

/// The args before the first FROM, and those that Docker sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals {
    /// Values by name.
    pub(super) values: BTreeMap<String, String>,
    /// What each declared arg is.
    pub(super) declared: BTreeMap<String, Global>,
    /// What Docker sets, whatever is declared.
    pub(super) platform: BTreeMap<String, String>,
}

/// An ARG before the first FROM.
#[derive(Clone, Debug)]
pub(super) struct Global {
    /// Where its name stands.
    pub(super) location: Location,
    /// The other global args that its value was made from.
    pub(super) made_from: BTreeSet<String>,
}

impl Globals {
    pub(super) fn new(file: &Dockerfile, request: &Request<'_>, target: &str, problems: &mut Problems) -> Self {
        let platform = predefined(request, target);
        let mut globals = Self { values: platform.clone(), declared: BTreeMap::new(), platform };
        for arg in &file.globals {
            globals.declare(arg, file.escape, request, problems);
        }
        globals
    }

    fn declare(&mut self, arg: &ArgDeclaration, escape: char, request: &Request<'_>, problems: &mut Problems) {
        let name = &arg.name.text;
        let mut made_from = BTreeSet::new();
        let mut value = request.args.get(name).cloned();
        if let (None, Some(word)) = (&value, &arg.default)
            && let Some(expanded) = expand(Lexer::new(escape), word, &self.values, problems)
        {
            for used in expanded.used {
                if let Some(other) = self.declared.get(&used.name) {
                    made_from.extend(other.made_from.iter().cloned());
                }
                made_from.insert(used.name);
            }
            if let Some(own) = self.platform.get(name).filter(|own| **own != expanded.text) {
                problems.push(hidden_platform(name, &expanded.text, own, &word.location));
            }
            value = Some(expanded.text);
        }
        if let Some(value) = value {
            self.values.insert(name.clone(), value);
        }
        let global = Global { location: arg.name.location.clone(), made_from };
        self.declared.insert(name.clone(), global);
    }

    /// The names of `name` and of all global args that its value was made from.
    pub(super) fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut names = self.declared.get(name).map(|global| global.made_from.clone()).unwrap_or_default();
        names.insert(name.to_owned());
        names
    }
}

/// The problem of a default that stands in the way of a value that Docker would set.
pub(super) fn hidden_platform(name: &str, value: &str, own: &str, location: &Location) -> Problem {
    Problem::warning(
        Code::PinnedPlatform,
        format!("the default of `ARG {name}` hides the platform: it is always `{value}`, here it would be `{own}`"),
    )
    .at(location, "")
    .help(format!("write `ARG {name}` without a default; Docker sets it"))
}

/// The args that Docker sets.
///
/// Source: the Dockerfile reference, "Automatic platform ARGs in the global scope".
fn predefined(request: &Request<'_>, target: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (prefix, platform) in [("BUILD", request.build_platform), ("TARGET", request.platform)] {
        for (name, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", String::new()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", platform.variant.clone()),
        ] {
            values.insert(format!("{prefix}{name}"), value);
        }
    }
    values.insert("TARGETSTAGE".to_owned(), if target.is_empty() { "default" } else { target }.to_owned());
    for (name, value) in &mut values {
        if let Some(given) = request.args.get(name) {
            value.clone_from(given);
        }
    }
    values
}

/// Whether Docker sets an arg of this name.
pub(super) fn is_predefined(name: &str) -> bool {
    let parts = ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"];
    name == "TARGETSTAGE"
        || ["BUILD", "TARGET"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| parts.contains(&rest)))
}

/// The environment of a stage while its instructions are gone through.
#[derive(Clone, Debug, Default)]
pub(super) struct Env {
    /// Values by name: those of the base, of ENV and of ARG.
    pub(super) values: BTreeMap<String, String>,
    /// Whether the base's environment is not known, so that more variables may have values.
    pub(super) unknown: bool,
    /// The folder that WORKDIR and the base give; none if it is not known.
    pub(super) workdir: Option<String>,
}
