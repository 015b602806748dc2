//! What a Dockerfile alone suggests: its context, the images that it takes, the args that choose among handlers.

use regex::Regex;

use super::find::{Found, Repository, is_dockerfile};
use crate::dockerfile::{ArgDeclaration, Command, Dockerfile, Instruction, Kind};
use crate::reference::Reference;

/// A folder of handlers from which an arg chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handlers {
    /// The arg.
    pub arg: String,
    /// The folder, below the root.
    pub folder: String,
    /// The handlers: names of folders in it.
    pub names: Vec<String>,
}

/// An image that a Dockerfile takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// By this text, args expanded.
    Text(String),
    /// By an arg that has no default.
    Arg(String),
}

fn instructions(dockerfile: &Dockerfile) -> impl Iterator<Item = &Instruction> {
    dockerfile.stages.iter().flat_map(|stage| &stage.instructions)
}

/// The ARGs of a Dockerfile, those before the first FROM first.
fn args(dockerfile: &Dockerfile) -> impl Iterator<Item = &ArgDeclaration> {
    let in_stages = instructions(dockerfile).filter_map(|instruction| match &instruction.kind {
        Kind::Arg(declared) => Some(declared),
        _ => None,
    });
    dockerfile.globals.iter().chain(in_stages.flatten())
}

/// What COPY and ADD take from the context, as written, without `./` and `/` in front.
fn sources(dockerfile: &Dockerfile) -> Vec<String> {
    let mut found = Vec::new();
    for instruction in instructions(dockerfile).filter(|instruction| instruction.flag("from").is_none()) {
        let (Kind::Copy(transfer) | Kind::Add(transfer)) = &instruction.kind else { continue };
        let texts = transfer.sources.iter().map(|word| word.text.trim_matches(['"', '\'']));
        found.extend(
            texts.filter(|text| !text.contains("://") && !text.contains('@')).map(|text| plain(text).to_owned()),
        );
    }
    found
}

/// A path without what is in front of its first name, and without a slash at its end.
fn plain(path: &str) -> &str {
    path.trim_start_matches(['.', '/']).trim_end_matches('/')
}

/// The folders of a path up to the first that an arg or a wildcard decides.
fn certain(path: &str) -> &str {
    match path.find(['$', '*', '?', '[']) {
        None => path,
        Some(at) => path[..at].rsplit_once('/').map_or("", |(folder, _)| folder),
    }
}

/// The folder above; `None` above the root.
fn above(folder: &str) -> Option<&str> {
    (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above))
}

/// The context that has the most of what is copied: the Dockerfile's own folder or one above it, the nearest if several have as much.
pub fn context(found: &Found, repository: &Repository) -> String {
    let sources = sources(&found.dockerfile);
    let needed: Vec<&str> = sources.iter().map(|source| certain(source)).filter(|path| !path.is_empty()).collect();
    let mut candidates = vec![found.folder()];
    while let Some(folder) = candidates.last().and_then(|folder| above(folder)) {
        candidates.push(folder);
    }
    if needed.is_empty() {
        // `COPY . .` in a folder of nothing but Dockerfiles means another folder.
        let only = repository.entries(found.folder()).iter().all(|(name, is_folder)| !is_folder && is_dockerfile(name));
        return if only && !sources.is_empty() { String::new() } else { found.folder().to_owned() };
    }
    let has = |folder: &str| needed.iter().filter(|path| repository.has(&join(folder, path))).count();
    let best = candidates.iter().map(|folder| has(folder)).max().unwrap_or(0);
    candidates.into_iter().find(|folder| has(folder) == best).unwrap_or_default().to_owned()
}

