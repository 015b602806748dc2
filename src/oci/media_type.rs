//! The media types that registries and this program exchange.

/// A manifest of one image or artifact (OCI).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of manifests (OCI).
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The configuration of an image (OCI).
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer: an uncompressed tar (OCI).
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer: a tar compressed with gzip (OCI).
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer: a tar compressed with zstd (OCI).
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The two bytes `{}` that stand where an artifact has no configuration (OCI).
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A manifest of one image (Docker, schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A list of manifests (Docker).
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The configuration of an image (Docker).
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A layer: a tar compressed with gzip (Docker).
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The artifact type of our records: what an image was made from.
pub const RECORD: &str = "application/vnd.orchestrate.record.v1+json";
/// The layer of a record: its JSON compressed with gzip.
pub const RECORD_GZIP: &str = "application/vnd.orchestrate.record.v1+json+gzip";

/// The artifact type of our notes: who moved which tags to an image.
pub const MOVE: &str = "application/vnd.orchestrate.move.v1+json";

/// The manifests that we can read, as an `Accept` header.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Whether it is an index: OCI's or Docker's list.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_INDEX)
}

/// Whether it is a manifest of one image or artifact.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Whether a layer of this type is not to be pushed, since its owner alone may distribute it (Windows base layers).
pub fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
}
