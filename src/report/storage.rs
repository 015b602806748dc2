//! What lies in repositories, and what of it goes, as tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::style::Style;
use super::words::bytes;
use crate::digest::Digest;
use crate::storage::{ItemKind, Price, Pruning, Removed, Sizes, Stays, Stock, TagKind, Verdict, Why, tag_kind};

/// A repository, what was decided of it, and what was done.
pub struct PrunedRepository {
    /// Host and path.
    pub reference: String,
    /// What it holds.
    pub stock: Stock,
    /// What becomes of it.
    pub pruning: Pruning,
    /// Whether a rule says what stays.
    pub ruled: bool,
    /// What was done, if anything was to be.
    pub done: Option<Removed>,
    /// The time of the decision, in seconds since 1970.
    pub now: i64,
}

/// A repository and what it weighs.
pub struct SizedRepository {
    /// Host and path.
    pub reference: String,
    /// What it weighs.
    pub sizes: Sizes,
    /// What a GB costs each month.
    pub price: Option<Price>,
}

fn stays_text(why: &Stays) -> String {
    match why {
        Stays::Moving(tag) => format!("`{tag}` stands on it"),
        Stays::Key => "its key is the manifest's".to_owned(),
        Stays::InUse(what) => format!("in use: {what}"),
        Stays::OtherTag(tag) => format!("`{tag}` is no tag of this manifest"),
        Stays::Newest(pattern) => format!("among the newest of `{pattern}`"),
        Stays::Young => "too young".to_owned(),
        Stays::AgeUnknown => "nothing tells its age".to_owned(),
        Stays::Foreign => "another manifest's, or nobody says whose".to_owned(),
        Stays::NoRule => "no `untagged_days`".to_owned(),
        Stays::PartOf(index) => format!("part of {}", index.short()),
        Stays::BelongsTo(to) => format!("belongs to {}", to.short()),
    }
}

fn why_text(why: &Why) -> String {
    match why {
        Why::OldCommits => "only old commits".to_owned(),
        Why::Untagged => "no tag but old keys".to_owned(),
        Why::PartOf(index) => format!("part of {}", index.short()),
        Why::BelongsTo(to) => format!("belongs to {}", to.short()),
    }
}

/// One line of the table: an image or an index. What is attached goes and stays with it and is counted alone.
struct Row {
    digest: Digest,
    goes: bool,
    tags: String,
    age: String,
    size: String,
    why: String,
    untag: Vec<String>,
}

fn rows(repository: &PrunedRepository) -> Vec<Row> {
    let tags_of = repository.stock.tags_of();
    let mut rows = Vec::new();
    for (digest, verdict) in &repository.pruning.verdicts {
        let item = &repository.stock.items[digest];
        if matches!(item.kind, ItemKind::Attached { .. }) {
            continue;
        }
        let (goes, why, untag) = match verdict {
            Verdict::Goes(why) => (true, why_text(why), Vec::new()),
            Verdict::Stays { why, untag } => (false, stays_text(why), untag.clone()),
        };
        let tags: Vec<&str> = tags_of.get(digest).map(Vec::as_slice).unwrap_or_default().to_vec();
        let given: Vec<&str> = tags.iter().filter(|tag| tag_kind(tag) == TagKind::Given).copied().collect();
        let tags = if given.is_empty() { tags } else { given };
        let more = if tags.len() > 3 { format!(" and {} more", tags.len() - 3) } else { String::new() };
        let tags = format!("{}{more}", tags.iter().take(3).copied().collect::<Vec<_>>().join(" "));
        let age = item.published.map_or_else(|| "?".to_owned(), |at| age_text(repository.now - at));
        let size = bytes(item.bytes + item.blobs.iter().map(|blob| blob.size).sum::<u64>());
        rows.push(Row { digest: *digest, goes, tags, age, size, why, untag });
    }
    rows.sort_by(|a, b| (a.goes, &a.tags, a.digest).cmp(&(b.goes, &b.tags, b.digest)));
    rows
}

