//! `scopes.hcl`: the catalog.
