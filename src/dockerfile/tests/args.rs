//! Args, the environment of a base, and expanded steps.

use super::*;

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
    assert_eq!(lost, ["B Unreachable", "NOWHERE Nowhere", "UNUSED BeforeFrom"]);
    let made = case("ARG V=1\nARG T=v$V\nFROM scratch\nARG T\nRUN x\n").arg("V", "2").ok();
    assert_eq!(made.args["T"].value.as_deref(), Some("v2"));
    assert_eq!(made.args["T"].made_from, BTreeSet::from(["V".to_owned()]));
    assert!(!made.args["V"].from_only);
    // An arg counts where a stage declares it, whatever its name; without a declaration where BuildKit obeys it.
    let named = |text: &str, name: &str| case(text).arg(name, "1").ok().args.contains_key(name);
    for name in
        ["BUILDKIT_FLAVOR", "BUILDKIT_INLINE_CACHE", "BUILDKIT_MULTI_PLATFORM", "HTTP_PROXY", "no_proxy", "TARGETARCH"]
    {
        assert!(!named("FROM scratch\nRUN x\n", name), "{name}");
        assert!(named(&format!("FROM scratch\nARG {name}\nRUN x\n"), name), "{name}");
        assert!(!named(&format!("FROM scratch AS a\nARG {name}\nFROM scratch\nRUN x\n"), name), "{name}");
    }
    for name in
        ["BUILDKIT_CONTEXT_KEEP_GIT_DIR", "BUILDKIT_DISABLE_ONBUILD", "BUILDKIT_SANDBOX_HOSTNAME", "SOURCE_DATE_EPOCH"]
    {
        assert!(named("FROM scratch\nRUN x\n", name), "{name}");
    }
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
