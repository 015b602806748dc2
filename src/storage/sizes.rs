//! What a repository weighs.

use std::collections::{BTreeMap, BTreeSet};

use super::stock::{Blob, Item, ItemKind, Stock};
use crate::digest::Digest;
use crate::project::RegistryKind;

/// What a gigabyte (10^9 bytes) costs each month.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Price {
    /// In the currency of whoever wrote it.
    pub per_gb: f64,
    /// Where the number comes from, if the manifest does not give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
}

impl Price {
    /// One that the manifest gives.
    pub const fn given(per_gb: f64) -> Self {
        Self { per_gb, source: None }
    }

    /// The list price of a registry, where it has one that does not depend on a contract.
    ///
    /// Source: aws.amazon.com/ecr/pricing, us-east-1, as quoted in March 2026: $0.10 for private and public storage, of which
    /// 50 GB of public storage are free each month (those are not taken off here, because they are free once an account).
    pub fn listed(kind: &RegistryKind) -> Option<Self> {
        let source = match kind {
            RegistryKind::Ecr { .. } => "list price of ECR in us-east-1, March 2026",
            RegistryKind::EcrPublic { .. } => "list price of ECR Public, March 2026; 50 GB an account are free",
            _ => return None,
        };
        Some(Self { per_gb: 0.10, source: Some(source) })
    }

    /// What so many bytes cost each month.
    #[expect(clippy::cast_precision_loss, reason = "a price is no exact number of bytes")]
    pub fn of(&self, bytes: u64) -> f64 {
        bytes as f64 / 1e9 * self.per_gb
    }
}

/// What a repository weighs, in bytes. A layer that several images have is stored once.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// The images, the largest first.
    pub images: Vec<ImageSize>,
    /// Layers that more than one image has.
    pub shared_layers: usize,
    /// Their bytes.
    pub shared_bytes: u64,
    /// Layers that one image has.
    pub unique_layers: usize,
    /// Their bytes.
    pub unique_bytes: u64,
    /// Configurations, manifests, indexes, and records with all that belongs to images.
    pub other_bytes: u64,
    /// All of it.
    pub stored_bytes: u64,
    /// What it would be if nothing were shared.
    pub unshared_bytes: u64,
}

/// One image, whatever number of platforms it is for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ImageSize {
    /// Its digest: that of the index, if it has one.
    pub digest: Digest,
    /// Its tags; those of its platforms, if it has none.
    pub tags: Vec<String>,
    /// For how many platforms it is.
    pub platforms: usize,
    /// Its layers on all platforms, each once.
    pub layers: usize,
    /// The bytes of its layers and configurations on all platforms, each once.
    pub bytes: u64,
    /// What no other image here has: what a change like the one that made it would push, for all its platforms.
    pub own_bytes: u64,
}

/// The manifests of one image: itself, or the platforms of an index.
struct Unit<'a> {
    digest: Digest,
    platforms: Vec<&'a Item>,
    tags: Vec<String>,
}

impl Unit<'_> {
    /// Its layers, each once.
    fn layers(&self) -> BTreeMap<Digest, u64> {
        self.platforms.iter().flat_map(|item| item.blobs.iter().skip(1)).map(|blob| (blob.digest, blob.size)).collect()
    }

    /// Its configurations, each once.
    fn configs(&self) -> BTreeMap<Digest, u64> {
        let configs = self.platforms.iter().filter_map(|item| item.blobs.first());
        configs.map(|Blob { digest, size }| (*digest, *size)).collect()
    }
}

/// The images of a repository. A platform that two indexes share belongs to both; one in no index is an image of its own.
fn units(stock: &Stock) -> Vec<Unit<'_>> {
    let tags_of = stock.tags_of();
    let tags = |digest: &Digest| tags_of.get(digest).into_iter().flatten().map(|tag| (*tag).to_owned());
    let mut inside: BTreeSet<Digest> = BTreeSet::new();
    let mut units = Vec::new();
    for (digest, item) in &stock.items {
        let ItemKind::Index(children) = &item.kind else { continue };
        let present: Vec<(&Digest, &Item)> = children
            .iter()
            .filter_map(|child| Some((child, stock.items.get(child)?)))
            .filter(|(_, item)| item.kind == ItemKind::Image)
            .collect();
        inside.extend(present.iter().map(|(child, _)| **child));
        if present.is_empty() {
            continue;
        }
        let mut names: Vec<String> = tags(digest).collect();
        if names.is_empty() {
            names = present.iter().flat_map(|(child, _)| tags(child)).collect();
        }
        units.push(Unit {
            digest: *digest,
            platforms: present.into_iter().map(|(_, item)| item).collect(),
            tags: names,
        });
    }
    let alone = stock.items.iter().filter(|(digest, item)| item.kind == ItemKind::Image && !inside.contains(*digest));
    units.extend(alone.map(|(digest, item)| Unit {
        digest: *digest,
        platforms: vec![item],
        tags: tags(digest).collect(),
    }));
    units
}

