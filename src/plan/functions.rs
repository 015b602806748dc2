//! What happens to functions: decided once it is known what happens to the images.

use std::collections::BTreeMap;

use super::decide::{is_refused, reference_of};
use super::facts::{AskMover, Facts, Observed};
use super::fitness::{misfit, platform_for};
use super::function::{
    Function, FunctionAction, FunctionBlocker, FunctionFacts, FunctionId, FunctionReason, Observation, Service,
};
use super::model::{Action, Blocker, Plan, Step};
use super::order::{Course, Why};
use crate::digest::Digest;
use crate::name::ImageName;
use crate::project::{Architecture, Deployment, Functions, Image, Runner};

/// The functions of a plan, and what stands in their way.
pub(super) fn functions(facts: &Facts<'_>, images: &[Step], observed: &Observed) -> (Vec<Function>, Vec<Blocker>) {
    let mut decided = Decided::default();
    for step in images.iter().filter(|step| step.chosen) {
        let Some(image) = facts.project.images.get(&step.name) else { continue };
        for (entry, deployment) in image.deploy.iter().enumerate() {
            let one = Entry { facts, image, step, entry, deployment: &deployment.value, observed };
            one.decide(&mut decided);
        }
    }
    (decided.functions, decided.blockers)
}

#[derive(Default)]
struct Decided {
    functions: Vec<Function>,
    blockers: Vec<Blocker>,
    claims: BTreeMap<FunctionId, ImageName>,
}

/// One entry of an image's `deploy:`.
struct Entry<'a> {
    facts: &'a Facts<'a>,
    image: &'a Image,
    step: &'a Step,
    entry: usize,
    deployment: &'a Deployment,
    observed: &'a Observed,
}

