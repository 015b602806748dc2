//! `orchestrate inputs`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::args::InputsArguments;
use crate::cli::contexts::explain_contexts;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::prepare::{Unknown, prepare};
use crate::cli::print;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::dockerfile::{Read, ReadKind};
use crate::fingerprint::{FileEntry, FileKind};
use crate::plan::ImageFacts;
use crate::platform::Platform;
use crate::workspace::{Because, Explained};

/// Lists every file, arg and image that counts for an image, and the files that `inputs:` leaves out.
pub async fn inputs(settings: &Settings, arguments: &InputsArguments) -> Result<Exit, Failure> {
    let only = Settings { only: vec![arguments.image.clone()], with_dependents: false, ..settings.clone() };
    let mut loaded = load(&only)?;
    let name = loaded.image(&arguments.image)?.name.clone();
    let registries = Registries::new(&only, &loaded.project).await?;
    let prepared = prepare(&mut loaded, &registries, &only, Unknown::Refused).await?;
    let explained = explain_contexts(&mut loaded, &prepared.wired, &name)?;
    let (work, facts) = (&prepared.images[&name], &prepared.facts[&name]);
    let (mut files, mut dropped) = (Vec::new(), Vec::new());
    let (mut args, mut outside, mut images) = (json!({}), json!({}), json!({}));
    for (platform, on) in &work.platforms {
        for (context, snapshot) in &on.contexts {
            let reads = on.recipe.analysis.reads.get(context).map(Vec::as_slice).unwrap_or_default();
            let said = explained.get(&(platform.clone(), context.clone())).map(Vec::as_slice).unwrap_or_default();
            for entry in snapshot.files().entries() {
                let why = said.binary_search_by(|said| said.path.cmp(&entry.path)).ok().map(|index| &said[index]);
                files.push(file(context, platform, entry, &because(why, reads)));
            }
            let left_out = said.iter().filter(|said| said.because == Because::Dropped);
            dropped.extend(left_out.map(|said| json!({ "path": said.path, "context": context, "platform": platform })));
        }
        for entry in on.fingerprint.extra.entries() {
            files.push(file("(extra)", platform, entry, &["inputs.extra".to_owned()]));
        }
        args[platform.to_string()] = json!(on.fingerprint.args);
        outside[platform.to_string()] = json!(on.fingerprint.outside);
        images[platform.to_string()] = json!(on.fingerprint.images);
    }
    if settings.json {
        let value = json!({
            "image": name, "key": facts.key, "files": files, "args": args, "outside": outside, "images": images,
            "uncommitted": facts.uncommitted, "dropped": dropped,
        });
        print(&format!("{value:#}\n"));
    } else {
        print(&text(name.as_str(), facts, &files, dropped.len()));
    }
    Ok(Exit::Done)
}

/// Why a path counts: the instruction that can read it, and the language's reason where it has one.
fn because(said: Option<&Explained>, reads: &[Read]) -> Vec<String> {
    let read = match said.map(|said| said.because) {
        Some(Because::Read(index)) => reads.get(index).map(instruction),
        Some(Because::Whole) => Some("all of the context counts".to_owned()),
        // A folder on the way to something that is read.
        Some(Because::Dropped) | None => None,
    };
    read.into_iter().chain(said.and_then(|said| said.language.clone())).collect()
}

fn instruction(read: &Read) -> String {
    let word = match read.kind {
        ReadKind::Copy => "COPY",
        ReadKind::Add => "ADD",
        ReadKind::Bind => "a bind mount of",
        ReadKind::Whole => "all of the context:",
    };
    format!("{word} {} ({})", read.text, read.location)
}

fn file(context: &str, platform: &Platform, entry: &FileEntry, because: &[String]) -> Value {
    let (kind, hash) = match &entry.kind {
        FileKind::Folder => ("folder", None),
        FileKind::File { hash, .. } => ("file", Some(hash.to_string())),
        FileKind::Link { target } => ("link", Some(target.clone())),
    };
    json!({
        "path": entry.path, "kind": kind, "hash": hash, "mode": format!("{:04o}", entry.mode), "because": because,
        "context": context, "platform": platform,
    })
}

fn text(name: &str, facts: &ImageFacts, files: &[Value], dropped: usize) -> String {
    let mut text = format!("{name} {}\n", facts.key.tag());
    for file in files {
        let word = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        let context = if word("context").is_empty() { String::new() } else { format!(" [{}]", word("context")) };
        let because: Vec<&str> = file["because"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let because = because.join(", ");
        let _ = writeln!(text, "{} {} {}{context}  {because}", word("mode"), word("kind"), word("path"));
    }
    if dropped > 0 {
        let _ = writeln!(text, "{dropped} more that `inputs` leaves out (--json lists them)");
    }
    for (platform, print) in &facts.fingerprints {
        for (name, value) in &print.args {
            let _ = writeln!(text, "arg {name}={} ({platform})", value.as_deref().unwrap_or("(no value)"));
        }
        for (place, on) in &print.images {
            let _ = writeln!(text, "image {} ({platform}, {place})", on.image);
        }
        for (place, pin) in &print.outside {
            let _ = writeln!(text, "outside {} {} ({platform}, {place})", pin.reference, pin.digest);
        }
    }
    text
}
