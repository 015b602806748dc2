//! Text to a [`Manifest`]: everything that can be said about a file without knowing what surrounds it.

use super::node::{Kind, Node};
use super::overlay::merge;
use super::{braces, check, detect, resolve, yaml};
use crate::problem::{Code, Problem, Problems, Source};

/// A `deploy.yaml` of the right form. What it means is decided by [`super::resolve`].
#[derive(Clone, Debug)]
pub struct Manifest {
    pub(crate) source: Source,
    pub(crate) root: Node,
    pub(crate) warnings: Problems,
}

impl Manifest {
    /// The text that it was read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The names of its profiles, in the order of the file.
    pub fn profiles(&self) -> Vec<&str> {
        let profiles = self.root.get("profiles").and_then(Node::mapping);
        profiles.into_iter().flat_map(|p| p.iter().map(|(key, _)| key.text.as_str())).collect()
    }

    /// The environment variables that it may read, so that a caller need hand over no others.
    pub fn environment(&self) -> Vec<&str> {
        let profiles = self.root.get("profiles").and_then(Node::mapping);
        let parts =
            std::iter::once(&self.root).chain(profiles.into_iter().flat_map(|p| p.iter().map(|(_, value)| value)));
        let mut names = Vec::new();
        for part in parts {
            names.extend(part.get("env").into_iter().flat_map(Node::items).filter_map(Node::text));
            let vars = part.get("vars").and_then(Node::mapping);
            for (_, var) in vars.into_iter().flat_map(super::node::Mapping::iter) {
                names.extend(var.get("env").and_then(Node::text));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The file with a profile laid over it, and without profiles. An unknown profile changes nothing.
    pub(crate) fn overlaid(&self, profile: Option<&str>) -> Node {
        let mut root = self.root.clone();
        if let Kind::Mapping(mapping) = &mut root.kind {
            mapping.remove("profiles");
        }
        let overlay = profile.and_then(|profile| self.root.get("profiles")?.get(profile));
        overlay.map_or(root.clone(), |overlay| {
            resolve::forget_old_kinds(&mut root, overlay);
            merge(root, overlay)
        })
    }

    /// Whether resolving it may ask for the number of the AWS account: `{{aws.account}}`, or an ECR registry that does not say.
    pub fn needs_aws_account(&self, profile: Option<&str>) -> bool {
        fn mentions(node: &Node) -> bool {
            match &node.kind {
                Kind::Null => false,
                Kind::Scalar(scalar) => scalar.text.contains("aws.account"),
                Kind::Sequence(items) => items.iter().any(mentions),
                Kind::Mapping(mapping) => {
                    let ecr = mapping.get("kind").and_then(Node::text) == Some("ecr");
                    (ecr && mapping.get("account").or_else(|| mapping.get("role")).is_none())
                        || mapping.iter().any(|(_, value)| mentions(value))
                }
            }
        }
        mentions(&self.overlaid(profile))
    }
}

/// Reads a manifest and checks its form.
///
/// # Errors
/// All that is wrong with the text, its keys and the types of its values, each with its place.
pub fn parse(source: &Source) -> Result<Manifest, Problems> {
    let (manifest, problems) = parse_all(source)?;
    let manifest = problems.or(manifest)?;
    Ok(Manifest { warnings: problems, ..manifest })
}

/// Reads a manifest as far as it can be read, with all that is wrong with its form, so that later stages can add what they find.
///
/// # Errors
/// What makes it no manifest at all.
pub fn parse_all(source: &Source) -> Result<(Manifest, Problems), Problems> {
    if let Some(problem) = detect::other_text(source) {
        return Err(problem.into());
    }
    let begin = source.at(0, 0);
    let (root, mut problems) = yaml::read(source)?;
    let Some(root) = root else {
        problems.or(())?;
        return Err(Problem::error(Code::MissingKey, "the manifest is empty")
            .at(&begin, "`version: 1` and `project:` belong here")
            .help("README.md of orchestrate shows a first manifest")
            .into());
    };
    if let Some(problem) = detect::other_tool(&root).or_else(|| version_problem(&root)) {
        return Err(problem.into());
    }
    problems.append(check::document(&root));
    braces::check(&root, &mut problems);
    Ok((Manifest { source: source.clone(), root, warnings: Problems::new() }, problems))
}

fn version_problem(root: &Node) -> Option<Problem> {
    let version = root.get("version")?;
    if version.text() == Some("1") {
        return None;
    }
    let shown = version.text().unwrap_or("this");
    Some(
        Problem::error(Code::UnsupportedVersion, format!("version `{shown}` of the manifest is not known"))
            .at(&version.location, "this program reads version 1")
            .help("write `version: 1`, or use a newer orchestrate"),
    )
}
