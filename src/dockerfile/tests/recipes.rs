//! What counts of the instructions, and what a build needs beside files.

use super::*;

#[test]
fn what_the_recipe_does_not_see() {
    let same = |a: &str, b: &str| assert_eq!(case(a).recipe(), case(b).recipe(), "{a:?} {b:?}");
    let other = |a: &str, b: &str| assert_ne!(case(a).recipe(), case(b).recipe(), "{a:?} {b:?}");
    same("FROM scratch\nCOPY a b\n", "# hi\nfrom scratch as x\n\n# there\ncopy   a \\\n  b");
    same(
        "FROM scratch AS a\nCOPY 1 /\nFROM scratch\nCOPY --from=a x y",
        "FROM scratch AS z\nCOPY 1 /\nFROM scratch\nCOPY --from=0 x y",
    );
    same("FROM scratch AS no\nRUN x\nFROM scratch\nCOPY a b", "FROM scratch\nCOPY a b");
    same("FROM scratch\nRUN a \\\n# c\n b", "FROM scratch\nRUN a  b");
    same("FROM scratch\nCOPY --link a b", "FROM scratch\nCOPY --link=true a b");
    other("FROM scratch\nRUN a b", "FROM scratch\nRUN a  b");
    other("FROM scratch\nRUN [\"a\"]", "FROM scratch\nRUN a");
    other("FROM scratch\nCOPY a b c", "FROM scratch\nCOPY [\"a b\", \"c\"]");
    other("FROM scratch\nRUN <<E\na\nE", "FROM scratch\nRUN <<E\nb\nE");
    other("FROM scratch\nCOPY <<E /x\na\nE", "FROM scratch\nCOPY <<'E' /x\na\nE");
    other("FROM scratch\nCOPY --chmod=1 a b", "FROM scratch\nCOPY a b");
    other("FROM scratch\nARG A=1\nRUN x", "FROM scratch\nARG A=2\nRUN x");
    other("ARG A=1\nFROM scratch\nARG A\nRUN x", "ARG A=2\nFROM scratch\nARG A\nRUN x");
    other("FROM scratch\nLABEL a=b", "FROM scratch\nLABEL a=c");
    other("FROM scratch\nUSER a", "FROM scratch\nWORKDIR a");
    other("FROM scratch\nONBUILD RUN a", "FROM scratch\nONBUILD RUN b");
    other("FROM scratch\nHEALTHCHECK CMD a", "FROM scratch\nHEALTHCHECK NONE");
    other("FROM scratch\nCOPY a` b` c", "# escape=`\nFROM scratch\nCOPY a` b` c");
    other("FROM scratch\nRUN --mount=type=cache,target=/a x", "FROM scratch\nRUN --mount=type=cache,target=/b x");
    same("FROM scratch\nCOPY a b\nENV a=b", "FROM scratch\nCOPY 'a' \"b\"\nENV a='b'");
    let given = |text: &str| case(text).arg("A", "9").recipe();
    // BuildKit writes the default into the history of the image, whatever is given.
    assert_ne!(given("FROM scratch\nARG A=1\nRUN x"), given("FROM scratch\nARG A=2\nRUN x"));
    assert_eq!(given("FROM scratch\nARG A=1\nRUN x"), case("FROM scratch\nARG A=1\nRUN x").recipe());
    // It does not matter who gives a global arg its value.
    let global = |default: &str| format!("ARG A{default}\nFROM scratch\nARG A\nRUN x");
    assert_eq!(given(&global("=1")), case(&global("=9")).recipe());
    assert_ne!(given(&global("=1")), case(&global("=1")).recipe());
    // The text of a trigger goes into the configuration as it is, whatever the case and the blanks.
    other("FROM scratch\nONBUILD COPY a b", "FROM scratch\nONBUILD copy a b");
    other("FROM scratch\nONBUILD COPY a b", "FROM scratch\nONBUILD COPY a  b");
    same("FROM scratch\nONBUILD COPY a b", "FROM scratch\nonbuild   COPY a \\\n# aside\nb");
    assert!(
        !format!("{:?}", given("FROM scratch\nARG A=1\nENV B=$A\nRUN x")).contains('9'),
        "no value that may be volatile"
    );
}

#[test]
fn secrets_remotes_and_the_need_for_a_builder() {
    let text = "FROM scratch\nRUN --mount=type=secret,id=a,required=true --mount=type=secret,target=/run/b --mount=type=ssh x\nADD --checksum=sha256:1111111111111111111111111111111111111111111111111111111111111111 https://x.y/z /\nADD https://x.y/z.git#v1 /g\n";
    let analysis = case(text).ok();
    assert_eq!(analysis.secrets, BTreeMap::from([("a".to_owned(), true), ("b".to_owned(), false)]));
    assert_eq!(analysis.ssh, BTreeMap::from([("default".to_owned(), false)]));
    assert_eq!(analysis.remotes.len(), 2);
    assert_eq!(
        (analysis.remotes[0].checksum.as_deref(), analysis.remotes[1].kind),
        (Some(format!("sha256:{}", "1".repeat(64)).as_str()), RemoteKind::Git)
    );
    assert_eq!(analysis.first_run.unwrap().1.to_string(), "Dockerfile:2:1");
    assert_eq!(case("FROM scratch AS r\nRUN x\nFROM scratch\nCOPY a b\n").ok().first_run, None);
}

#[test]
fn front_ends() {
    for (line, known) in [
        ("# syntax=docker/dockerfile:1", true),
        ("#syntax = docker.io/docker/dockerfile:1.7-labs", true),
        ("# SYNTAX=docker/dockerfile-upstream:master", true),
        ("# syntax=example.com/other:1 with arguments", false),
        ("# a comment\n# syntax=example.com/other", true),
        ("\n# syntax=example.com/other", true),
        ("#!/usr/bin/env x\n# syntax=example.com/other", false),
    ] {
        let analysis = case(&format!("{line}\nFROM scratch\nCOPY a b\n")).ok();
        assert_eq!(analysis.frontend_known, known, "{line}");
        assert_eq!(reads(&analysis), if known { ":a" } else { ":." }, "{line}");
    }
    let opaque = case("# syntax=example.com/other\nthis: is\n  no: Dockerfile\n").arg("A", "1").ok();
    assert_eq!((reads(&opaque).as_str(), opaque.args.len(), opaque.stages.len()), (":.", 1, 1));
    assert!(opaque.first_run.is_some());
    let arg = case("FROM scratch\n").arg("BUILDKIT_SYNTAX", "other/x").ok();
    assert!(!arg.frontend_known);
}
