//! Args, environment, directives, metadata.

use super::{Shape, shape, with};
use crate::case::Base;

pub(super) const SHAPES: &[Shape] = &[
    shape("an arg in a source", |case| {
        with(case, "FROM scratch\nARG FOLDER\nCOPY ${FOLDER} /x/\n");
        case.arg("FOLDER", &["src", "lib", "src/deep"]);
    }),
    shape("an arg with a default", |case| {
        with(case, "FROM scratch\nARG FILE=src/one.txt NAME=x\nCOPY $FILE /$NAME/\n");
        case.arg("FILE", &["src/one.txt", "src/two.txt"]);
    }),
    shape("forms of substitution", |case| {
        let text = "FROM scratch\nARG FOLDER\nARG FILE=one.txt.bak\nCOPY ${FOLDER:-lib}/${FILE%.bak} /x/\n\
                    ENV A=${FOLDER:+set} B=${MISSING-none} C=${FILE#one} D=${FILE/one/two}\n";
        with(case, text);
        case.arg("FOLDER", &["src"]);
        case.arg("FILE", &["one.txt.bak", "two.txt.bak"]);
    }),
    shape("an environment in a source", |case| {
        let text =
            "FROM scratch AS a\nENV FOLDER=src FILE=\"one.txt\"\nFROM a\nENV BOTH=$FOLDER/$FILE\nCOPY $BOTH /x/\n";
        with(case, text);
    }),
    shape("a global arg in FROM", |case| {
        let text = "ARG KIND=one\nFROM scratch AS stage-one\nCOPY src /src\nFROM scratch AS stage-two\nCOPY lib /lib\n\
                    FROM stage-${KIND}\nCOPY main.txt /\n";
        with(case, text);
        case.arg("KIND", &["one", "two"]);
    }),
    shape("a global arg in stages", |case| {
        let text = "ARG VERSION=1\nARG FULL=v${VERSION}\nFROM scratch AS a\nARG FULL\nCOPY src /src-$FULL\n\
                    FROM scratch\nARG VERSION\nLABEL version=$VERSION\nCOPY main.txt /\n";
        with(case, text);
        case.arg("VERSION", &["1", "2", "3"]);
    }),
    shape("an arg that FROM alone uses", |case| {
        with(case, "ARG BASE\nFROM ${BASE}\nCOPY main.txt /\n");
        case.arg("BASE", &["base.test/shell:1", "base.test/other:1"]);
        case.spec.outside.insert("base.test/shell:1".to_owned(), Base::Shell);
        case.spec.outside.insert("base.test/other:1".to_owned(), Base::OtherShell);
    }),
    shape("an arg that nothing uses", |case| {
        with(case, "FROM scratch\nARG UNUSED\nARG UNUSED_TOO=1\nCOPY main.txt /\n");
        case.arg("UNUSED", &["1", "2"]);
    }),
    shape("an arg that nothing uses in a stage", |case| {
        let text = "FROM scratch AS a\nARG UNUSED\nCOPY src /src\nFROM scratch\nCOPY --from=a /src /x\n";
        with(case, text);
        case.arg("UNUSED", &["1", "2"]);
    }),
    shape("args that no stage declares", |case| {
        with(case, "FROM scratch AS other\nARG ELSEWHERE\nFROM scratch\nCOPY main.txt /\n");
        case.arg("ELSEWHERE", &["1", "2"]);
        case.arg("NOWHERE", &["1", "2"]);
        case.arg("BUILDKIT_INLINE_CACHE", &["0"]);
    }),
    shape("platform args", |case| {
        let text = "FROM --platform=$BUILDPLATFORM scratch AS a\nCOPY src /src\nFROM scratch\nARG TARGETARCH\n\
                    ARG TARGETPLATFORM TARGETOS\nENV ARCH=$TARGETARCH P=$TARGETPLATFORM\nCOPY --from=a /src /src-$TARGETOS\nCOPY main.txt /\n";
        with(case, text);
    }),
    shape("a platform by number", |case| with(case, "FROM --platform=linux/arm64 scratch\nCOPY main.txt /\n")),
    shape("a volatile arg", |case| {
        let text = "FROM scratch\nARG COMMIT\nARG VERSION\nCOPY src /src\nLABEL commit=$COMMIT version=$VERSION\n\
                    ENV REV=${COMMIT}\n";
        with(case, text);
        case.arg("COMMIT", &["c0ffee", "beef", "cafe"]);
        case.arg("VERSION", &["1", "2"]);
        case.spec.args.get_mut("COMMIT").unwrap().volatile = true;
        case.spec.labels.insert("revision".to_owned(), ("c0ffee".to_owned(), true));
    }),
    shape("metadata", |case| {
        let text = "FROM scratch\nCOPY main.txt /\nLABEL a=1 b=\"two words\"\nENV PATH=/bin A=1\nEXPOSE 80 443/udp\n\
                    VOLUME /data\nUSER 1000:1000\nSTOPSIGNAL SIGTERM\nHEALTHCHECK --interval=5s CMD [\"/x\"]\n\
                    SHELL [\"/bin/sh\", \"-c\"]\nENTRYPOINT [\"/x\"]\nCMD [\"a\", \"b\"]\n";
        with(case, text);
        case.spec.labels.insert("given".to_owned(), ("1".to_owned(), false));
    }),
    shape("commands of a shell", |case| {
        let text = "FROM scratch\nCOPY main.txt /\nENTRYPOINT  exec   /x  a\nHEALTHCHECK --retries=3 CMD  test   -f /x\n\
                    CMD echo \\\n  # between\n   one   two\nMAINTAINER Ada  Lovelace\n";
        with(case, text);
    }),
    shape("triggers in the image", |case| {
        let text =
            "FROM scratch\nCOPY main.txt /\nONBUILD COPY src  /onbuild\nONBUILD ENV A=b  C=d\nONBUILD RUN a   b\n";
        with(case, text);
    }),
    shape("folders to work in", |case| {
        with(case, "FROM scratch\nWORKDIR /a\nWORKDIR b/c\nCOPY main.txt .\nWORKDIR ..\nCOPY src/ ./x\n");
    }),
    shape("another escape character", |case| {
        with(case, "# escape=`\nFROM scratch\nCOPY main.txt `\n  # between\n  src/one.txt `\n  /x/\n");
    }),
    shape("checks and continuations", |case| {
        let text = "# check=skip=all\n# a comment\n\nFROM scratch\n\n# another\nCOPY main.txt \\\n # inside\n\n  lib \\\n  /x/\n\
                    LABEL a=1 \\\n      b=2\n";
        with(case, text);
    }),
    shape("lines of Windows", |case| {
        with(case, "FROM scratch\r\nCOPY main.txt \\\r\n  src /x/\r\nLABEL a=1\r\n");
    }),
    shape("words in lower case", |case| {
        with(case, "from scratch as one\ncopy main.txt /\nfrom one\nenv A=1\ncopy lib /lib\n");
    }),
];