/// A path below a folder; "" is the root.
pub fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// Every image that FROM and COPY --from take, each once; stages of the Dockerfile itself are none.
pub fn taken(dockerfile: &Dockerfile) -> Vec<Taken> {
    let copied = instructions(dockerfile).filter_map(|instruction| instruction.flag("from")?.value.clone());
    let texts = dockerfile.stages.iter().map(|stage| stage.base.text.clone()).chain(copied);
    let mut found = Vec::new();
    for text in texts {
        let own =
            |text: &str| dockerfile.stages.iter().any(|stage| stage.name.as_ref().is_some_and(|n| n.text == text));
        if text == "scratch" || own(&text.to_lowercase()) || text.parse::<usize>().is_ok() {
            continue;
        }
        let taken = match variable(&text) {
            None if text.contains('$') => continue,
            None => Taken::Text(text),
            Some(name) => {
                let declared = dockerfile.globals.iter().find(|arg| arg.name.text == name);
                match declared.and_then(|arg| arg.default.as_ref()) {
                    Some(default) if default.text.contains('$') => continue,
                    Some(default) => Taken::Text(default.text.trim_matches(['"', '\'']).to_owned()),
                    None => Taken::Arg(name.to_owned()),
                }
            }
        };
        if taken != Taken::Text("scratch".to_owned()) && !found.contains(&taken) {
            found.push(taken);
        }
    }
    found
}

/// The name in `$NAME` or `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'))?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

/// The last part of a reference's repository: `runtime` of `ghcr.io/acme/runtime:1.2`.
pub fn last_part(text: &str) -> Option<String> {
    let reference: Reference = text.parse().ok()?;
    reference.repository.rsplit('/').next().map(str::to_owned)
}

/// The folder of handlers that an arg without a default chooses from: `cmd/${CMD_TARGET}` in a COPY or a RUN, and at least two folders
/// in `cmd` that have what is taken from there.
pub fn handlers(found: &Found, context: &str, repository: &Repository) -> Option<Handlers> {
    let text = paths_text(&found.dockerfile);
    let open = args(&found.dockerfile).filter(|arg| arg.default.is_none());
    for name in open.map(|arg| arg.name.text.as_str()) {
        let pattern = format!(r#"([\w./-]+)/\$\{{?{}\}}?(/[\w./-]*)?"#, regex::escape(name));
        let pattern = Regex::new(&pattern).expect("a name of an arg, escaped, is a sound pattern");
        for place in pattern.captures_iter(&text) {
            let rest = place.get(2).map_or("", |rest| plain(rest.as_str()));
            let Some(folder) = existing(plain(&place[1]), context, repository) else { continue };
            let has = |name: &str| rest.is_empty() || repository.has(&format!("{folder}/{name}/{rest}"));
            let entries = repository.entries(&folder).into_iter().filter(|(_, is_folder)| *is_folder);
            let names: Vec<String> = entries.map(|(name, _)| name).filter(|name| has(name)).collect();
            if names.len() > 1 {
                return Some(Handlers { arg: name.to_owned(), folder, names });
            }
        }
    }
    None
}

/// What COPY, ADD and RUN say, a line each.
fn paths_text(dockerfile: &Dockerfile) -> String {
    let mut lines = sources(dockerfile);
    for instruction in instructions(dockerfile) {
        match &instruction.kind {
            Kind::Run(Command::Shell(word)) => lines.push(word.text.clone()),
            Kind::Run(Command::Exec(words)) => lines.extend(words.iter().cloned()),
            _ => {}
        }
    }
    lines.join("\n")
}

/// The folder in the context that a path means, which may be one inside the image: `/src/cmd` is `cmd` if there is no `src/cmd`.
fn existing(path: &str, context: &str, repository: &Repository) -> Option<String> {
    let mut rest = path;
    loop {
        let folder = join(context, rest);
        if !rest.is_empty() && !repository.entries(&folder).is_empty() {
            return Some(folder);
        }
        rest = rest.split_once('/')?.1;
    }
}

/// Args with a default, which the manifest may change: names and defaults, each once.
pub fn settable(dockerfile: &Dockerfile) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for arg in args(dockerfile) {
        let Some(default) = &arg.default else { continue };
        if !default.text.contains('$') && !found.iter().any(|(name, _)| *name == arg.name.text) {
            found.push((arg.name.text.clone(), default.text.trim_matches(['"', '\'']).to_owned()));
        }
    }
    found
}
