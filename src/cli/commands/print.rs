//! `graph`, `schema` and `completions`: values to stdout.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use serde_json::json;

use crate::cli::args::{Arguments, CompletionArguments, SchemaArguments, SchemaOf};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, load};
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::{event, manifest, plan};

/// Prints the images, each after what it builds on.
pub async fn graph(settings: &Settings) -> Result<Exit, Failure> {
    let loaded = load(settings)?;
    let wired = loaded.wire(settings, &BaseConfigs::new())?;
    let order = wired.graph.order().iter().filter(|name| wired.selection.all.contains(*name));
    if settings.json {
        let images: Vec<_> = order.map(|name| json!({ "name": name, "needs": wired.graph.needs(name) })).collect();
        print(&format!("{:#}\n", json!({ "images": images })));
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for name in order {
        let needs: Vec<&str> = wired.graph.needs(name).into_iter().map(crate::name::ImageName::as_str).collect();
        let _ =
            if needs.is_empty() { writeln!(text, "{name}") } else { writeln!(text, "{name} <- {}", needs.join(", ")) };
    }
    print(&text);
    Ok(Exit::Done)
}

/// Prints a JSON schema.
pub fn schema(arguments: &SchemaArguments) -> Result<Exit, Failure> {
    let schema = match arguments.of {
        SchemaOf::Deploy => manifest::schema(),
        SchemaOf::Plan => plan::schema(),
        SchemaOf::Events => event::schema(),
    };
    print(&format!("{schema:#}\n"));
    Ok(Exit::Done)
}

/// Prints a completion script.
pub fn completions(arguments: &CompletionArguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "orchestrate", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
