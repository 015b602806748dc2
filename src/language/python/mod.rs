//! Python: the projects of the context that a project is made from: path dependencies, members of a workspace, requirements
//! files, and what its modules import.
//!
//! A missing module shows only when it is imported, so imports count too, declared or not. What belongs to no project stays.
//!
//! Source: PEP 508 and 621, the documentation of uv (sources, workspaces), Poetry (path dependencies), PDM, Hatch (context
//! fields), pip (requirements file format).

mod module;
mod packages;
mod project;
#[cfg(test)]
mod tests;

pub use module::PythonFile;
pub(super) use packages::close;
pub use project::PythonProject;
