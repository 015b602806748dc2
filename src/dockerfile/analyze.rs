//! What a build of a target would use: stages, args, images, paths, remotes, secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{Analysis, ArgUse, Origin, Read, ReadKind, Request, StageUse, Undeclared};
use super::parse::is_known_frontend;
use super::reach::Stages;
use super::scope::{Globals, is_predefined, needs_no_declaration};
use super::syntax::{Dockerfile, Kind};
use super::walk::Walk;
use crate::problem::{Problems, Severity};

/// What `BUILDKIT_SYNTAX` says for the front end that is part of BuildKit, whatever `# syntax=` names.
const BUILT_IN: &str = "dockerfile.v0";

/// Finds out what a build of the request's target would use.
///
/// # Errors
/// All that BuildKit would refuse for this target, and a FROM that uses an arg without a value.
pub fn analyze(file: &Dockerfile, request: &Request<'_>) -> Result<Analysis, Problems> {
    let mut problems = Problems::new();
    let mut analysis = Analysis { frontend_known: true, ..Analysis::default() };
    front_end(file, request, &mut analysis);
    if file.opaque {
        opaque(file, request, &mut analysis);
        return Ok(analysis);
    }
    let target_name = request.target.map_or_else(
        || file.stages.last().and_then(|stage| stage.name.as_ref()).map(|name| name.text.clone()).unwrap_or_default(),
        str::to_owned,
    );
    let globals = Globals::new(file, request, &target_name, &mut problems);
    let mut stages = Stages::new(file, &globals, request, &mut problems);
    let target = stages.target(file, request, &mut problems);
    stages.check(&mut problems);
    let (Some(target), false) = (target, problems.has_errors()) else { return Err(problems) };
    let needed = stages.needed(target, request, &mut problems);
    let mut walk = Walk {
        file,
        request,
        globals: &globals,
        stages: &stages,
        ordinals: needed.iter().enumerate().map(|(ordinal, index)| (*index, ordinal)).collect(),
        envs: BTreeMap::new(),
        analysis,
        problems,
    };
    if !walk.problems.has_errors() {
        needed.iter().for_each(|index| walk.stage(*index));
        walk.obeyed();
    }
    let Walk { mut analysis, problems, .. } = walk;
    analysis.undeclared = undeclared(file, request, &analysis);
    let globals_of_file = file.globals.iter().map(|declaration| declaration.name.text.as_str());
    analysis.declared = declared_in_stages(file).into_iter().chain(globals_of_file).map(str::to_owned).collect();
    let others = stages.nodes.iter().enumerate().filter(|(index, _)| !needed.contains(index));
    let names = others.flat_map(|(_, node)| &node.used).flat_map(|used| globals.closure(&used.name));
    analysis.read_by_other_from = names.collect();
    if !analysis.frontend_known {
        unknown_front_end(file, &mut analysis);
    }
    analysis.warnings = problems.sorted().into_iter().filter(|p| p.severity == Severity::Warning).cloned().collect();
    problems.or(analysis)
}

fn front_end(file: &Dockerfile, request: &Request<'_>, analysis: &mut Analysis) {
    let directive = file.syntax.as_ref().map(|word| (word.text.clone(), word.location.clone()));
    let arg = request.args.get("BUILDKIT_SYNTAX").and_then(|text| text.split_whitespace().next());
    analysis.syntax = match arg {
        Some(BUILT_IN) => None,
        Some(text) => Some((text.to_owned(), file.source.at(0, 0))),
        None => directive,
    };
    analysis.frontend_known = analysis.syntax.as_ref().is_none_or(|(text, _)| is_known_frontend(text));
}

/// All that can be said of a text that only its own front end can read: it may read everything.
fn opaque(file: &Dockerfile, request: &Request<'_>, analysis: &mut Analysis) {
    let location = file.syntax.as_ref().map_or_else(|| file.source.at(0, 0), |word| word.location.clone());
    for (name, value) in request.args.iter().filter(|(name, _)| !needs_no_declaration(name)) {
        analysis.args.insert(name.clone(), ArgUse::given(name, value, &location));
    }
    analysis.stages.push(StageUse {
        index: 0,
        name: request.target.map(str::to_owned),
        base: Origin::Scratch,
        platform: request.platform.clone(),
        recipe: Vec::new(),
        steps: Vec::new(),
        location,
    });
    unknown_front_end(file, analysis);
}

/// The whole text and the whole context are input.
fn unknown_front_end(file: &Dockerfile, analysis: &mut Analysis) {
    let Some((_, location)) = analysis.syntax.clone() else { return };
    if let Some(last) = analysis.stages.last_mut() {
        last.recipe.push(format!("text {:?}", file.source.text()));
    }
    let read = Read {
        pattern: ".".to_owned(),
        kind: ReadKind::Whole,
        parents: false,
        exclude: Vec::new(),
        location: location.clone(),
        text: ".".to_owned(),
    };
    analysis.reads.insert(String::new(), vec![read]);
    analysis
        .first_run
        .get_or_insert_with(|| ("a front end of its own, which may read the whole context".to_owned(), location));
}

/// The names of all args that stages declare.
fn declared_in_stages(file: &Dockerfile) -> BTreeSet<&str> {
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    let args = instructions.filter_map(|instruction| match &instruction.kind {
        Kind::Arg(args) => Some(args),
        _ => None,
    });
    args.flatten().map(|declaration| declaration.name.text.as_str()).collect()
}

fn undeclared(file: &Dockerfile, request: &Request<'_>, analysis: &Analysis) -> BTreeMap<String, Undeclared> {
    let in_stages = declared_in_stages(file);
    let given = request.args.keys().filter(|name| !analysis.args.contains_key(*name) && !needs_no_declaration(name));
    let why = |name: &str| {
        if in_stages.contains(name) || is_predefined(name) {
            Undeclared::Unreachable
        } else if file.globals.iter().any(|declaration| declaration.name.text == name) {
            Undeclared::BeforeFrom
        } else {
            Undeclared::Nowhere
        }
    };
    given.map(|name| (name.clone(), why(name))).collect()
}
