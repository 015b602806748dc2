//! What happens to functions, by values alone.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Choices, Facts, Moved, Observed};
use super::fitness::Unfit;
use super::function::{Function, FunctionAction, FunctionBlocker, FunctionFacts, FunctionReason, Observation};
use super::functions::functions;
use super::model::{Action, Blocker, Executor, Mover, Publication, Step};
use super::order::{Standing, Why};
use super::{Plan, Stale, functions_to_ask, stale};
use crate::digest::{Digest, Key};
use crate::graph::{Graph, Selection};
use crate::manifest::{Choices as ManifestChoices, Files, parse, resolve};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::Source;
use crate::project::{Architecture, Project};

const MANIFEST: &str = r#"
version: 1
project: shop
registries:
  private: { kind: ecr, region: us-east-1, account: "123456789012" }
images:
  api:
    platforms: [linux/arm64]
    push: { repository: api }
    deploy: { lambda: Api }
  web:
    platforms: [linux/amd64, linux/arm64]
    push: { repository: web }
    deploy:
      - lambda: { function: Web, create: { architecture: arm64 } }
      - lambda: { function: Canary, alias: live }
      - lambda: { stack: media, logical: "Web*" }
"#;

fn project() -> Project {
    let manifest = parse(&Source::new("deploy.yaml", MANIFEST)).unwrap();
    let choices = ManifestChoices {
        profile: None,
        set: Vec::new(),
        git: None,
        env: BTreeMap::new(),
        aws_account: None,
        host_platform: "linux/amd64".parse().unwrap(),
    };
    let files = Files { read: &|_| Ok(None), glob: &|_| Ok(Vec::new()) };
    resolve(&manifest, &choices, &files).unwrap().project
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The step of an image that is published as its own name's digest, or is built.
fn step(project: &Project, name: &str, action: Action) -> Step {
    let image = &project.images[&ImageName::new(name)];
    let published = (action != Action::Build).then(|| digest(name));
    let destinations = image.destinations.iter().map(|destination| Publication {
        reference: super::reference_of(project, destination),
        registry: destination.registry.to_string(),
        repository: destination.repository.clone(),
        action,
        digest: published,
        from: None,
        pinned: None,
        tags: Vec::new(),
    });
    Step {
        name: image.name.clone(),
        platforms: image.platforms.clone(),
        key: Key::from_bytes([0; 32]),
        keys: BTreeMap::new(),
        action,
        executor: Executor::Assemble,
        executor_because: None,
        reasons: Vec::new(),
        destinations: destinations.collect(),
        needs: Vec::new(),
        uncommitted: Vec::new(),
        narrowed: None,
        weight: 1,
        chosen: true,
    }
}

fn facts_of(architecture: Architecture, runs: Option<Digest>) -> Observation {
    Observation::Found(FunctionFacts { digest: runs, architecture: Some(architecture), ..FunctionFacts::default() })
}

fn arm(runs: &str) -> Observation {
    facts_of(Architecture::Arm64, Some(digest(runs)))
}

/// What is found in the place of one deployment.
fn seen(
    image: &str,
    entry: usize,
    found: &[(&str, Observation)],
) -> ((ImageName, usize), BTreeMap<String, Observation>) {
    let found = found.iter().map(|(name, observation)| ((*name).to_owned(), observation.clone()));
    ((ImageName::new(image), entry), found.collect())
}

struct Scene {
    project: Project,
    observed: Observed,
    steps: Vec<Step>,
}

impl Scene {
    fn of(images: &[(&str, Action)]) -> Self {
        let project = project();
        let steps = images.iter().map(|(name, action)| step(&project, name, *action)).collect();
        Self { project, observed: Observed::default(), steps }
    }

    fn seeing(mut self, image: &str, entry: usize, found: &[(&str, Observation)]) -> Self {
        self.observed.functions.extend([seen(image, entry, found)]);
        self
    }

    fn with<T>(&self, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let names: Vec<ImageName> = self.project.images.keys().cloned().collect();
        let graph = Graph::new(&names, BTreeMap::new()).unwrap();
        let all: BTreeSet<ImageName> = names.into_iter().collect();
        let selection = Selection { chosen: all.clone(), all, partial: false };
        let (images, choices) = (BTreeMap::new(), Choices::default());
        look(&Facts {
            project: &self.project,
            graph: &graph,
            selection: &selection,
            images: &images,
            choices: &choices,
        })
    }

    fn decided(&self) -> (Vec<Function>, Vec<Blocker>) {
        self.with(|facts| functions(facts, &self.steps, &self.observed))
    }

    fn plan(&self) -> Plan {
        let (functions, blockers) = self.decided();
        Plan {
            format: super::FORMAT,
            project: "shop".to_owned(),
            profile: None,
            from: None,
            only: Vec::new(),
            commit: None,
            observed: true,
            images: Vec::new(),
            set: Vec::new(),
            unseen: Vec::new(),
            warnings: Vec::new(),
            repositories: Vec::new(),
            functions,
            blockers,
            rebuilds: Vec::new(),
        }
    }
}

fn because(blockers: &[Blocker]) -> Vec<FunctionBlocker> {
    let of = |blocker: &Blocker| match blocker {
        Blocker::Function { because, .. } => because.clone(),
        other => panic!("{other:?}"),
    };
    blockers.iter().map(of).collect()
}

fn actions(functions: &[Function]) -> Vec<(&str, FunctionAction)> {
    functions.iter().map(|function| (function.function.as_str(), function.action)).collect()
}

#[test]
fn a_function_that_runs_the_digest_stays() {
    let (functions, blockers) = Scene::of(&[("api", Action::Keep)]).seeing("api", 0, &[("Api", arm("api"))]).decided();
    assert_eq!(actions(&functions), [("Api", FunctionAction::Keep)]);
    assert!(functions[0].reasons.is_empty() && blockers.is_empty());
    assert_eq!(functions[0].reference, "123456789012.dkr.ecr.us-east-1.amazonaws.com/api");
}

#[test]
fn another_digest_is_deployed() {
    let (functions, _) = Scene::of(&[("api", Action::Tag)]).seeing("api", 0, &[("Api", arm("old"))]).decided();
    assert_eq!(actions(&functions), [("Api", FunctionAction::Deploy)]);
    assert_eq!((functions[0].from, functions[0].to), (Some(digest("old")), Some(digest("api"))));
    assert_eq!(functions[0].reasons, [FunctionReason::OtherImage { old: Some(digest("old")), new: digest("api") }]);
}

#[test]
fn what_was_made_and_not_finished_is_finished_where_the_manifest_makes_it() {
    let cut_off = |runs: &str| {
        let facts = FunctionFacts { digest: Some(digest(runs)), unfinished: true, ..FunctionFacts::default() };
        Observation::Found(FunctionFacts { architecture: Some(Architecture::Arm64), ..facts })
    };
    let scene = Scene::of(&[("api", Action::Keep), ("web", Action::Keep)]);
    let scene = scene.seeing("api", 0, &[("Api", cut_off("api"))]).seeing("web", 0, &[("Web", cut_off("web"))]);
    let (functions, _) = scene.seeing("web", 1, &[]).seeing("web", 2, &[]).decided();
    assert_eq!(actions(&functions), [("Api", FunctionAction::Keep), ("Web", FunctionAction::Deploy)]);
    assert_eq!(functions[1].reasons, [FunctionReason::Unfinished]);
    assert_eq!(functions[1].from, functions[1].to);
}

#[test]
fn what_is_built_is_deployed_and_has_no_digest_yet() {
    let (functions, _) = Scene::of(&[("api", Action::Build)]).seeing("api", 0, &[("Api", arm("old"))]).decided();
    assert_eq!((functions[0].action, functions[0].to), (FunctionAction::Deploy, None));
    assert_eq!(functions[0].reasons, [FunctionReason::ImageBuilt]);
}

#[test]
fn nobody_asked() {
    let (functions, blockers) = Scene::of(&[("api", Action::Build), ("web", Action::Keep)]).decided();
    let unknown = |name| (name, FunctionAction::Unknown);
    let expected = [unknown("Api"), unknown("Web"), unknown("Canary"), unknown("stack media, resource Web*")];
    assert_eq!(actions(&functions), expected);
    assert!(blockers.is_empty() && functions.iter().all(|function| function.reasons == [FunctionReason::NotAsked]));
}

#[test]
fn what_is_missing_is_created_where_the_manifest_says_how() {
    let scene = Scene::of(&[("api", Action::Keep), ("web", Action::Keep)])
        .seeing("api", 0, &[("Api", Observation::Missing)])
        .seeing("web", 0, &[("Web", Observation::Missing)])
        .seeing("web", 2, &[]);
    let (functions, blockers) = scene.decided();
    assert_eq!(functions[1].action, FunctionAction::Create);
    assert_eq!(functions[1].reasons, [FunctionReason::Missing]);
    let missing =
        |function: &str| FunctionBlocker::Missing { function: function.to_owned(), region: "us-east-1".to_owned() };
    assert_eq!(because(&blockers), [missing("Api"), missing("stack media, resource Web*")]);
}

#[test]
fn of_an_index_each_function_runs_the_manifest_of_its_architecture() {
    let mut scene = Scene::of(&[("web", Action::Keep)])
        .seeing("web", 0, &[("Web", facts_of(Architecture::X86_64, Some(digest("amd"))))])
        .seeing("web", 2, &[("WebArm", facts_of(Architecture::Arm64, Some(digest("amd"))))]);
    let platform = |word: &str| word.parse::<Platform>().unwrap();
    let children = BTreeMap::from([(platform("linux/amd64"), digest("amd")), (platform("linux/arm64"), digest("arm"))]);
    scene.observed.children.insert(ImageName::new("web"), children);
    let (functions, _) = scene.decided();
    let found: Vec<_> = functions.iter().filter(|one| one.action != FunctionAction::Unknown).collect();
    assert_eq!((found[0].action, found[0].to), (FunctionAction::Keep, Some(digest("amd"))));
    assert_eq!((found[1].action, found[1].to), (FunctionAction::Deploy, Some(digest("arm"))));
}

#[test]
fn an_image_of_another_architecture_is_refused() {
    let amd = facts_of(Architecture::X86_64, Some(digest("old")));
    let (_, blockers) = Scene::of(&[("api", Action::Build)]).seeing("api", 0, &[("Api", amd)]).decided();
    let unfit = Unfit::Architecture { function: "x86_64".to_owned(), image: "linux/arm64".to_owned() };
    assert_eq!(because(&blockers), [FunctionBlocker::Unfit { function: "Api".to_owned(), because: unfit }]);
}

#[test]
fn an_alias_that_is_missing_is_made() {
    let facts =
        FunctionFacts { architecture: Some(Architecture::Arm64), alias_missing: true, ..FunctionFacts::default() };
    let (functions, _) =
        Scene::of(&[("web", Action::Keep)]).seeing("web", 1, &[("Canary", Observation::Found(facts))]).decided();
    let canary = functions.iter().find(|function| function.function == "Canary").unwrap();
    assert_eq!(canary.action, FunctionAction::Deploy);
    assert_eq!(canary.reasons, [FunctionReason::AliasMissing { alias: "live".to_owned() }]);
}

#[test]
fn an_older_commit_does_not_deploy_over_a_newer_one() {
    let mut scene = Scene::of(&[("api", Action::Keep)]).seeing("api", 0, &[("Api", arm("old"))]);
    let asked = scene.with(|facts| functions_to_ask(facts, &scene.plan()));
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((asked.tag.as_str(), asked.digest), ("lambda:us-east-1:Api", digest("old")));
    let mover = Mover { commit: "c".repeat(40), time: 7, branch: None };
    let standing = |why| Standing { why, mover: mover.clone(), branch: None, default: None };
    let moved = |why| Moved { standing: Some(standing(why)), over: None };
    let key = (asked.image.clone(), asked.index, asked.tag.clone());
    scene.observed.movers.insert(key.clone(), moved(Why::Ancestor));
    let (functions, blockers) = scene.decided();
    assert_eq!((functions[0].action, functions[0].newer.as_ref()), (FunctionAction::Keep, Some(&mover)));
    assert_eq!(functions[0].to, functions[0].from, "it stays");
    assert!(blockers.is_empty());
    scene.observed.movers.insert(key, moved(Why::OtherBranch));
    let (functions, blockers) = scene.decided();
    assert_eq!(functions[0].action, FunctionAction::Deploy);
    let order = standing(Why::OtherBranch);
    assert_eq!(because(&blockers), [FunctionBlocker::Unordered { function: "Api".to_owned(), mover, order }]);
}

#[test]
fn one_function_through_a_stack_is_claimed_once() {
    let both = Scene::of(&[("api", Action::Keep), ("web", Action::Keep)])
        .seeing("api", 0, &[("Api", arm("api"))])
        .seeing("web", 0, &[("Web", arm("web"))])
        .seeing("web", 2, &[("Api", arm("api")), ("Web", arm("web"))]);
    let (functions, blockers) = both.decided();
    let claimed = FunctionBlocker::Claimed { function: "Api".to_owned(), other: ImageName::new("api") };
    assert_eq!(because(&blockers), [claimed]);
    assert_eq!(functions.iter().filter(|function| function.function == "Web").count(), 1);
}

#[test]
fn a_saved_plan_is_stale_where_a_function_runs_something_else() {
    let running = |runs: &str| Scene::of(&[("api", Action::Keep)]).seeing("api", 0, &[("Api", arm(runs))]).plan();
    let saved = running("old");
    assert_eq!(stale(&saved, &running("old")), None);
    let name = || "Api (lambda, us-east-1)".to_owned();
    assert_eq!(stale(&saved, &running("other")), Some(Stale::Function(name())));
    assert_eq!(stale(&saved, &running("api")), None, "an earlier run of this plan deployed it");
    let gone = Scene::of(&[]).plan();
    assert_eq!(stale(&saved, &gone), Some(Stale::Functions(name())));
    assert_eq!(stale(&gone, &saved), Some(Stale::Functions(name())));
}
