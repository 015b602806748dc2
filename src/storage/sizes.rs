//! What a repository weighs.

use std::collections::{BTreeMap, BTreeSet};

use super::stock::{ItemKind, Stock};
use crate::digest::Digest;

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

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ImageSize {
    /// Its digest.
    pub digest: Digest,
    /// Its tags; those of the indexes that it is part of, if it has none.
    pub tags: Vec<String>,
    /// Its layers.
    pub layers: usize,
    /// The bytes of its layers and its configuration.
    pub bytes: u64,
    /// What no other image here has: what a change like the one that made it would push.
    pub own_bytes: u64,
}

impl Sizes {
    /// What it costs each month, by the price of a GB (10^9 bytes).
    #[expect(clippy::cast_precision_loss, reason = "a price is no exact number of bytes")]
    pub fn cost(&self, price: f64) -> f64 {
        self.stored_bytes as f64 / 1e9 * price
    }
}

/// Adds up what a repository holds.
pub fn sizes(stock: &Stock) -> Sizes {
    let tags_of = stock.tags_of();
    let images: Vec<Digest> =
        stock.items.iter().filter(|(_, item)| item.kind == ItemKind::Image).map(|(digest, _)| *digest).collect();
    let mut layers: BTreeMap<Digest, (u64, usize)> = BTreeMap::new();
    for image in &images {
        let item = &stock.items[image];
        let distinct: BTreeMap<Digest, u64> = item.blobs.iter().skip(1).map(|blob| (blob.digest, blob.size)).collect();
        for (digest, size) in distinct {
            layers.entry(digest).or_insert((size, 0)).1 += 1;
        }
    }
    let mut sizes = Sizes::default();
    for (size, users) in layers.values() {
        let (count, bytes) = match users {
            1 => (&mut sizes.unique_layers, &mut sizes.unique_bytes),
            _ => (&mut sizes.shared_layers, &mut sizes.shared_bytes),
        };
        *count += 1;
        *bytes += size;
    }
    sizes.stored_bytes = stock.bytes_of(stock.items.keys());
    sizes.other_bytes = sizes.stored_bytes - sizes.shared_bytes - sizes.unique_bytes;
    sizes.unshared_bytes = images.iter().map(|image| stock.bytes_of([image])).sum();
    for digest in images {
        let item = &stock.items[&digest];
        let mut seen = BTreeSet::new();
        let own = item.blobs.iter().enumerate().filter(|(place, blob)| {
            seen.insert(blob.digest) && (*place == 0 || layers.get(&blob.digest).is_some_and(|(_, users)| *users == 1))
        });
        let own_bytes = own.map(|(_, blob)| blob.size).sum::<u64>();
        let of = |digest: &Digest| tags_of.get(digest).into_iter().flatten().map(|tag| (*tag).to_owned());
        let mut tags: Vec<String> = of(&digest).collect();
        if tags.is_empty() {
            let indexes = stock.items.iter().filter(|(_, item)| match &item.kind {
                ItemKind::Index(children) => children.contains(&digest),
                _ => false,
            });
            tags = indexes.flat_map(|(index, _)| of(index)).collect();
        }
        let bytes = item.blobs.iter().map(|blob| blob.size).sum();
        sizes.images.push(ImageSize { digest, tags, layers: item.blobs.len().saturating_sub(1), bytes, own_bytes });
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
        assert_eq!(format!("{:.2}", light.cost(0.10) + heavy.cost(0.10)), "0.04");

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
        let all_private = sizes(&light).cost(0.10) + sizes(&heavy).cost(0.10);
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
            (15, 3),
            "a layer that is used twice is pushed once"
        );
        assert_eq!(sizes.unshared_bytes / MB, 5 * 175 + 15);
    }
}
