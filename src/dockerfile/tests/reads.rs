//! Which names of a context a build can see. Lines marked "seen" were compared with a real BuildKit.

use super::*;

#[test]
fn what_is_read_of_contexts() {
    for (text, want) in [
        ("COPY a b /x/", ":a :b"),
        ("copy a /x", ":a"),
        ("ADD a /x", ":a"),
        ("COPY [\"a b\", \"/x\"]", ":a b"),
        ("COPY \"a\" 'b' /x/", ":a :b"), // seen
        ("COPY a\\ b /x/", ":a :b"),
        ("COPY a \\\n  b \\\n# comment\n\n  c /x/", ":a :b :c"),
        ("COPY a \\  \n b /x/", ":a :b"),
        ("COPY --chown=1:2 --chmod=755 --link a /x", ":a"),
        ("COPY --link=false a /x", ":a"),
        ("COPY --exclude=*.md --exclude=x --parents a /x", ":a"),
        ("COPY <<EOF /x\nhi\nEOF", ""),
        ("COPY <<EOF b /x/\nhi\nEOF\nCOPY c /x", ":b :c"),
        ("COPY <<-\"EOF\" <<B /x/\n\thi\n\tEOF\nb\nB\nCOPY c /x", ":c"),
        ("RUN <<EOF\nCOPY x y\nEOF", ""),
        ("RUN cat <<EOF > /x && cat <<-'B'\nCOPY x y\nEOF\nCOPY z y\n\tB\nCOPY c /x", ":c"),
        ("RUN 3<<EOF cat\nCOPY x y\nEOF\nCOPY c /x", ":c"),
        ("RUN echo \"<<EOF\"\nCOPY c /x", ":c"),
        ("RUN echo \"open <<EOF\nCOPY c /x", ":c"),
        ("RUN [\"cat\", \"<<EOF\"]\nCOPY c /x", ":c"),
        ("RUN echo $((1<<2))\nCOPY c /x", ":c"),
        ("RUN --mount=type=bind,target=/x true", ":"),
        ("RUN --mount=target=/x,source=a true", ":a"),
        ("RUN --mount=type=bind,src=a,dst=/x,rw true", ":a"),
        ("RUN --mount=type=cache,target=/x true", ""),
        ("RUN --mount=type=tmpfs,target=/x true", ""),
        ("RUN --mount=type=secret,id=s true", ""),
        ("RUN --mount='type=bind,\"source=a,b\",target=/x' true", ":a,b"),
        ("ONBUILD COPY a /x", ""),
        ("ENV D=dir\nCOPY $D/a ${D}b /x/", ":dir/a :dirb"),
        ("ENV D=dir E=$D\nCOPY x$E /x/", ":x"),
        ("ENV D dir with blanks\nCOPY $D /x/", ":dir with blanks"),
        ("ARG D=dir\nCOPY $D /x/", ":dir"),
        ("ARG D\nCOPY $D /x/", ":"),               // seen: the whole context
        ("ARG A=1 B=2 C\nCOPY $A$B$C /x/", ":12"), // seen
        ("ARG A=1\nENV A=2\nCOPY $A /x/", ":2"),
        ("ENV A=2\nARG A=1\nCOPY $A /x/", ":1"),
        ("ARG A=1\nARG B=${A}b\nCOPY $B /x/", ":1b"),
        ("ARG TARGETARCH\nCOPY bin-$TARGETARCH /x", ":bin-arm64"),
        ("COPY bin-$TARGETARCH /x", ":bin-"),
        ("ARG BUILDPLATFORM\nCOPY $BUILDPLATFORM /x", ":linux/amd64"),
        ("ENV A=x\nENV A=\"$A y\"\nCOPY $A /x", ":x y"),
        ("ENV A=\"a\\\"b\"\nCOPY $A /x", ":a\"b"),
        ("ENV A='x' B=y\\ z\nCOPY $A$B /x", ":xy z"),
        (
            "LABEL a=b c=\"d\"\nEXPOSE 80/tcp\nVOLUME [\"/v\"]\nUSER u\nWORKDIR /w\nSTOPSIGNAL 9\nMAINTAINER me\nCOPY a /x",
            ":a",
        ),
        (
            "HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=1s --retries=3 CMD x\nCOPY a /x",
            ":a",
        ),
        ("HEALTHCHECK NONE\nSHELL [\"/bin/bash\", \"-c\"]\nCMD [\"x\"]\nENTRYPOINT x\nCOPY a /x", ":a"),
        ("STOPSIGNAL --x 9\nCMD\nENTRYPOINT\nWORKDIR $NOPE\nWORKDIR a b\nCOPY a /x", ":a"), // seen
        ("ADD https://example.com/x.tar /x", ""),
        ("ADD https://example.com/x.git#main /x", ""),
        ("ADD git@example.com:a/b /x", ""),
        ("ADD github.com/a/b /x", ":github.com/a/b"),
    ] {
        assert_eq!(reads(&case(&format!("FROM scratch\n{text}\n")).ok()), want, "{text}");
        let dos = format!("\u{feff}FROM scratch\n{text}\n").replace('\n', "\r\n");
        assert_eq!(reads(&case(&dos).ok()), want, "with CRLF and a byte order mark: {text}");
    }
}
