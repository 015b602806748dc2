//! Stages, named contexts, bases.

use super::{Shape, runs, shape, tree, with};
use crate::case::Base;

const MANY: &str = "FROM scratch AS left\nCOPY unused /u\n\nFROM scratch AS build\nCOPY src /src\n\nFROM left AS more\n\
                    COPY docs /docs\n\nFROM scratch\nCOPY --from=build /src/one.txt /\nCOPY main.txt /\n";

pub(super) const SHAPES: &[Shape] = &[
    shape("copy from a stage", |case| {
        with(
            case,
            "FROM scratch AS Build\nCOPY src /src\nFROM scratch\nCOPY --from=build /src/one.txt /src/deep /x/\n",
        );
    }),
    shape("copy from a numbered stage", |case| {
        with(case, "FROM scratch\nCOPY lib /lib\nFROM scratch\nCOPY --from=0 /lib/*.js /x/\nCOPY main.txt /\n");
    }),
    shape("stages that nobody needs", |case| with(case, MANY)),
    shape("a target in the middle", |case| {
        with(case, MANY);
        case.spec.target = Some("more".to_owned());
    }),
    shape("a target by name in other case", |case| {
        with(case, MANY);
        case.spec.target = Some("Build".to_owned());
    }),
    shape("stages on stages", |case| {
        let stages = "FROM scratch AS a\nCOPY main.txt /\nFROM a AS b\nCOPY lib /lib\nFROM b AS c\nCOPY src /src\n\
                      FROM a\nCOPY --from=c /src/two.txt /\n";
        with(case, stages);
    }),
    shape("two stages copy the same", |case| {
        let stages = "FROM scratch AS a\nCOPY src /a\nFROM scratch AS b\nCOPY src /b\nFROM scratch\nCOPY --from=a /a /a\n\
                      COPY --from=b /b/one.txt /b/\n";
        with(case, stages);
    }),
    shape("triggers of a stage", |case| {
        let stages = "FROM scratch AS base\nCOPY main.txt /\nONBUILD COPY src /onbuild\nONBUILD ENV A=b\n\
                      FROM base\nCOPY lib /lib\n";
        with(case, stages);
    }),
    shape("a named context", |case| {
        with(case, "FROM scratch\nCOPY main.txt /\nCOPY --from=other sub/inner.txt /x/\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
    }),
    shape("a named context as base", |case| {
        with(case, "FROM other\nCOPY main.txt /\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
    }),
    shape("a named context instead of a stage", |case| {
        with(case, "FROM scratch AS other\nCOPY lib /lib\nFROM scratch\nCOPY --from=other / /x/\nCOPY main.txt /\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
    }),
    shape("a context that nobody names", |case| {
        with(case, "FROM scratch\nCOPY main.txt /\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
    }),
    shape("a base from outside", |case| {
        with(case, "FROM base.test/shell:1\nCOPY src /src\nCOPY --from=base.test/shell:1 /bin/sh /sh\n");
        case.spec.outside.insert("base.test/shell:1".to_owned(), Base::Shell);
    }),
    shape("a base with an environment and triggers", |case| {
        with(case, "FROM base.test/triggers:1\nCOPY ${FOLDER}/one.txt here/\nWORKDIR below\nCOPY main.txt .\n");
        case.spec.outside.insert("base.test/triggers:1".to_owned(), Base::Triggers);
    }),
    shape("a base of the manifest", |case| {
        tree(case);
        case.write("below/part.txt", "part");
        case.write("below/other.txt", "other");
        case.text("below/Dockerfile", "FROM scratch\nCOPY part.txt /\n");
        case.spec.bases.insert("own".to_owned(), "below".to_owned());
        case.dockerfile("FROM own\nCOPY src /src\n");
    }),
    shape("a copy from an image of the manifest", |case| {
        tree(case);
        case.write("below/part.txt", "part");
        case.text("below/Dockerfile", "FROM scratch\nCOPY . /\n");
        case.text("below/.dockerignore", "Dockerfile\n.dockerignore\n");
        case.spec.bases.insert("own".to_owned(), "below".to_owned());
        case.dockerfile("FROM scratch\nCOPY main.txt /\nCOPY --from=own /part.txt /x/\n");
    }),
    runs("a stage that runs for another", |case| {
        let stages = "FROM base.test/shell:1 AS make\nCOPY src /src\nRUN echo made > /out\n\
                      FROM scratch\nCOPY main.txt /\nCOPY --from=make /out /\n";
        with(case, stages);
        case.spec.outside.insert("base.test/shell:1".to_owned(), Base::Shell);
    }),
];
