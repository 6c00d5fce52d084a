//! The bundle: policies, schema, scopes and directory, read together, checked strictly, and in force as one.

pub mod catalog;
pub mod directory;
pub mod hcl;
pub mod policies;
pub mod report;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::scope::{Scope, ScopeId};

pub use directory::Directory;
pub use report::Report;

/// The texts of a bundle by path within its folder (`access.cedar`, `scopes.hcl` …), as the shell read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFiles(pub BTreeMap<String, String>);

/// A checked bundle. Made only by [`Bundle::load`].
#[derive(Debug)]
pub struct Bundle {
    digest: Digest,
    catalog: BTreeMap<ScopeId, Scope>,
    directory: Directory,
    policies: policies::Policies,
}

impl Bundle {
    /// Checks everything and returns the bundle, or every error there is, each with its place.
    pub fn load(_files: &BundleFiles) -> Result<Bundle, Report> {
        Err(Report::default())
    }

    /// SHA-256 over every file's path and text, in order.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A scope of the catalog.
    pub fn scope(&self, id: &ScopeId) -> Option<&Scope> {
        self.catalog.get(id)
    }

    /// Every scope, by name.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.catalog.values()
    }

    /// Who there is.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}
