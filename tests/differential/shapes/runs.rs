//! RUN and its mounts. A shell comes from an image, so that little is copied.

use super::{Shape, runs, tree};
use crate::case::{Base, Case};

fn on_shell(case: &mut Case, steps: &str) {
    tree(case);
    case.spec.outside.insert("base.test/shell:1".to_owned(), Base::Shell);
    case.dockerfile(&format!("FROM base.test/shell:1\n{steps}"));
}

pub(super) const SHAPES: &[Shape] = &[
    runs("run after a copy", |case| on_shell(case, "COPY src /src\nRUN echo done > /done\nCOPY main.txt /\n")),
    runs("run with args", |case| {
        on_shell(case, "ARG VERSION=0\nARG COMMIT\nCOPY main.txt /\nRUN echo $VERSION > /version\n");
        case.arg("VERSION", &["1", "2"]);
        case.arg("COMMIT", &["a", "b"]);
        case.spec.args.get_mut("COMMIT").unwrap().volatile = true;
    }),
    runs("run with an arg that it does not name", |case| {
        on_shell(case, "COPY main.txt /\nRUN echo before > /before\nARG LATE\nRUN echo after > /after\n");
        case.arg("LATE", &["1", "2"]);
    }),
    runs("mount a folder", |case| {
        on_shell(case, "RUN --mount=type=bind,source=src,target=/src cat /src/one.txt > /out\n");
    }),
    runs("mount everything", |case| on_shell(case, "RUN --mount=target=/all ls /all > /out; echo SALT\n")),
    runs("mount a file", |case| {
        on_shell(case, "COPY lib /lib\nRUN --mount=type=bind,source=main.txt,target=/m,rw true > /out\n");
    }),
    runs("mount from a stage", |case| {
        tree(case);
        case.spec.outside.insert("base.test/shell:1".to_owned(), Base::Shell);
        let text = "FROM scratch AS files\nCOPY src /src\nFROM base.test/shell:1\n\
                    RUN --mount=from=files,source=/src/deep,target=/d ls /d > /out; echo SALT\n";
        case.dockerfile(text);
    }),
    runs("mount from a named context", |case| {
        on_shell(case, "RUN --mount=from=other,source=sub,target=/d cat /d/* > /out; echo SALT\n");
        case.spec.contexts.insert("other".to_owned(), "shared".to_owned());
    }),
    runs("mount a cache and a memory", |case| {
        let steps = "COPY main.txt /\nRUN --mount=type=cache,target=/c,id=SALT --mount=type=tmpfs,target=/t echo a > /c/x; echo > /out\n";
        on_shell(case, steps);
    }),
    runs("mount a secret", |case| {
        on_shell(
            case,
            "COPY main.txt /\nRUN --mount=type=secret,id=token [ -s /run/secrets/token ] && echo ok > /out\n",
        );
        case.write("secret.txt", "secret");
        case.spec.secrets.insert("token".to_owned(), "secret.txt".to_owned());
    }),
    runs("run a document", |case| {
        on_shell(
            case,
            "COPY main.txt /\nRUN <<EOF\n# a comment\necho SALT > /out\nEOF\nRUN [\"/bin/sh\", \"-c\", \"echo\"]\n",
        );
    }),
    runs("run without a file", |case| on_shell(case, "ENV A=SALT\nRUN echo $A > /out\n")),
];
