//! Roots and cascades: what made the difference, and what it drags along.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Action, Plan};
use super::reason::Reason;
use crate::name::ImageName;

/// One cause and the images that are built because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// A file, an arg, an image from outside, ...
    pub reason: Reason,
    /// The images that see it themselves.
    pub images: Vec<ImageName>,
    /// The images that are built because one of those is.
    pub cascades: Vec<ImageName>,
}

/// The causes of a plan, those that drag most along first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// All roots.
    pub roots: Vec<Root>,
}

/// Splits the builds of a plan into roots and cascades.
pub fn explain(plan: &Plan) -> Causes {
    let builds: Vec<_> = plan.images.iter().filter(|step| step.action == Action::Build).collect();
    let mut roots: BTreeMap<String, Root> = BTreeMap::new();
    for step in &builds {
        for reason in step.reasons.iter().filter(|reason| !reason.is_cascade()) {
            let shared = reason.shared();
            let name = serde_json::to_string(&shared).expect("a reason has only string keys and plain values");
            let root = roots.entry(name).or_insert_with(|| Root {
                reason: reason.clone(),
                images: Vec::new(),
                cascades: Vec::new(),
            });
            if root.reason != *reason {
                root.reason = shared;
            }
            root.images.push(step.name.clone());
        }
    }
    let mut roots: Vec<Root> = roots.into_values().collect();
    for root in &mut roots {
        let mut reached: BTreeSet<&ImageName> = root.images.iter().collect();
        let mut cascades = Vec::new();
        for step in &builds {
            let dragged = step
                .reasons
                .iter()
                .any(|reason| matches!(reason, Reason::Image { image, .. } if reached.contains(image)));
            if dragged && reached.insert(&step.name) {
                cascades.push(step.name.clone());
            }
        }
        drop(reached);
        root.cascades = cascades;
    }
    roots.sort_by_key(|root| std::cmp::Reverse(root.images.len() + root.cascades.len()));
    Causes { roots }
}
