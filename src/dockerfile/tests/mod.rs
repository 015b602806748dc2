//! Dockerfiles in tests: a text, what the manifest gives it, and what comes out.

mod arbitrary;
mod args;
mod reads;
mod recipes;
mod reference;
mod refusals;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

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
        self.bases.insert(name.to_owned(), BaseConfig { env, onbuild, ..BaseConfig::default() });
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
