//! What BuildKit refuses, and where. Lines marked "seen" were compared with a real BuildKit.

use super::*;

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
        ("FROM scratch\nRUN --mount=type=cache x", "the mount has no `target`"), // seen
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
fn places_lead_back_to_the_file() {
    let text = "FROM scratch\nCOPY a \\\n # c\n   ${x^} /\n";
    let problems = case(text).result().unwrap_err();
    let place = &problems.sorted()[0].labels[0].location;
    assert_eq!(place.to_string(), "Dockerfile:4:4");
    assert_eq!(&text[place.span.start..place.span.start + place.span.length], "${x^}");
}
