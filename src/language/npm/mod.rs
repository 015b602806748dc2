//! npm, pnpm and yarn: the workspaces that a workspace depends on.
//!
//! Only workspaces lose files: what belongs to none (the root with its configuration among them) stays. Development dependencies
//! count, because a build in a container runs them; so does a package that a source file imports without declaring it.
//!
//! Source: npm's documentation of package.json (`workspaces`, dependency forms, life cycle scripts), pnpm's of
//! pnpm-workspace.yaml and of the `workspace:` protocol.

mod manifest;
mod packages;
mod script;
#[cfg(test)]
mod tests;

pub use manifest::NpmManifest;
pub(super) use packages::close;
pub use script::ScriptFile;
