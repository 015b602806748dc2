//! Images that could not be planned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ImageName;

/// An image that could not be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnseenImage {
    /// The image.
    #[schemars(with = "String")]
    pub name: ImageName,
    /// Why.
    pub because: Unseen,
}

/// What is not known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Unseen {
    /// Something from outside has no pin in the lock.
    Pin {
        /// The image, the front end or the address.
        reference: String,
    },
    /// The configuration of a base from outside was never read here.
    Configuration {
        /// The base.
        reference: String,
    },
    /// It builds on an image that could not be planned.
    Image {
        /// That image.
        #[schemars(with = "String")]
        image: ImageName,
    },
}
