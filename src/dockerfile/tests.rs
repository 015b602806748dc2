//! The constructs of Docker's reference, and what BuildKit refuses. Lines marked "seen" were compared with a real BuildKit.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::platform::Platform;
use crate::problem::{Problems, Source};

struct Case {
    file: Source,
    args: BTreeMap<String, String>,
    contexts: BTreeSet<String>,
    bases: BTreeMap<String, BaseConfig>,
    target: Option<String>,
}

fn case(text: &str) -> Case {
    Case {
        file: Source::new("Dockerfile", text),
        args: BTreeMap::new(),
        contexts: BTreeSet::new(),
        bases: BTreeMap::new(),
        target: None,
    }
}

impl Case {
    fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn context(mut self, name: &str) -> Self {
        self.contexts.insert(name.to_owned());
        self
    }

    fn target(mut self, name: &str) -> Self {
        self.target = Some(name.to_owned());
        self
    }

    fn base(mut self, name: &str, env: &[(&str, &str)], onbuild: &[&str]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let onbuild = onbuild.iter().map(|text| (*text).to_owned()).collect();
        self.bases.insert(name.to_owned(), BaseConfig { env, onbuild, workdir: String::new() });
        self
    }

    fn result(&self) -> Result<Analysis, Problems> {
        let platform: Platform = "linux/arm64".parse().unwrap();
        let build_platform: Platform = "linux/amd64".parse().unwrap();
        let file = parse(&self.file)?;
        analyze(
            &file,
            &Request {
                target: self.target.as_deref(),
                target_location: None,
                platform: &platform,
                build_platform: &build_platform,
                args: &self.args,
                contexts: &self.contexts,
                base_env: &|text, _| self.bases.get(text).cloned(),
            },
        )
    }

    fn ok(&self) -> Analysis {
        self.result().unwrap_or_else(|problems| panic!("{}\n{}", self.file.text(), shown(&problems)))
    }

    fn problems(&self) -> String {
        self.result().err().map(|problems| shown(&problems)).unwrap_or_default()
    }

    fn recipe(&self) -> Vec<Vec<String>> {
        self.ok().stages.into_iter().map(|stage| stage.recipe).collect()
    }
}

fn shown(problems: &Problems) -> String {
    let one = |problem: &&crate::problem::Problem| {
        let place = problem.labels.first().map(|label| label.location.to_string()).unwrap_or_default();
        format!("{} {place} {} {}", problem.code, problem.message, problem.help.as_deref().unwrap_or_default())
    };
    problems.sorted().iter().map(one).collect::<Vec<_>>().join("\n")
}

/// `context:pattern` of all reads.
fn reads(analysis: &Analysis) -> String {
    let all = analysis
        .reads
        .iter()
        .flat_map(|(name, reads)| reads.iter().map(move |read| format!("{name}:{}", read.pattern)));
    all.collect::<Vec<_>>().join(" ")
}

fn references(analysis: &Analysis) -> String {
    analysis.references.iter().map(|used| used.text.clone()).collect::<Vec<_>>().join(" ")
}

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

