//! Every construct of the Dockerfile reference: `reference.txt`, section by section.

use super::*;

/// Its sections that describe something that can be written.
const SECTIONS: [&str; 75] = [
    "Format",
    "Parser directives",
    "syntax",
    "escape",
    "check",
    "Environment replacement",
    ".dockerignore file",
    "Exec form",
    "Variable substitution",
    "Backslashes",
    "Shell form",
    "Use a different shell",
    "FROM",
    "Understand how ARG and FROM interact",
    "RUN",
    "RUN --device",
    "RUN --mount",
    "RUN --mount=type=bind",
    "RUN --mount=type=cache",
    "RUN --mount=type=tmpfs",
    "RUN --mount=type=secret",
    "RUN --mount=type=ssh",
    "RUN --network",
    "RUN --security",
    "CMD",
    "LABEL",
    "MAINTAINER (deprecated)",
    "EXPOSE",
    "ENV",
    "ADD",
    "ADD: Source",
    "ADD: Adding files from the build context",
    "ADD: Pattern matching",
    "ADD: Adding local tar archives",
    "ADD: Adding files from a URL",
    "ADD: Adding files from a Git repository",
    "ADD: Destination",
    "ADD --keep-git-dir",
    "ADD --checksum",
    "ADD --chmod",
    "ADD --chown",
    "ADD --link",
    "ADD --unpack",
    "ADD --exclude",
    "COPY",
    "COPY: Source",
    "COPY: Copying from the build context",
    "COPY: Pattern matching",
    "COPY: Destination",
    "COPY --from",
    "COPY --chmod",
    "COPY --chown",
    "COPY --link",
    "COPY --parents",
    "COPY --exclude",
    "ENTRYPOINT",
    "VOLUME",
    "USER",
    "WORKDIR",
    "ARG",
    "Default values",
    "Scope",
    "Using ARG variables",
    "Predefined ARGs",
    "Automatic platform ARGs in the global scope",
    "BuildKit built-in build args",
    "Impact on build caching",
    "ONBUILD",
    "Copy or mount from stage, image, or context",
    "ONBUILD limitations",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "SHELL",
    "Example: Running a multi-line script",
    "Example: Creating inline files",
];

/// What the text means, or why it is refused.
fn outcome(text: &str) -> String {
    let case = case(text).arg("GIVEN", "given").arg("HTTP_PROXY", "proxy").context("ctx").base(
        "triggers",
        &[("E", "v")],
        &["COPY x$E /", "RUN y"],
    );
    let analysis = match case.result() {
        Ok(analysis) => analysis,
        Err(problems) => return refusal(&problems),
    };
    let stages: Vec<String> = analysis.stages.iter().map(|stage| stage.recipe.join("; ")).collect();
    let mut parts = vec![stages.join(" / ")];
    let mut say = |what: &str, text: String| {
        if !text.is_empty() {
            parts.push(format!("{what} {text}"));
        }
    };
    say("reads", reads(&analysis));
    say("images", references(&analysis));
    let args = analysis.args.iter().map(|(name, used)| format!("{name}={}", used.value.as_deref().unwrap_or("-")));
    say("args", args.collect::<Vec<_>>().join(" "));
    for remote in &analysis.remotes {
        say(&format!("{:?}", remote.kind), format!("{} {}", remote.url, remote.checksum.as_deref().unwrap_or("-")));
    }
    let ids = |ids: &BTreeMap<String, bool>| if ids.is_empty() { String::new() } else { format!("{ids:?}") };
    say("secrets", ids(&analysis.secrets));
    say("ssh", ids(&analysis.ssh));
    say("needs", analysis.entitlements.keys().cloned().collect::<Vec<_>>().join(" "));
    say("buildkit", analysis.first_run.as_ref().map(|(what, place)| format!("{what} {place}")).unwrap_or_default());
    say(
        "warns",
        analysis.warnings.sorted().iter().map(|problem| problem.code.to_string()).collect::<Vec<_>>().join(" "),
    );
    parts.join(" | ")
}

fn refusal(problems: &Problems) -> String {
    let one = |problem: &&crate::problem::Problem| {
        let place = problem.labels.first().map(|label| label.location.to_string()).unwrap_or_default();
        format!("{} {place} {}", problem.code, problem.message)
    };
    problems.sorted().iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_construct_of_the_reference() {
    let mut sections: Vec<(&str, usize)> = Vec::new();
    let (mut text, mut wrong) = (String::new(), String::new());
    for line in include_str!("reference.txt").split_inclusive('\n') {
        if let Some(section) = line.strip_prefix("## ") {
            sections.push((section.trim_end(), 0));
            text.clear();
        } else if let Some(want) = line.strip_prefix("=> ") {
            let (section, cases) = sections.last_mut().unwrap();
            *cases += 1;
            let (text, want) = (std::mem::take(&mut text), want.trim_end());
            let got = outcome(text.trim_start_matches('\n'));
            if got != want {
                wrong.push_str(&format!("{section}: {text}  want {want}\n  got  {got}\n\n"));
            }
        } else {
            text.push_str(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(sections.iter().map(|(section, _)| *section).collect::<Vec<_>>(), SECTIONS);
    assert!(sections.iter().all(|(_, cases)| *cases > 0), "{sections:?}");
}