fn age_text(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..3600 => format!("{}min", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// What goes and what stays, and why.
pub fn prune_text(repositories: &[PrunedRepository], style: Style, verbose: bool) -> String {
    let mut text = String::new();
    for repository in repositories {
        let _ = writeln!(text, "{}", style.strong(&repository.reference));
        if !repository.ruled {
            let _ = writeln!(text, "  {}", style.dim("no `retain` rule: everything stays"));
            continue;
        }
        let rows = rows(repository);
        let stay = rows.iter().filter(|row| !row.goes).count();
        let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).width()).max().unwrap_or(0).min(60);
        let (tags, size, age) = (width(|row| &row.tags), width(|row| &row.size), width(|row| &row.age));
        for row in &rows {
            if !row.goes && row.untag.is_empty() && !verbose && stay > 40 {
                continue;
            }
            let word = if row.goes { style.bad("goes ") } else { style.dim("stays") };
            let pad = " ".repeat(tags.saturating_sub(row.tags.width()));
            let _ = writeln!(
                text,
                "  {word}  {}  {}{pad}  {:>age$}  {:>size$}  {}",
                row.digest.short(),
                row.tags,
                row.age,
                row.size,
                row.why
            );
            if !row.untag.is_empty() {
                let shown = if verbose { row.untag.len() } else { 4 };
                let more = row.untag.len().saturating_sub(shown);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let listed = row.untag.iter().take(shown).cloned().collect::<Vec<_>>().join(" ");
                let _ = writeln!(text, "         {} {listed}{more}", style.warn("loses"));
            }
        }
        let _ = writeln!(text, "  {}", summary(repository, rows.len() - stay, stay));
    }
    if repositories.iter().all(|repository| !repository.ruled) {
        text.push_str("nothing was deleted: `retain` says what may go, and stands nowhere\n");
    } else if repositories.iter().all(|repository| repository.done.is_none()) {
        text.push_str("nothing was deleted: --yes does it\n");
    }
    text
}

fn summary(repository: &PrunedRepository, go: usize, stay: usize) -> String {
    let freed = bytes(repository.pruning.freed(&repository.stock));
    let attached = repository.pruning.going().filter(|(_, why)| matches!(why, Why::BelongsTo(_))).count();
    let untag = repository.pruning.untagged().count();
    let planned = format!(
        "{go} images go with {attached} records and notes, {untag} tags are taken from images that stay, {stay} stay; {freed} are freed"
    );
    let Some(done) = &repository.done else { return planned };
    let spared = if done.spared.is_empty() {
        String::new()
    } else {
        format!("; {} were spared: a tag was moved to them meanwhile", done.spared.len())
    };
    let cannot = done.cannot_untag.as_ref().map(|why| format!("; tags stay: {why}")).unwrap_or_default();
    format!("{planned}\n  deleted {} manifests, untagged {}{spared}{cannot}", done.deleted, done.untagged)
}

/// The same as data.
pub fn prune_json(repositories: &[PrunedRepository]) -> Value {
    let repositories: Vec<Value> = repositories
        .iter()
        .map(|repository| {
            let tags_of = repository.stock.tags_of();
            let manifests: Vec<Value> = repository
                .pruning
                .verdicts
                .iter()
                .map(|(digest, verdict)| {
                    let tags = tags_of.get(digest).cloned().unwrap_or_default();
                    match verdict {
                        Verdict::Goes(why) => json!({ "digest": digest, "tags": tags, "goes": true, "why": why }),
                        Verdict::Stays { why, untag } => {
                            json!({ "digest": digest, "tags": tags, "goes": false, "why": why, "untag": untag })
                        }
                    }
                })
                .collect();
            let done = repository.done.as_ref().map(|done| {
                json!({ "deleted": done.deleted, "untagged": done.untagged, "spared": done.spared,
                    "cannot_untag": done.cannot_untag })
            });
            json!({ "repository": repository.reference, "ruled": repository.ruled, "manifests": manifests,
                "freed_bytes": repository.pruning.freed(&repository.stock), "done": done })
        })
        .collect();
    json!({ "format": 1, "repositories": repositories })
}

