//! COPY and ADD: what they name, and their flags.

use super::{Shape, newer, shape, tree, with};
use crate::judge::Feature::{AnyName, Exclude, Parents};

pub(super) const SHAPES: &[Shape] = &[
    shape("copy a file", |case| with(case, "FROM scratch\nCOPY main.txt /\n")),
    shape("copy a script", |case| with(case, "FROM scratch\nCOPY run.sh src/deep/tool /bin/\n")),
    shape("copy a folder", |case| with(case, "FROM scratch\nCOPY src /src\n")),
    shape("copy a folder with a slash", |case| {
        with(case, "FROM scratch\nCOPY ./src/ /src/\nCOPY /lib/../docs /docs\n");
    }),
    shape("copy everything", |case| with(case, "FROM scratch\nCOPY . /\n")),
    shape("copy with a star", |case| with(case, "FROM scratch\nCOPY src/*.txt /txt/\n")),
    shape("copy with a star for folders", |case| with(case, "FROM scratch\nCOPY src/*/t* /t/\n")),
    shape("copy with a star for all", |case| with(case, "FROM scratch\nCOPY lib/* /lib/\n")),
    shape("copy with a question mark", |case| with(case, "FROM scratch\nCOPY lib/?.js READM?.md /lib/\n")),
    shape("copy with brackets", |case| with(case, "FROM scratch\nCOPY src/[ot]*.txt /x/\n")),
    shape("copy many", |case| with(case, "FROM scratch\nCOPY main.txt run.sh lib /x/\n")),
    shape("copy a star that may be nothing", |case| with(case, "FROM scratch\nCOPY main.txt nothing* /x/\n")),
    shape("copy as JSON", |case| with(case, "FROM scratch\nCOPY [\"main.txt\", \"src/\", \"/x/\"]\n")),
    shape("copy an empty folder", |case| with(case, "FROM scratch\nCOPY main.txt /\nCOPY data /data\n")),
    shape("copy step by step", |case| {
        with(case, "FROM scratch\nCOPY main.txt /\nCOPY lib /lib\nCOPY src/one.txt /one\nCOPY docs /docs\n");
    }),
    shape("copy with chmod", |case| with(case, "FROM scratch\nCOPY --chmod=0640 src run.sh /x/\n")),
    shape("copy with chown", |case| with(case, "FROM scratch\nCOPY --chown=1000:1001 src /x/\n")),
    shape("copy with link", |case| with(case, "FROM scratch\nCOPY --link src /x/\nCOPY --link main.txt /y/\n")),
    shape("copy a link", |case| with(case, "FROM scratch\nCOPY link /x\nCOPY main.txt /y\n")),
    shape("copy through a link", |case| with(case, "FROM scratch\nCOPY folder-link/three.txt /x\n")),
    shape("copy a link to a folder", |case| with(case, "FROM scratch\nCOPY folder-link /x\n")),
    shape("copy links in a folder", |case| {
        with(case, "FROM scratch\nCOPY src lib /x/\n");
        case.link("nowhere", "app/src/dangling");
        case.link("deep", "app/src/to-deep");
    }),
    shape("add files", |case| with(case, "FROM scratch\nADD main.txt src /x/\n")),
    shape("add an archive", |case| {
        with(case, "FROM scratch\nADD archive.tar /x/\nCOPY archive.tar /y/\n");
        case.archive("app/archive.tar");
    }),
    shape("copy documents", |case| {
        with(
            case,
            "FROM scratch\nCOPY <<EOF <<'RAW' main.txt /x/\n# a comment SALT\nvalue=$HOME\nEOF\n# raw $HOME\nRAW\n",
        );
    }),
    shape("add a document", |case| with(case, "FROM scratch\nADD --chmod=755 <<-EOF /run.sh\n\techo SALT\n\tEOF\n")),
    newer(AnyName, "copy names that are no text", |case| {
        tree(case);
        let name = std::os::unix::ffi::OsStringExt::from_vec(b"app/src/\xff\xfe.txt".to_vec());
        let name: std::ffi::OsString = name;
        std::fs::write(case.root.join(name), &case.salt).unwrap();
        case.write("app/src/b\u{e4}r +%41.txt", "bar");
        case.dockerfile("FROM scratch\nCOPY src/*.txt /x/\n");
    }),
    shape("copy from the root of the project", |case| {
        tree(case);
        case.spec.context = ".".to_owned();
        case.dockerfile("FROM scratch\nCOPY app/src /src\nCOPY shared/*.txt /\n");
    }),
    shape("copy the project", |case| {
        tree(case);
        case.spec.context = ".".to_owned();
        case.write("deploy.lock.txt", "not the lock");
        case.dockerfile("FROM scratch\nCOPY . /\n");
    }),
    shape("real modes", |case| {
        with(case, "FROM scratch\nCOPY src run.sh /x/\n");
        case.mode("app/src/one.txt", 0o600);
        case.spec.exact = true;
    }),
    shape("an assembled context", |case| {
        tree(case);
        let part = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        case.spec.parts = vec![part("app/src", "code"), part("shared", "shared"), part("app/main.txt", "main.txt")];
        case.dockerfile("FROM scratch\nCOPY code /code\nCOPY main.txt shared/common.txt /\n");
    }),
    newer(Exclude, "copy with exclude", |case| {
        with(case, "FROM scratch\nCOPY --exclude=*.txt --exclude=deep/t* src lib /x/\n");
    }),
    newer(Exclude, "copy all with exclude", |case| {
        with(case, "FROM scratch\nCOPY --exclude=**/node_modules --exclude=docs . /x/\n");
    }),
    newer(Exclude, "add with exclude", |case| with(case, "FROM scratch\nADD --exclude=one.txt src lib /x/\n")),
    newer(Parents, "copy with parents", |case| {
        with(case, "FROM scratch\nCOPY --parents src/deep/three.txt lib/*.js /x/\n");
    }),
    newer(Parents, "copy with parents and a pivot", |case| {
        with(case, "FROM scratch\nCOPY --parents ./src/./deep ./**/*.md /x/\n");
    }),
];
