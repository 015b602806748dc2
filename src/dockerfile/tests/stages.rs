//! Stages, images from outside and named contexts.

use super::*;

#[test]
fn stages_that_the_target_needs() {
    let text = "FROM scratch AS a\nCOPY 1 /\nFROM a AS b\nCOPY 2 /\nFROM scratch AS c\nCOPY --from=0 / /\nCOPY 3 /\nFROM scratch\nRUN --mount=from=C,target=/x x\n";
    for (target, want) in [(None, "0 2 3"), (Some("A"), "0"), (Some("b"), "0 1"), (Some("c"), "0 2")] {
        let mut case = case(text);
        case.target = target.map(str::to_owned);
        let stages: Vec<_> = case.ok().stages.iter().map(|stage| stage.index.to_string()).collect();
        assert_eq!(stages.join(" "), want, "{target:?}");
    }
    assert_eq!(case("FROM alpine AS alpine\nFROM alpine\n").ok().stages.len(), 2, "a stage shadows an image");
    assert_eq!(case("FROM 0\n").base("0", &[], &[]).ok().references[0].text, "0", "FROM takes no numbers");
    assert_eq!(
        case("FROM scratch\nCOPY --from=1 a b\nFROM scratch\n").ok().stages.len(),
        1,
        "not reached, so no problem"
    );
    let twice = case("FROM scratch AS a\nCOPY 1 /\nFROM scratch AS a\nCOPY 2 /\n").target("a").ok();
    assert_eq!((reads(&twice).as_str(), twice.warnings.is_empty()), (":2", false));
}

#[test]
fn images_from_outside() {
    let text = "ARG TAG=3\nARG IMAGE=alpine:$TAG\nFROM --platform=$BUILDPLATFORM $IMAGE AS build\nFROM scratch\nCOPY --from=build / /\nCOPY --from=busybox /x /\nRUN --mount=from=debian:12,target=/d x\nCOPY --from=scratch / /\n";
    let analysis = case(text).ok();
    assert_eq!(references(&analysis), "alpine:3 busybox debian:12");
    assert_eq!(analysis.references[0].platform.to_string(), "linux/amd64");
    assert_eq!(analysis.references[1].platform.to_string(), "linux/arm64");
    assert_eq!(analysis.references[1].kind, ImageUseKind::CopyFrom);
    assert!(
        analysis.args["IMAGE"].from_only && analysis.args["TAG"].from_only && analysis.args["BUILDPLATFORM"].predefined
    );
    assert_eq!(references(&case(text).arg("TAG", "4").ok()), "alpine:4 busybox debian:12");
    let used = case("ARG V=1\nFROM a:$V\nARG V\nRUN x\n").ok();
    assert!(!used.args["V"].from_only && used.args["V"].value.as_deref() == Some("1"));
}

#[test]
fn named_contexts_stand_for_stages_and_images() {
    let text = "FROM alpine AS base\nCOPY a /\nFROM base\nCOPY --from=docker.io/library/tools:latest /t /\nCOPY --from=src x /\nRUN --mount=from=src,source=y,target=/y x\n";
    let plain = case(text).base("alpine", &[], &[]).ok();
    assert_eq!(
        (references(&plain).as_str(), reads(&plain).as_str()),
        ("alpine docker.io/library/tools:latest src src", ":a")
    );
    let with = case(text).context("tools").context("src").context("alpine").ok();
    assert_eq!((references(&with).as_str(), reads(&with).as_str()), ("", ":a alpine: src:x src:y tools:/t"));
    assert_eq!(with.contexts_used.len(), 3);
    let stage = case(text).context("base").ok();
    assert_eq!(reads(&stage), "base:", "the stage's own instructions are not used");
    assert_eq!(case("FROM scratch\n").context("scratch").ok().contexts_used.len(), 0);
}