#[test]
fn what_buildkit_refuses() {
    for (text, want) in [
        ("", "missing-from Dockerfile:1:1 the Dockerfile has no instructions"),
        ("# only\n", "missing-from"),
        ("ARG A\n", "missing-from Dockerfile:1:1 the Dockerfile has no FROM"),
        ("RUN x\nFROM scratch", "missing-from Dockerfile:1:1 an instruction stands before the first FROM"),
        ("FROM scratch\nFOO bar", "unknown-instruction Dockerfile:2:1 `FOO`"),
        ("FROM scratch\nCOPYY a b", "did you mean `COPY`?"),
        ("FROM scratch\nCOPY --frm=0 a b", "unknown-flag Dockerfile:2:6 COPY has no flag `--frm` did you mean `from`?"), // seen
        ("FROM scratch\nCMD --x", "unknown-flag"), // seen
        ("FROM scratch\nCOPY --from a b", "`--from` needs `=`"),
        ("FROM scratch\nCOPY --link=maybe a b", "`--link` is on or off"), // seen
        ("FROM scratch\nCOPY --chown=1 --chown=2 a b", "`--chown` stands twice"),
        ("FROM scratch\nCOPY a", "COPY needs a source and a destination"), // seen
        ("FROM scratch\nCOPY [\"a\"]", "COPY needs a source and a destination"), // seen
        ("FROM scratch\nCOPY a <<EOF\nx\nEOF", "a heredoc cannot be the destination"), // seen
        ("FROM scratch\nCOPY <<EOF /x\nhi", "the heredoc `EOF` is not closed"), // seen
        ("FROM scratch\nCOPY https://x/y /z", "COPY cannot fetch"),        // seen
        ("FROM scratch\nRUN [\"a\", 1]", "nothing but strings"),           // seen
        ("FROM scratch\nSHELL sh", "SHELL takes a JSON array"),            // seen
        ("FROM scratch\nENV a", "write `ENV a=value`"),                    // seen
        ("FROM scratch\nENV a=b c", "`c` has no `=`"),                     // seen
        ("FROM scratch\nENV =x", "ENV needs a name before `=`"),           // seen
        ("FROM scratch\nARG =x", "ARG needs a name before `=`"),           // seen
        ("FROM scratch\nARG", "ARG needs a name"),                         // seen
        ("FROM scratch\nLABEL", "LABEL needs a name and a value"),         // seen
        ("FROM scratch\nWORKDIR", "WORKDIR needs an argument"),            // seen
        ("FROM scratch\nUSER", "USER needs an argument"),                  // seen
        ("FROM scratch\nEXPOSE", "EXPOSE needs an argument"),              // seen
        ("FROM scratch\nVOLUME [\"\"]", "VOLUME needs a path"),            // seen
        ("FROM scratch\nMAINTAINER", "MAINTAINER needs an argument"),      // seen
        ("FROM scratch\nONBUILD", "ONBUILD needs an instruction"),         // seen
        ("FROM scratch\nONBUILD FROM x", "FROM cannot stand behind ONBUILD"), // seen
        ("FROM scratch\nONBUILD ONBUILD RUN x", "ONBUILD cannot stand behind ONBUILD"), // seen
        ("FROM scratch\nHEALTHCHECK", "HEALTHCHECK needs"),                // seen
        ("FROM scratch\nHEALTHCHECK FOO", "`FOO` is not a health check"),  // seen
        ("FROM scratch\nHEALTHCHECK NONE x", "takes no arguments"),        // seen
        ("FROM scratch\nHEALTHCHECK CMD", "needs a command"),              // seen
        ("FROM scratch\nHEALTHCHECK --interval=1 CMD x", "`1` is not a value"), // seen
        ("FROM scratch\nRUN --network=foo x", "`foo` is not a network"),   // seen
        ("FROM scratch\nRUN --mount=type=foo x", "`foo` is not a type of mount"), // seen
        ("FROM scratch\nRUN --mount=type=bind,frmo=x,target=/x x", "a mount has no `frmo`"), // seen
        ("FROM scratch\nRUN --mount=type=cache x", "needs a `target`"),    // seen
        ("FROM scratch\nRUN --mount=type=secret x", "a secret needs"),     // seen
        ("FROM scratch\nRUN --mount=from=$X,target=/x x", "takes no variable"), // seen
        ("FROM scratch\nLABEL a=\"b", "bad-substitution"),                 // seen
        ("FROM scratch\nLABEL a=${b^^}", "bad-substitution Dockerfile:2:9"), // seen
        ("FROM scratch\nCOPY ${X:?which} /x", "which"),
        ("FROM scratch foo", "FROM takes one image"),            // seen
        ("FROM scratch AS 1a", "cannot be the name of a stage"), // seen
        ("FROM scratch as B\nFROM B", "the stage is named `b`"), // seen
        ("ARG X\nFROM img:$X", "arg-without-value Dockerfile:2:6 FROM uses `X`, which has no value pass `X`"), // seen
        ("ARG IMAGE=a\nFROM $IMAG", "did you mean `IMAGE`?"),    // seen
        ("FROM ${X}", "arg-without-value"),                      // seen
        ("FROM base$X", "arg-without-value"),
        ("FROM UPPER", "bad-reference"),
        ("FROM --platform=$P scratch", "arg-without-value"),
        ("FROM --platform=nonsense scratch", "is not a platform"),
        ("FROM scratch\nCOPY --from=5 a b", "unknown-stage Dockerfile:2:6 there is no stage 5"), // seen
        ("FROM scratch\nCOPY --from=0 a b", "stage-order Dockerfile:2:6 stage 0 builds on itself"), // seen
        ("FROM scratch\nCOPY --from=$X a b", "`--from` takes no variable"),                      // seen
        ("FROM scratch AS a\nFROM scratch AS A\nCOPY --from=a x y", "stage-order"),              // seen
        ("FROM scratch AS a\nCOPY --from=b x y\nFROM a AS b", "builds on itself"),
        (
            "FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nFROM a",
            "comes after the stage that copies from it",
        ),
        ("# escape=x\nFROM scratch", "cannot be the escape character"),
        ("# escape=`\n# escape=`\nFROM scratch", "stands twice"),
    ] {
        let got = case(text).problems();
        assert!(got.contains(want), "{text:?}\n  got  {got}\n  want {want}");
    }
    let two = case("FROM scratch\nFOO\nCOPY a\n").problems();
    assert_eq!(two.lines().count(), 2, "all problems at once: {two}");
    assert!(case("FROM scratch AS build\n").target("biuld").problems().contains("did you mean `build`?"));
}

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

