//! What `doctor` says of functions: whether they are there, can run their images, and whether we may deploy to them.

use super::plan::Planned;
use crate::functions::{Functions, Order};
use crate::plan::{Blocker, Function, FunctionAction};
use crate::project::Runner;
use crate::report::{Check, Health, function_blocker_text};

/// A check for each function of a plan.
pub async fn functions(planned: &Planned, services: &dyn Functions) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for blocker in &planned.plan.blockers {
        if let Blocker::Function { image, because } = blocker {
            let text = function_blocker_text(image, because);
            let (said, help) = text.split_once("\n  help: ").unwrap_or((&text, ""));
            let check = Check::new("function", image.as_str(), Health::Bad, said.to_owned());
            checks.push(check.help(Some(help.to_owned()).filter(|help| !help.is_empty())));
        }
    }
    for function in &planned.plan.functions {
        checks.push(match function.action {
            FunctionAction::Create => {
                Check::new("function", &function.function, Health::Good, "apply will make it".to_owned())
            }
            FunctionAction::Unknown => {
                Check::new("function", &function.function, Health::Odd, "it was not asked".to_owned())
            }
            FunctionAction::Keep | FunctionAction::Deploy => allowed(planned, function, services).await,
        });
    }
    checks
}

/// Whether we may give it an image: a dry run with the one that it runs.
async fn allowed(planned: &Planned, function: &Function, services: &dyn Functions) -> Check {
    let check = |health, said: String| Check::new("function", &function.function, health, said);
    let project = &planned.loaded.project;
    let deployment =
        project.images.get(&function.image).and_then(|image| Some((image, &image.deploy.get(function.entry)?.value)));
    let (Some((image, deployment)), Some(from)) = (deployment, function.from) else {
        return check(
            Health::Good,
            format!("it is there, and runs no image by digest; apply gives it {}", function.image),
        );
    };
    let mut order = Order {
        id: function.id(),
        login: project.login_of(image, deployment),
        repository: function.reference.clone(),
        digest: from,
        publish: false,
        alias: match &deployment.runner {
            Runner::Lambda(lambda) => lambda.alias.clone(),
            Runner::AgentCore(_) => None,
        },
        create: None,
    };
    let asked = async {
        let look = services.look(&order).await?;
        if let Some(repository) = look.facts().and_then(|facts| facts.repository.clone()) {
            order.repository = repository;
        }
        services.rehearse(&order).await
    };
    let runs = from.short();
    match asked.await {
        Ok(_) if function.action == FunctionAction::Keep => {
            check(Health::Good, format!("it runs {runs}, as it should"))
        }
        Ok(_) => check(Health::Good, format!("it runs {runs}; apply gives it {}", function.image)),
        // It could not take up again what it runs, and is given another image.
        Err(error) if error.of_image && function.action == FunctionAction::Deploy => {
            check(Health::Odd, format!("it runs {runs}; {}; apply gives it {}", error.message, function.image))
        }
        Err(error) => check(Health::Bad, error.message).help(error.help),
    }
}
