//! Whether a function can run an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::function::FunctionFacts;
use crate::oci::{Contents, Manifest, media_type};
use crate::platform::Platform;
use crate::project::Architecture;

/// The largest image that Lambda runs, in bytes: 10 GB, all layers unpacked.
///
/// Source: docs.aws.amazon.com/lambda/latest/dg/images-create.html ("Container image settings").
const MOST_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// Why a function cannot run an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Unfit {
    /// Its code is a ZIP archive; the kind of a function's code is fixed when it is made.
    #[error("its code is a ZIP archive, and a function cannot change from that to an image")]
    Zip,
    /// The image is not made for its architecture.
    #[error("it runs on {function}, and the image is made for {image}")]
    Architecture {
        /// The function's.
        function: String,
        /// The image's platforms.
        image: String,
    },
    /// What should run is an index of several manifests.
    #[error("the image is an index, and a function runs a single manifest")]
    Index,
    /// A manifest, configuration or layer of a kind that is not run.
    #[error("the image has a part of type `{media_type}`, which Lambda does not take")]
    MediaType {
        /// The type.
        media_type: String,
    },
    /// More than 10 GB.
    #[error("the image has {bytes} bytes, and Lambda runs 10 GB unpacked at most")]
    TooLarge {
        /// The bytes of its layers as they are sent; unpacked they are more.
        bytes: u64,
    },
}

/// Whether a function of these facts can run an image made for `platforms`.
pub fn misfit(facts: &FunctionFacts, platforms: &[Platform]) -> Option<Unfit> {
    if facts.is_zip {
        return Some(Unfit::Zip);
    }
    let architecture = facts.architecture?;
    if platforms.iter().any(|platform| architecture.runs(platform)) {
        return None;
    }
    let image = platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(Unfit::Architecture { function: architecture.to_string(), image })
}

/// What of an image no function runs: the parts that only its manifest tells.
pub fn unfit_parts(contents: &Contents) -> Vec<Unfit> {
    match contents {
        Contents::Index(_) => vec![Unfit::Index],
        Contents::Manifest(manifest) => manifest_parts(manifest),
    }
}

/// Source: docs.aws.amazon.com/lambda/latest/dg/images-create.html: Docker's schema 2 and OCI manifests; layers as tar, also with gzip.
fn manifest_parts(manifest: &Manifest) -> Vec<Unfit> {
    let taken =
        |kind: &str| matches!(kind, media_type::LAYER_TAR | media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP);
    let mut unfit = Vec::new();
    if !matches!(manifest.config.media_type.as_str(), media_type::CONFIG | media_type::DOCKER_CONFIG) {
        unfit.push(Unfit::MediaType { media_type: manifest.config.media_type.clone() });
    }
    if let Some(layer) = manifest.layers.iter().find(|layer| !taken(&layer.media_type)) {
        unfit.push(Unfit::MediaType { media_type: layer.media_type.clone() });
    }
    let bytes = manifest.layers.iter().map(|layer| layer.size).sum();
    if bytes > MOST_BYTES {
        unfit.push(Unfit::TooLarge { bytes });
    }
    unfit
}

/// The platform of those that an image is made for that a function of this architecture runs; `None` if there is none.
pub fn platform_for(architecture: Option<Architecture>, platforms: &[Platform]) -> Option<&Platform> {
    match architecture {
        Some(architecture) => platforms.iter().find(|platform| architecture.runs(platform)),
        None => platforms.first(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::oci::{Descriptor, Index};

    fn part(kind: &str, size: u64) -> Descriptor {
        Descriptor::new(kind.to_owned(), Digest::of(kind.as_bytes()), size)
    }

    fn image(config: &str, layers: &[(&str, u64)]) -> Contents {
        let layers = layers.iter().map(|(kind, size)| part(kind, *size)).collect();
        Contents::Manifest(Box::new(Manifest::image(part(config, 2), layers)))
    }

    fn platforms(words: &[&str]) -> Vec<Platform> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn what_lambda_takes() {
        for layer in [media_type::LAYER_TAR, media_type::LAYER_GZIP, media_type::DOCKER_LAYER_GZIP] {
            assert_eq!(unfit_parts(&image(media_type::CONFIG, &[(layer, 7)])), []);
        }
        assert_eq!(unfit_parts(&image(media_type::DOCKER_CONFIG, &[])), []);
    }

    #[test]
    fn what_lambda_refuses() {
        let zstd = Unfit::MediaType { media_type: media_type::LAYER_ZSTD.to_owned() };
        let gzip = (media_type::LAYER_GZIP, 1);
        assert_eq!(unfit_parts(&image(media_type::CONFIG, &[gzip, (media_type::LAYER_ZSTD, 1)])), [zstd]);
        let artifact = Unfit::MediaType { media_type: media_type::EMPTY.to_owned() };
        assert_eq!(unfit_parts(&image(media_type::EMPTY, &[gzip])), [artifact]);
        let half = MOST_BYTES / 2;
        let layers = [(media_type::LAYER_GZIP, half), (media_type::LAYER_TAR, half)];
        assert_eq!(unfit_parts(&image(media_type::CONFIG, &layers)), []);
        let layers = [(media_type::LAYER_GZIP, half), (media_type::LAYER_TAR, half + 1)];
        assert_eq!(unfit_parts(&image(media_type::CONFIG, &layers)), [Unfit::TooLarge { bytes: MOST_BYTES + 1 }]);
        assert_eq!(unfit_parts(&Contents::Index(Box::new(Index::new(Vec::new())))), [Unfit::Index]);
    }

    #[test]
    fn architectures() {
        let arm = FunctionFacts { architecture: Some(Architecture::Arm64), ..FunctionFacts::default() };
        let (both, amd) = (platforms(&["linux/amd64", "linux/arm64"]), platforms(&["linux/amd64"]));
        assert_eq!(misfit(&arm, &both), None);
        let because = Unfit::Architecture { function: "arm64".to_owned(), image: "linux/amd64".to_owned() };
        assert_eq!(misfit(&arm, &amd), Some(because));
        assert_eq!(misfit(&FunctionFacts::default(), &amd), None, "Lambda does not say");
        assert_eq!(misfit(&FunctionFacts { is_zip: true, ..arm }, &both), Some(Unfit::Zip));
        assert_eq!(platform_for(Some(Architecture::Arm64), &both), Some(&both[1]));
        assert_eq!(platform_for(Some(Architecture::Arm64), &amd), None);
        assert_eq!(platform_for(None, &amd), Some(&amd[0]));
    }
}
