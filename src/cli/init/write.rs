//! A sketch as YAML with comments.

use std::fmt::Write as _;

use super::sketch::{Group, Need, Recipe, Role, Sketch};

/// The manifest's text. `file` is its name, `schema` is where editors find its schema.
pub fn write(sketch: &Sketch, file: &str, schema: &str) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema={schema}\n\
         #\n\
         # A first manifest, made from the Dockerfiles of this repository. Lines that begin with `#` are notes and proposals.\n\
         #   orchestrate check   says what is wrong with it\n\
         #   orchestrate plan    says what would be built, and why\n\
         version: 1\n\
         project: {}\n\n",
        scalar(&sketch.project)
    );
    text.push_str(
        "# Without registries the images go into folders here, with no server at all. Others:\n\
         #   { kind: oci, url: \"https://ghcr.io/acme\" }\n\
         #   { kind: ecr, region: us-east-1 }\n\
         #   { kind: ecr-public, alias: a1b2c3d4 }\n\
         # With one of these, each image says where it goes: push: { registry: main, repository: shop-api, tags: [\"{{git.short}}\", latest] }\n\
         registries:\n  main: { kind: layout, path: .orchestrate/images }\n",
    );
    text.push_str(
        "\ndefaults:\n  # platforms: [linux/arm64]   # that of this machine unless given\n  \
         push: { registry: main, repository: \"{{name}}\", tags: [latest] }\n",
    );
    if sketch.recipes.iter().any(|recipe| recipe.context.is_empty()) {
        let _ = writeln!(
            text,
            "  # This file lies in a context: without this line a comment in it would build all images again that copy the whole folder.\n  \
             inputs: {{ exclude: [{}] }}",
            scalar(file)
        );
    }
    let part = |role: Role| sketch.recipes.iter().filter(move |recipe| recipe.role == role);
    for (role, title) in [
        (Role::Base, "\n# Images that others build on. They are built when something asks for them.\nbases:\n"),
        (Role::Variant, "\n# Recipes that images share.\nvariants:\n"),
    ] {
        if part(role).next().is_some() {
            text.push_str(title);
            part(role).for_each(|recipe| entry(&mut text, recipe));
        }
    }
    text.push_str("\nimages:\n");
    part(Role::Image).for_each(|recipe| entry(&mut text, recipe));
    sketch.groups.iter().for_each(|group| matrix(&mut text, group));
    if part(Role::Image).next().is_none() && sketch.groups.is_empty() {
        text.truncate(text.len() - "\nimages:\n".len());
        text.push_str("\nimages: {}\n");
    }
    text
}

fn entry(text: &mut String, recipe: &Recipe) {
    let _ = writeln!(text, "  {}:", scalar(&recipe.name));
    let own =
        if recipe.context.is_empty() { "Dockerfile".to_owned() } else { format!("{}/Dockerfile", recipe.context) };
    let mut any = false;
    if !recipe.context.is_empty() {
        let _ = writeln!(text, "    context: {}", scalar(&recipe.context));
        any = true;
    }
    if recipe.dockerfile != own || !any {
        let _ = writeln!(text, "    dockerfile: {}", scalar(&recipe.dockerfile));
    }
    args(text, recipe);
    let carried: Vec<(&String, &String)> = recipe
        .needs
        .iter()
        .filter_map(|need| match need {
            Need::Reference(reference, image) => Some((reference, image)),
            _ => None,
        })
        .collect();
    if !carried.is_empty() {
        text.push_str("    # FROM has a reference; the image of this file is taken instead.\n    contexts:\n");
        for (reference, image) in carried {
            let _ = writeln!(text, "      {}: {{ image: {} }}", scalar(reference), scalar(image));
        }
    }
    for image in recipe.needs.iter().filter_map(|need| match need {
        Need::Named(image) => Some(image),
        _ => None,
    }) {
        let _ = writeln!(text, "    # builds on {image}");
    }
    if !recipe.outside.is_empty() {
        let _ = writeln!(text, "    # from outside, pinned in deploy.lock: {}", one_line(&recipe.outside.join(", ")));
    }
    if !recipe.stages.is_empty() {
        let _ = writeln!(text, "    # target: {}   # the last stage unless given", recipe.stages.join(" or "));
    }
}

fn args(text: &mut String, recipe: &Recipe) {
    let mut lines = String::new();
    for need in &recipe.needs {
        let Need::Arg { arg, image, unsure } = need else { continue };
        let (value, note) = match (image, unsure) {
            (Some(image), false) => (format!("\"{{{{ref '{image}'}}}}\""), ""),
            (Some(image), true) => (format!("\"{{{{ref '{image}'}}}}\""), "   # a guess: which image is meant?"),
            (None, _) => ("scratch".to_owned(), "   # which image is meant?"),
        };
        let _ = writeln!(lines, "      {arg}: {value}{note}");
    }
    if !lines.is_empty() {
        let _ = write!(text, "    args:\n{lines}");
    }
    if !recipe.settable.is_empty() {
        let all: Vec<String> =
            recipe.settable.iter().map(|(name, value)| format!("{name}: {}", scalar(value))).collect();
        let _ = writeln!(text, "    # args that have defaults: {{ {} }}", one_line(&all.join(", ")));
    }
}

fn matrix(text: &mut String, group: &Group) {
    let arg = &group.handlers.arg;
    let several = group.variants.len() > 1;
    let _ = writeln!(text, "  # One image for each folder in {}.", one_line(&group.handlers.folder));
    if several {
        let _ = writeln!(text, "  # `variant` may be {}.", group.variants.join(" or "));
    }
    let _ = writeln!(text, "  {}:\n    matrix:\n      include:", scalar(&group.name));
    for (name, handler) in group.names.iter().zip(&group.handlers.names) {
        let variant = if several { format!(", variant: {}", scalar(&group.variants[0])) } else { String::new() };
        let _ = writeln!(text, "        - {{ name: {}{variant}, target: {} }}", scalar(name), scalar(handler));
    }
    let variant = if several { "\"{{matrix.variant}}\"".to_owned() } else { scalar(&group.variants[0]) };
    let _ = writeln!(
        text,
        "    name: \"{{{{matrix.name}}}}\"\n    variant: {variant}\n    args: {{ {arg}: \"{{{{matrix.target}}}}\" }}"
    );
}

/// A text as a YAML scalar that stays text, in flow and in block.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/@-".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A text that cannot end its comment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn scalars_stay_what_they_are() {
        assert_eq!(
            ["api", "./x", "a b", "true", "a:b", "-x", "say \"hi\""].map(scalar),
            ["api", "./x", "\"a b\"", "\"true\"", "\"a:b\"", "\"-x\"", "\"say \\\"hi\\\"\""]
        );
    }
}