impl Entry<'_> {
    fn decide(&self, decided: &mut Decided) {
        let Some(found) = self.observed.functions.get(&(self.image.name.clone(), self.entry)) else {
            decided.functions.extend(self.unasked());
            return;
        };
        if found.is_empty() {
            let missing = self.deployment.described();
            decided.block(self, FunctionBlocker::Missing { function: missing, region: self.deployment.region.clone() });
        }
        for (name, observation) in found {
            let function = self.function(name, observation, decided);
            let id = function.id();
            match decided.claims.get(&id) {
                // The same image twice, as a name and through a stack, say.
                Some(other) if other == &self.image.name => continue,
                Some(other) => {
                    let other = other.clone();
                    decided.block(self, FunctionBlocker::Claimed { function: name.clone(), other });
                }
                None => drop(decided.claims.insert(id, self.image.name.clone())),
            }
            decided.functions.push(function);
        }
    }

    /// Functions that nobody asked about, as far as their names are known.
    fn unasked(&self) -> Vec<Function> {
        let names = match &self.deployment.runner {
            Runner::Lambda(lambda) => match &lambda.functions {
                Functions::Named(names) => names.clone(),
                other => vec![other.described()],
            },
            Runner::AgentCore(runtime) => vec![runtime.clone()],
        };
        let to = self.target(None);
        names.into_iter().map(|name| self.plain(name, FunctionAction::Unknown, to, FunctionReason::NotAsked)).collect()
    }

    fn plain(&self, name: String, action: FunctionAction, to: Option<Digest>, reason: FunctionReason) -> Function {
        let (service, alias) = match &self.deployment.runner {
            Runner::Lambda(lambda) => (Service::Lambda, lambda.alias.clone()),
            Runner::AgentCore(_) => (Service::Agentcore, None),
        };
        Function {
            function: name,
            image: self.image.name.clone(),
            action,
            from: None,
            to,
            service,
            region: self.deployment.region.clone(),
            account: self.deployment.elsewhere.as_ref().map(|elsewhere| elsewhere.account.clone()),
            reference: reference_of(self.facts.project, &self.image.destinations[self.deployment.source]),
            architecture: None,
            alias,
            reasons: vec![reason],
            newer: None,
            order: None,
            over: None,
            entry: self.entry,
        }
    }

    fn function(&self, name: &str, observation: &Observation, decided: &mut Decided) -> Function {
        let facts = match observation {
            Observation::Found(facts) => facts,
            Observation::Missing => {
                let create = self.deployment.creates();
                if create.is_none() {
                    let region = self.deployment.region.clone();
                    decided.block(self, FunctionBlocker::Missing { function: name.to_owned(), region });
                }
                let to = self.target(create.map(|create| create.architecture));
                return self.plain(name.to_owned(), FunctionAction::Create, to, FunctionReason::Missing);
            }
        };
        if let Some(because) = misfit(facts, &self.image.platforms) {
            decided.block(self, FunctionBlocker::Unfit { function: name.to_owned(), because });
        }
        let to = self.target(facts.architecture);
        let mut function = self.plain(name.to_owned(), FunctionAction::Deploy, to, FunctionReason::ImageBuilt);
        (function.from, function.architecture) = (facts.digest, facts.architecture);
        let ailment = facts.ailment.clone().map(|health| FunctionReason::Unhealthy { health });
        let reasons: Vec<FunctionReason> = self.reason(&function, facts).into_iter().chain(ailment).collect();
        match reasons.is_empty() {
            true => {
                function.action = FunctionAction::Keep;
                function.reasons.clear();
            }
            false => {
                function.reasons = reasons;
                self.guard(&mut function, decided);
            }
        }
        function
    }

    /// An older commit does not deploy over a newer one.
    fn guard(&self, function: &mut Function, decided: &mut Decided) {
        let asked = (self.image.name.clone(), self.deployment.source, function.id().note());
        let Some(moved) = self.observed.movers.get(&asked) else { return };
        function.over.clone_from(&moved.over);
        let Some(standing) = &moved.standing else { return };
        function.order = Some(standing.clone()).filter(|standing| standing.why != Why::Ancestor);
        if standing.course() == Course::Stays {
            function.newer = Some(standing.mover.clone());
            function.action = FunctionAction::Keep;
            function.to = function.from;
        } else if is_refused(self.facts, standing) {
            let (name, mover, order) = (function.function.clone(), standing.mover.clone(), standing.clone());
            decided.block(self, FunctionBlocker::Unordered { function: name, mover, order });
        }
    }

    /// Why a function that is there is deployed to; `None` if it is as it should be.
    fn reason(&self, function: &Function, facts: &FunctionFacts) -> Option<FunctionReason> {
        match (function.to, &function.alias) {
            (None, _) => Some(FunctionReason::ImageBuilt),
            (Some(_), Some(alias)) if facts.alias_missing => {
                Some(FunctionReason::AliasMissing { alias: alias.clone() })
            }
            (Some(to), _) if facts.digest == Some(to) => {
                (facts.unfinished && self.deployment.creates().is_some()).then_some(FunctionReason::Unfinished)
            }
            (Some(new), _) => Some(FunctionReason::OtherImage { old: facts.digest, new }),
        }
    }

    /// The manifest that a function of this architecture runs; `None` until it is built.
    fn target(&self, architecture: Option<Architecture>) -> Option<Digest> {
        if self.step.action == Action::Build {
            return None;
        }
        let digest = self.step.destinations.get(self.deployment.source)?.digest?;
        match self.observed.children.get(&self.image.name) {
            Some(children) => children.get(platform_for(architecture, &self.image.platforms)?).copied(),
            None => Some(digest),
        }
    }
}

impl Decided {
    fn block(&mut self, entry: &Entry<'_>, because: FunctionBlocker) {
        self.blockers.push(Blocker::Function { image: entry.image.name.clone(), because });
    }
}

/// The functions that a plan would give another image: who deployed to each is to be asked before it is decided again.
pub fn functions_to_ask(facts: &Facts<'_>, plan: &Plan) -> Vec<AskMover> {
    let changing = plan.functions.iter().filter(|function| function.action == FunctionAction::Deploy);
    let ask = |function: &Function| {
        let image = facts.project.images.get(&function.image)?;
        let deployment = &image.deploy.get(function.entry)?.value;
        let (index, order) = (deployment.source, facts.project.order_of_function(image, deployment));
        let (image, tag, digest) = (function.image.clone(), function.id().note(), function.from?);
        Some(AskMover { image, index, tag, digest, order })
    };
    changing.filter_map(ask).collect()
}
