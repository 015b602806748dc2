//! `orchestrate inputs`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::args::InputsArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::prepare::prepare;
use crate::cli::print;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::dockerfile::Read;
use crate::fingerprint::{FileEntry, FileKind};
use crate::plan::ImageFacts;
use crate::platform::Platform;

/// Lists every file, arg and image that counts for an image.
pub async fn inputs(settings: &Settings, arguments: &InputsArguments) -> Result<Exit, Failure> {
    let only = Settings { only: vec![arguments.image.clone()], with_dependents: false, ..settings.clone() };
    let mut loaded = load(&only)?;
    let name = loaded.image(&arguments.image)?.name.clone();
    let registries = Registries::new(&only, &loaded.project)?;
    let prepared = prepare(&mut loaded, &registries, &only).await?;
    let (work, facts) = (&prepared.images[&name], &prepared.facts[&name]);
    let mut files = Vec::new();
    let (mut args, mut outside, mut images) = (json!({}), json!({}), json!({}));
    for (platform, on) in &work.platforms {
        for (context, snapshot) in &on.contexts {
            let reads = on.recipe.analysis.reads.get(context).map(Vec::as_slice).unwrap_or_default();
            for entry in snapshot.files().entries() {
                files.push(file(context, platform, entry, reads));
            }
        }
        for entry in on.fingerprint.extra.entries() {
            files.push(file("(extra)", platform, entry, &[]));
        }
        args[platform.to_string()] = json!(on.fingerprint.args);
        outside[platform.to_string()] = json!(on.fingerprint.outside);
        images[platform.to_string()] = json!(on.fingerprint.images);
    }
    if settings.json {
        let value = json!({
            "image": name, "key": facts.key, "files": files, "args": args, "outside": outside, "images": images,
            "uncommitted": facts.uncommitted,
        });
        print(&format!("{value:#}\n"));
    } else {
        print(&text(name.as_str(), facts, &files));
    }
    Ok(Exit::Done)
}

fn file(context: &str, platform: &Platform, entry: &FileEntry, reads: &[Read]) -> Value {
    let (kind, hash) = match &entry.kind {
        FileKind::Folder => ("folder", None),
        FileKind::File { hash, .. } => ("file", Some(hash.to_string())),
        FileKind::Link { target } => ("link", Some(target.clone())),
    };
    let because: Vec<String> = reads
        .iter()
        .filter(|read| may_read(read, entry))
        .map(|read| format!("{} ({})", read.text, read.location))
        .collect();
    json!({
        "path": entry.path, "kind": kind, "hash": hash, "mode": format!("{:04o}", entry.mode), "because": because,
        "context": context, "platform": platform,
    })
}

/// Whether a read names the entry or something above or below it; a wildcard may name anything below its first literal part.
fn may_read(read: &Read, entry: &FileEntry) -> bool {
    let literal = read.pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let literal = literal.trim_start_matches("./").trim_matches('/');
    let path = entry.path.to_string();
    literal.is_empty() || literal == "." || path.starts_with(literal) || literal.starts_with(&path)
}

fn text(name: &str, facts: &ImageFacts, files: &[Value]) -> String {
    let mut text = format!("{name} {}\n", facts.key.tag());
    for file in files {
        let word = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        let context = if word("context").is_empty() { String::new() } else { format!(" [{}]", word("context")) };
        let because =
            file["because"].as_array().and_then(|list| list.first()).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "{} {} {}{context}  {because}", word("mode"), word("kind"), word("path"));
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
