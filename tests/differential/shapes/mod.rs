//! The Dockerfiles: one small project for each thing that a build can do with files, args and stages.

mod copies;
mod ignores;
mod runs;
mod scopes;
mod stages;

use crate::case::Case;
use crate::judge::Feature;

/// A project to be changed.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Writes it; the Dockerfile too.
    pub make: fn(&mut Case),
    /// Whether steps run, which takes longer.
    pub runs: bool,
    /// What an engine must know for it, where not all do.
    pub needs: Option<Feature>,
}

const fn shape(name: &'static str, make: fn(&mut Case)) -> Shape {
    Shape { name, make, runs: false, needs: None }
}

const fn runs(name: &'static str, make: fn(&mut Case)) -> Shape {
    Shape { runs: true, ..shape(name, make) }
}

const fn newer(needs: Feature, name: &'static str, make: fn(&mut Case)) -> Shape {
    Shape { needs: Some(needs), ..shape(name, make) }
}

/// All of them.
pub fn all() -> Vec<Shape> {
    [copies::SHAPES, ignores::SHAPES, runs::SHAPES, scopes::SHAPES, stages::SHAPES].concat()
}

/// The files that most projects have: all that the traps are about.
fn tree(case: &mut Case) {
    case.write("app/README.md", "read me");
    case.write("app/main.txt", "main");
    case.script("app/run.sh", "#!/bin/sh\necho run");
    case.write("app/src/one.txt", "one");
    case.write("app/src/two.txt", "two");
    case.write("app/src/.hidden", "hidden");
    case.write("app/src/deep/three.txt", "three");
    case.script("app/src/deep/tool", "#!/bin/sh\necho tool");
    case.write("app/lib/a.js", "a");
    case.write("app/lib/b.js", "b");
    case.write("app/lib/node_modules/x/index.js", "x");
    case.write("app/docs/guide.md", "guide");
    case.write("app/unused/left.txt", "left");
    case.folder("app/data/empty");
    case.link("main.txt", "app/link");
    case.link("../lib/a.js", "app/src/link");
    case.link("src/deep", "app/folder-link");
    case.write("shared/common.txt", "common");
    case.write("shared/sub/inner.txt", "inner");
}

/// The files and a Dockerfile.
fn with(case: &mut Case, dockerfile: &str) {
    tree(case);
    case.dockerfile(dockerfile);
}
