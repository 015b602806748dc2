//! `orchestrate sizes`.

use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::print;
use crate::cli::promotion::repositories;
use crate::cli::registries::Registries;
use crate::cli::repositories::shelves;
use crate::cli::settings::Settings;
use crate::name::RegistryName;
use crate::observe::stock_of;
use crate::report::{SizedRepository, sizes_json, sizes_text};
use crate::storage::{Price, sizes as add_up};

/// Says what each repository weighs, what a change would push, and what it costs.
pub async fn sizes(settings: &Settings) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("what lies in a registry must be asked for", "leave --offline out"));
    }
    let loaded = load(settings)?;
    let registries = Registries::new(settings, &loaded.project).await?;
    let repositories = repositories(&loaded.project, &registries.client, loaded.workspace.root());
    let chosen = match settings.only.is_empty() {
        true => loaded.project.images.keys().cloned().collect(),
        false => loaded.wire(settings, &crate::cli::load::BaseConfigs::new())?.selection.chosen,
    };
    let mut sized = Vec::new();
    for shelf in shelves(&loaded.project, &std::collections::BTreeMap::new()) {
        if !shelf.registry_can(&loaded.project) || shelf.images.is_disjoint(&chosen) {
            continue;
        }
        let stock = stock_of(&repositories.get(&shelf.registry, &shelf.repository)).await;
        let stock = stock.map_err(|error| Failure::surroundings(error.to_string(), error.help()))?;
        let kind = loaded.project.registries.get(&RegistryName::new(&shelf.registry)).map(|registry| &registry.kind);
        let price = shelf.price.map(Price::given).or_else(|| Price::listed(kind?));
        sized.push(SizedRepository { reference: shelf.reference, sizes: add_up(&stock), price });
    }
    if settings.json {
        print(&format!("{:#}\n", sizes_json(&sized)));
    } else {
        print(&sizes_text(&sized, settings.out, settings.verbose));
    }
    Ok(Exit::Done)
}