/// What each repository weighs, what a change would push, and what it costs.
pub fn sizes_text(repositories: &[SizedRepository], style: Style, verbose: bool) -> String {
    let mut text = String::new();
    let (mut stored, mut cost, mut priced) = (0, 0.0, false);
    let mut sources = BTreeSet::new();
    for SizedRepository { reference, sizes, price } in repositories {
        let _ = writeln!(text, "{}", style.strong(reference));
        let monthly =
            price.map(|price| format!("; {} a month", money(price.of(sizes.stored_bytes)))).unwrap_or_default();
        let _ = writeln!(
            text,
            "  {}: {} stored, {} if nothing were shared{monthly}",
            counted(sizes.images.len(), "image"),
            bytes(sizes.stored_bytes),
            bytes(sizes.unshared_bytes)
        );
        let _ = writeln!(
            text,
            "  {} {}, {} {}, configurations, manifests and records {}",
            counted(sizes.shared_layers, "shared layer"),
            bytes(sizes.shared_bytes),
            counted(sizes.unique_layers, "unique layer"),
            bytes(sizes.unique_bytes),
            bytes(sizes.other_bytes)
        );
        let shown = if verbose { sizes.images.len() } else { 10 };
        for image in sizes.images.iter().take(shown) {
            let given: Vec<&str> =
                image.tags.iter().map(String::as_str).filter(|tag| tag_kind(tag) == TagKind::Given).take(3).collect();
            let name = if given.is_empty() { image.digest.short() } else { given.join(" ") };
            let (all, own) = (bytes(image.bytes), bytes(image.own_bytes));
            let layers = counted(image.layers, "layer");
            let on = if image.platforms > 1 { format!(" for {} platforms", image.platforms) } else { String::new() };
            let _ = writeln!(text, "    {all:>9} in {layers}{on}, a change pushes {own:>9}  {name}");
        }
        if sizes.images.len() > shown {
            let _ = writeln!(text, "    and {} more (--verbose shows them)", sizes.images.len() - shown);
        }
        stored += sizes.stored_bytes;
        if let Some(price) = price {
            cost += price.of(sizes.stored_bytes);
            priced = true;
            sources.extend(price.source);
        }
    }
    let cost = if priced { format!(", {} a month", money(cost)) } else { String::new() };
    let _ = writeln!(text, "{}", style.strong(&format!("total: {} stored{cost}", bytes(stored))));
    if !sources.is_empty() {
        let sources: Vec<&str> = sources.into_iter().collect();
        let _ = writeln!(text, "  prices: {}; `price:` in the manifest overrides them", sources.join("; "));
    }
    text
}

/// `1 layer`, `2 layers`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Prices are in whatever unit the manifest has them.
fn money(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 { format!("{amount:.4}") } else { format!("{amount:.2}") }
}

/// The same as data.
pub fn sizes_json(repositories: &[SizedRepository]) -> Value {
    let repositories: Vec<Value> = repositories
        .iter()
        .map(|SizedRepository { reference, sizes, price }| {
            let monthly = price.map(|price| price.of(sizes.stored_bytes));
            json!({ "repository": reference, "price": price.map(|price| price.per_gb),
                "price_source": price.and_then(|price| price.source), "monthly_cost": monthly, "sizes": sizes })
        })
        .collect();
    json!({ "format": 1, "repositories": repositories })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ImageSize;

    fn image(tags: &[&str], platforms: usize, layers: usize) -> ImageSize {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        ImageSize { digest: Digest::of(b"x"), tags, platforms, layers, bytes: 45_000_000, own_bytes: 5_000_000 }
    }

    #[test]
    fn weights_and_prices_in_words() {
        let images = vec![image(&["api-1"], 2, 5), image(&["tool"], 1, 1)];
        let sizes =
            Sizes { images, shared_layers: 1, unique_layers: 4, stored_bytes: 2_000_000_000, ..Sizes::default() };
        let listed = Price { per_gb: 0.1, source: Some("list price of ECR") };
        let of =
            |reference: &str, price| SizedRepository { reference: reference.to_owned(), sizes: sizes.clone(), price };
        let all = [of("a", Some(listed)), of("b", Some(Price::given(1.0))), of("c", None)];
        insta::assert_snapshot!(sizes_text(&all, Style::PLAIN, false));
    }
}