/// Adds up what a repository holds.
pub fn sizes(stock: &Stock) -> Sizes {
    let units = units(stock);
    let mut users: BTreeMap<Digest, (u64, usize)> = BTreeMap::new();
    for (digest, size) in units.iter().flat_map(|unit| unit.layers().into_iter().chain(unit.configs())) {
        users.entry(digest).or_insert((size, 0)).1 += 1;
    }
    let mut sizes = Sizes::default();
    let layers: BTreeSet<Digest> = units.iter().flat_map(|unit| unit.layers().into_keys()).collect();
    for (size, users) in layers.iter().map(|layer| users[layer]) {
        let (count, bytes) = match users {
            1 => (&mut sizes.unique_layers, &mut sizes.unique_bytes),
            _ => (&mut sizes.shared_layers, &mut sizes.shared_bytes),
        };
        *count += 1;
        *bytes += size;
    }
    sizes.stored_bytes = stock.bytes_of(stock.items.keys());
    sizes.other_bytes = sizes.stored_bytes - sizes.shared_bytes - sizes.unique_bytes;
    let images = stock.items.iter().filter(|(_, item)| item.kind == ItemKind::Image);
    sizes.unshared_bytes = images.map(|(digest, _)| stock.bytes_of([digest])).sum();
    for unit in units {
        let (layers, configs) = (unit.layers(), unit.configs());
        let of = |alone: bool| {
            let all = layers.iter().chain(&configs);
            all.filter(|(digest, _)| !alone || users[*digest].1 == 1).map(|(_, size)| size).sum::<u64>()
        };
        sizes.images.push(ImageSize {
            platforms: unit.platforms.len(),
            layers: layers.len(),
            bytes: of(false),
            own_bytes: of(true),
            digest: unit.digest,
            tags: unit.tags,
        });
    }
    sizes.images.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.tags.cmp(&b.tags)));
    sizes
}

#[cfg(test)]
mod tests {
    use super::super::stock::{Blob, Item};
    use super::*;

    const MB: u64 = 1_000_000;

    /// An image of named layers; its config and manifest weigh nothing.
    fn put(stock: &mut Stock, tag: &str, layers: &[(&str, u64)]) {
        let blob = |name: &str, size| Blob { digest: Digest::of(name.as_bytes()), size };
        let config = blob(&format!("config of {tag}"), 0);
        let blobs = [config].into_iter().chain(layers.iter().map(|(name, size)| blob(name, size * MB))).collect();
        let digest = Digest::of(tag.as_bytes());
        stock.items.insert(digest, Item { kind: ItemKind::Image, bytes: 0, blobs, published: None, image: None });
        stock.tags.insert(tag.to_owned(), digest);
    }

    /// Five versions of a function: the same layers below, another binary in each.
    fn versions(stock: &mut Stock, name: &str, below: &[(&str, u64)], binary: u64) {
        for version in 0..5 {
            let top = format!("{name}-{version}");
            let layers: Vec<(&str, u64)> = below.iter().copied().chain([(top.as_str(), binary)]).collect();
            put(stock, &top, &layers);
        }
    }

    const BASE: (&str, u64) = ("al2023", 40);
    const FFMPEG: (&str, u64) = ("ffmpeg", 120);

