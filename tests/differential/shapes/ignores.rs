//! Ignore files.

use super::{Shape, shape, tree, with};

pub(super) const SHAPES: &[Shape] = &[
    shape("ignore some", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        case.text("app/.dockerignore", "# what no build needs\n*.md\nDockerfile\n.dockerignore\nlib/node_modules\n");
    }),
    shape("ignore all but", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        case.text("app/.dockerignore", "*\n!src\n!main.txt\nsrc/two.txt\n");
    }),
    shape("ignore at any depth", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        case.text("app/.dockerignore", "**/node_modules\n**/*.md\n!README.md\n**/.*\nDocker*\n");
    }),
    shape("ignore and take back below", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        case.text("app/.dockerignore", "lib\n!lib/a.js\nsrc/deep\n!src/deep/t*\ndata\n*ockerfile\n.dockerignore\n");
    }),
    shape("ignore sources", |case| {
        with(case, "FROM scratch\nCOPY src /src\nCOPY lib/*.js /lib/\n");
        case.text("app/.dockerignore", "src/deep\nlib/b*\n");
    }),
    shape("ignore by the Dockerfile's own file", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        case.text("app/.dockerignore", "src\n");
        case.text("app/Dockerfile.dockerignore", "*.md\nlib\nDockerfile*\n.dockerignore\n");
    }),
    shape("ignore beside a Dockerfile elsewhere", |case| {
        tree(case);
        case.spec.dockerfile = "docker/Dockerfile.api".to_owned();
        case.text("docker/Dockerfile.api.dockerignore", "docs\nunused\n");
        case.text("docker/.dockerignore", "src\n");
        case.dockerfile("FROM scratch\nCOPY . /\n");
    }),
    shape("ignore in a nested folder has no effect", |case| {
        tree(case);
        case.spec.dockerfile = "app/docs/Dockerfile".to_owned();
        case.text("app/docs/.dockerignore", "*\n");
        case.dockerfile("FROM scratch\nCOPY src docs /x/\n");
    }),
    shape("ignore a link's target", |case| {
        with(case, "FROM scratch\nCOPY src/one.txt link /x/\n");
        case.text("app/.dockerignore", "docs\nlib/b.js\n");
    }),
    shape("ignore with odd patterns", |case| {
        with(case, "FROM scratch\nCOPY . /\n");
        let patterns = "/docs/\n  lib/[ab].js  \n./src/../unused\nsrc/**/t?ol\n!/src/./deep/tool\n#x\n\n[^a-z]*\n";
        case.text("app/.dockerignore", patterns);
    }),
    shape("ignore in a named context", |case| {
        with(case, "FROM scratch\nCOPY main.txt /\nCOPY --from=other . /other/\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
        case.write("shared/skipped.log", "skipped");
        case.text("shared/.dockerignore", "*.log\n.dockerignore\n");
    }),
];