#[test]
fn args_that_matter() {
    let text = "ARG G=g\nARG UNUSED=1\nFROM scratch AS a\nARG A=a-$NOPE\nARG G\nRUN x\nFROM scratch AS b\nARG B\nFROM a\nARG C\nENV X=$C\n";
    let base = case(text)
        .arg("B", "1")
        .arg("C", "c")
        .arg("UNUSED", "2")
        .arg("NOWHERE", "x")
        .arg("BUILDKIT_INLINE_CACHE", "1")
        .arg("HTTP_PROXY", "p");
    let analysis = base.ok();
    let args: Vec<_> =
        analysis.args.iter().map(|(name, arg)| format!("{name}={}", arg.value.clone().unwrap_or_default())).collect();
    assert_eq!(args, ["A=a-", "C=c", "G=g"]);
    let lost: Vec<_> = analysis.undeclared.iter().map(|(name, why)| format!("{name} {why:?}")).collect();
    assert_eq!(lost, ["B Unreachable", "NOWHERE Nowhere", "UNUSED Unreachable"]);
    let made = case("ARG V=1\nARG T=v$V\nFROM scratch\nARG T\nRUN x\n").arg("V", "2").ok();
    assert_eq!(made.args["T"].value.as_deref(), Some("v2"));
    assert_eq!(made.args["T"].made_from, BTreeSet::from(["V".to_owned()]));
    assert!(!made.args["V"].from_only);
    assert!(case("FROM scratch\nRUN x\n").arg("SOURCE_DATE_EPOCH", "0").ok().args.contains_key("SOURCE_DATE_EPOCH"));
    let proxy = case("FROM scratch\nARG HTTP_PROXY\nRUN x\n").arg("HTTP_PROXY", "p").ok();
    assert!(proxy.args.contains_key("HTTP_PROXY"));
}

#[test]
fn the_environment_of_a_base_counts() {
    let text = "FROM app AS a\nCOPY $HOME_DIR/x /\nFROM a\nCOPY $HOME_DIR/y /\n";
    let known = case(text).base("app", &[("HOME_DIR", "h")], &[]).ok();
    assert_eq!(reads(&known), ":h/x :h/y");
    let unknown = case(text).ok();
    assert_eq!(reads(&unknown), ":. :.");
    assert!(shown(&unknown.warnings).contains("unknown-environment"));
    let triggers = case("FROM app\nRUN x\n").base("app", &[], &["COPY . /app", "RUN make"]).ok();
    assert_eq!(reads(&triggers), ":.");
    assert!(triggers.stages[0].recipe[1].starts_with("COPY"));
    let stage = case("FROM scratch AS a\nONBUILD COPY x /\nFROM a\n").ok();
    assert_eq!(reads(&stage), ":x");
    assert!(case("FROM app\n").base("app", &[], &["FROM x"]).problems().contains("trigger"));
}

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
    let text = "FROM scratch\nRUN --mount=type=secret,id=a,required=true --mount=type=secret,target=/run/b --mount=type=ssh x\nADD --checksum=sha256:1 https://x.y/z /\nADD https://x.y/z.git#v1 /g\n";
    let analysis = case(text).ok();
    assert_eq!(analysis.secrets, BTreeMap::from([("a".to_owned(), true), ("b".to_owned(), false)]));
    assert_eq!(analysis.ssh, BTreeMap::from([("default".to_owned(), false)]));
    assert_eq!(analysis.remotes.len(), 2);
    assert_eq!(
        (analysis.remotes[0].checksum.as_deref(), analysis.remotes[1].kind),
        (Some("sha256:1"), RemoteKind::Git)
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

#[test]
fn steps_are_expanded() {
    let text = "FROM scratch\nARG U=7\nENV D=/d\nCOPY --chown=$U a $D/\nCOPY <<E /x\nit's $U\nE\nWORKDIR $D/w\n";
    let steps = case(text).ok().stages.remove(0).steps;
    let Kind::Copy(transfer) = &steps[2].instruction.kind else { panic!("{steps:?}") };
    assert_eq!(
        (transfer.destination.text.as_str(), steps[2].instruction.flag("chown").unwrap().value.as_deref()),
        ("/d/", Some("7"))
    );
    assert_eq!(steps[3].instruction.heredocs[0].body, "it's 7\n");
    assert!(matches!(&steps[4].instruction.kind, Kind::Workdir(word) if word.text == "/d/w"));
}

#[test]
fn places_lead_back_to_the_file() {
    let text = "FROM scratch\nCOPY a \\\n # c\n   ${x^} /\n";
    let problems = case(text).result().unwrap_err();
    let place = &problems.sorted()[0].labels[0].location;
    assert_eq!(place.to_string(), "Dockerfile:4:4");
    assert_eq!(&text[place.span.start..place.span.start + place.span.length], "${x^}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = case(&String::from_utf8_lossy(&bytes)).result();
    }

    #[test]
    fn arbitrary_lines_do_not_panic(lines in proptest::collection::vec(
        "(FROM|COPY|RUN|ADD|ARG|ENV|ONBUILD|HEALTHCHECK|LABEL|VOLUME|#|) ?(--[a-z]{0,6}=?)?[a-z$\\{\\}\"'\\\\<\\[\\], =:ü-]{0,16}", 1..8,
    )) {
        let _ = case(&lines.join("\n")).result();
        let _ = case(&format!("FROM scratch AS a\n{}", lines.join("\n"))).target("a").result();
    }
}
