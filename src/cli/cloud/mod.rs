//! AWS as the commands see it. [`Cloud`] has the same functions whether or not the program was built with AWS: without it, each says so
//! where it is needed, and nothing else needs to know.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod aws;
mod identify;

#[cfg(not(feature = "aws"))]
pub use absent::{Cloud, is_home};
#[cfg(feature = "aws")]
pub use aws::{Cloud, is_home};
pub use identify::identified;