    /// The table of an image strategy: two private repositories for 365 MB and two public ones for 385 MB, at $0.10 a GB about $0.04 a month
    /// instead of $0.06 for everything in private ones.
    #[test]
    fn the_arithmetic_of_an_image_strategy() {
        let (mut light, mut heavy) = (Stock::default(), Stock::default());
        versions(&mut light, "api", &[BASE], 15);
        versions(&mut heavy, "select", &[BASE, FFMPEG], 18);
        let (light, heavy) = (sizes(&light), sizes(&heavy));
        assert_eq!((light.shared_bytes / MB, light.unique_bytes / MB, light.stored_bytes / MB), (40, 75, 115));
        assert_eq!((heavy.shared_bytes / MB, heavy.unique_bytes / MB, heavy.stored_bytes / MB), (160, 90, 250));
        assert_eq!((heavy.shared_layers, heavy.unique_layers), (2, 5));
        let private = light.stored_bytes + heavy.stored_bytes;
        assert_eq!(private / MB, 365);
        let price = Price::given(0.10);
        assert_eq!(format!("{:.2}", price.of(light.stored_bytes) + price.of(heavy.stored_bytes)), "0.04");

        // The document counts the shared layers of the public repositories together.
        let mut public = Stock::default();
        versions(&mut public, "enhance", &[BASE], 15);
        versions(&mut public, "thumb", &[BASE, FFMPEG], 15);
        versions(&mut public, "video", &[BASE, FFMPEG], 15);
        let public = sizes(&public);
        assert_eq!((public.shared_bytes / MB, public.unique_bytes / MB, public.stored_bytes / MB), (160, 225, 385));

        let (mut light, mut heavy) = (Stock::default(), Stock::default());
        for name in ["api", "enhance"] {
            versions(&mut light, name, &[BASE], 15);
        }
        for (name, binary) in [("thumb", 15), ("select", 18), ("video", 15)] {
            versions(&mut heavy, name, &[BASE, FFMPEG], binary);
        }
        let all_private = price.of(sizes(&light).stored_bytes) + price.of(sizes(&heavy).stored_bytes);
        assert_eq!(format!("{all_private:.2}"), "0.06");
    }

    #[test]
    fn a_change_pushes_what_no_other_image_has() {
        let mut stock = Stock::default();
        versions(&mut stock, "api", &[BASE, FFMPEG], 15);
        put(&mut stock, "alone", &[("one", 7), ("two", 8), ("two", 8)]);
        let sizes = sizes(&stock);
        let of = |tag: &str| sizes.images.iter().find(|image| image.tags == [tag]).unwrap();
        assert_eq!((of("api-0").bytes / MB, of("api-0").own_bytes / MB, of("api-0").layers), (175, 15, 3));
        assert_eq!(
            (of("alone").own_bytes / MB, of("alone").layers),
            (15, 2),
            "a layer that is used twice is pushed once"
        );
        assert_eq!(sizes.unshared_bytes / MB, 5 * 175 + 15);
    }

    /// Two platforms of one image, three versions of it, and a third image on one platform alone.
    #[test]
    fn an_image_for_two_platforms_is_one_image() {
        let mut stock = Stock::default();
        for version in 0..3 {
            let children: Vec<Digest> = ["amd64", "arm64"]
                .map(|platform| {
                    let (base, top) = (format!("base-{platform}"), format!("{platform}-{version}"));
                    put(&mut stock, &top, &[(base.as_str(), 40), ("script", 1), (top.as_str(), 5)]);
                    stock.tags.remove(&top);
                    Digest::of(top.as_bytes())
                })
                .to_vec();
            let index = Digest::of(format!("index {version}").as_bytes());
            let kind = ItemKind::Index(children);
            stock.items.insert(index, Item { kind, bytes: 0, blobs: Vec::new(), published: None, image: None });
            stock.tags.insert(format!("v{version}"), index);
        }
        put(&mut stock, "tool", &[("tool", 3)]);
        let sizes = sizes(&stock);
        assert_eq!(sizes.images.len(), 4);
        let of = |tag: &str| sizes.images.iter().find(|image| image.tags == [tag]).unwrap();
        assert_eq!((of("v1").platforms, of("v1").layers), (2, 5), "the script is one layer of both platforms");
        assert_eq!((of("v1").bytes / MB, of("v1").own_bytes / MB), (2 * 45 + 1, 10), "a change pushes both platforms");
        assert_eq!((of("tool").platforms, of("tool").own_bytes / MB), (1, 3));
        assert_eq!((sizes.shared_bytes / MB, sizes.unique_bytes / MB), (81, 33));
    }
}
