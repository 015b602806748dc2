//! The values of the OCI image specification, without any effect: media types, descriptors, manifests, indexes, configurations.
//!
//! A manifest that came from elsewhere is a [`RawManifest`]: its bytes are what its digest means, so they are kept and never
//! serialised again. [`Contents`] is what we read in it. [`Manifest`], [`Index`] and [`ImageConfig`] are for writing our own.
//!
//! Source: OCI image specification 1.1.

mod config;
mod descriptor;
mod manifest;
pub mod media_type;

pub use config::{Execution, History, ImageConfig, RootFs};
pub use descriptor::{Descriptor, DescriptorPlatform};
pub use manifest::{Contents, Index, MAX_MANIFEST_SIZE, Manifest, NotAManifest, RawManifest};
