//! The bundle: policies, schema, scopes and directory, read together, checked strictly, and in force as one.

pub mod catalog;
pub mod directory;
pub mod format;
pub mod hcl;
pub mod policies;
pub mod report;

use std::collections::BTreeMap;

use crate::approval::Kind;
use crate::decide::PolicyRef;
use crate::digest::Digest;
use crate::scope::{Scope, ScopeId};
use hcl::{Document, Placed};
use report::did_you_mean;

pub use directory::Directory;
pub use report::Report;

/// The vocabulary: what policies may name.
pub const SCHEMA: &str = policies::SCHEMA_FILE;

/// The catalog.
pub const SCOPES: &str = "scopes.hcl";

/// The directory.
pub const DIRECTORY: &str = "directory.hcl";

/// The most files in a bundle: hundreds of policies fit in a few dozen, and each is read at every check.
pub const FILES_MAX: usize = 200;

/// The largest file, in bytes; the same for all, see [`hcl::FILE_MAX`].
pub const FILE_MAX: usize = hcl::FILE_MAX;

/// The largest bundle, in bytes, all files together.
pub const BUNDLE_MAX: usize = 8 * 1024 * 1024;

/// The longest path of a file within the bundle, in bytes.
pub const PATH_MAX: usize = 200;

/// The texts of a bundle by path within its folder (`access.cedar`, `scopes.hcl` …), as the shell read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFiles(pub BTreeMap<String, String>);

impl BundleFiles {
    /// The files that are in force, without tests and what merely lies beside them: a policy in `tests/` is not one.
    fn parts(&self) -> BundleFiles {
        let part = |path: &&String| matches!(role(path), Role::Part);
        let files = self.0.iter().filter(|(path, _)| part(path));
        BundleFiles(
            files
                .map(|(path, text)| (path.clone(), text.clone()))
                .collect(),
        )
    }

    /// SHA-256 over every file's path and text, in order. Each comes after its length, so that no text can pass for the
    /// beginning of the next path.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for part in self.0.iter().flat_map(|(path, text)| [path, text]) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Digest::of("writ.v1.bundle", &bytes)
    }
}

/// A checked bundle. Made only by [`Bundle::load`].
#[derive(Debug)]
pub struct Bundle {
    digest: Digest,
    catalog: BTreeMap<ScopeId, Scope>,
    directory: Directory,
    policies: policies::Policies,
    index: crate::decide::Index,
    warnings: Report,
}

impl Bundle {
    /// Checks everything and returns the bundle, or every error there is, each with its place.
    pub fn load(files: &BundleFiles) -> Result<Bundle, Report> {
        let mut report = Report::default();
        check_size(files, "the bundle", &mut report);
        // What is too large is not read at all, not even to say what else is wrong with it.
        if report.has_errors() {
            return Err(report);
        }
        check_paths(files, &mut report);
        let directory = read(files, DIRECTORY, &mut report, directory::read).flatten();
        let sound = !report.has_errors();
        let groups = directory.as_ref().map(|directory| catalog::Groups {
            known: &directory.groups,
            members: sound.then_some(&directory.members),
        });
        let catalog = read(files, SCOPES, &mut report, |document| {
            catalog::read(document, groups)
        })
        .flatten();
        // Without the names of both, every name a policy uses would be reported as unknown.
        let (Some(catalog), Some(directory)) = (catalog, directory) else {
            return Err(report);
        };
        let parts = files.parts();
        let policies = policies::Policies::load(&parts, &catalog, &directory, &mut report);
        match policies {
            Some(policies) if !report.has_errors() => Ok(Bundle {
                digest: files.digest(),
                index: crate::decide::Index::new(&policies, &directory),
                catalog,
                directory,
                policies,
                warnings: report,
            }),
            _ => Err(report),
        }
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

    /// The kinds of approval there are.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.policies.kinds.iter()
    }

    /// Where the policy of that `@id` stands.
    pub fn policy(&self, id: &str) -> Option<&PolicyRef> {
        self.policies
            .facts
            .get(&cedar_policy::PolicyId::new(id))
            .map(|facts| &facts.place)
    }

    /// What the check found that refuses nothing but wants a look.
    pub fn warnings(&self) -> &Report {
        &self.warnings
    }

    /// The checked policies.
    pub(crate) fn policies(&self) -> &policies::Policies {
        &self.policies
    }

    /// The checked policies by what their heads name.
    pub(crate) fn index(&self) -> &crate::decide::Index {
        &self.index
    }
}

/// Reads one HCL file and takes over what was found; `None` if there is no such file.
fn read<T>(
    files: &BundleFiles,
    file: &str,
    report: &mut Report,
    read: impl FnOnce(&Document) -> T,
) -> Option<T> {
    let document = Document::parse(file, files.0.get(file)?);
    let result = read(&document);
    report.absorb(document.into_report());
    Some(result)
}

/// Refuses what is too much to read.
pub(crate) fn check_size(files: &BundleFiles, what: &str, report: &mut Report) {
    let count = files.0.len();
    if count > FILES_MAX {
        let message = format!("{what} has {count} files; at most {FILES_MAX} are read");
        report.push_file("", message, None);
    }
    let mut total = 0_usize;
    for (path, text) in &files.0 {
        total = total.saturating_add(text.len());
        if text.len() > FILE_MAX {
            let message = format!(
                "`{path}` has {} bytes; at most {FILE_MAX} are read",
                text.len()
            );
            report.push_file(path, message, Some("split it".to_owned()));
        }
    }
    if total > BUNDLE_MAX {
        let message = format!("{what} has {total} bytes; at most {BUNDLE_MAX} are read");
        report.push_file("", message, None);
    }
}

/// What a file is to a bundle.
enum Role {
    /// It belongs.
    Part,
    /// Tests, and what repositories carry for people and tools.
    Beside,
    /// Its name is no name.
    BadPath,
    /// Someone may think it is in force.
    Stray,
}

fn role(path: &str) -> Role {
    let sane = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if path.len() > PATH_MAX || !path.split('/').all(sane) {
        return Role::BadPath;
    }
    match path.split_once('/') {
        Some(("tests", _)) => Role::Beside,
        Some((folder, _)) if folder.starts_with('.') => Role::Beside,
        Some(_) => Role::Stray,
        None if [SCHEMA, SCOPES, DIRECTORY].contains(&path) => Role::Part,
        None if path.starts_with('.') => Role::Beside,
        None if path.ends_with(".cedar") => Role::Part,
        None if path.ends_with(".md")
            || ["LICENSE", "CODEOWNERS", "OWNERS", crate::access::lock::LOCK].contains(&path) =>
        {
            Role::Beside
        }
        None => Role::Stray,
    }
}

/// Refuses a bundle that lacks a file or has one that nothing would read: a guardrail in `guardrails.ceder` would
/// otherwise guard nothing, and nobody would know.
fn check_paths(files: &BundleFiles, report: &mut Report) {
    // That the schema is missing is said where it is read, so that the policies are still parsed.
    for required in [SCOPES, DIRECTORY] {
        if !files.0.contains_key(required) {
            report.push_file(required, format!("`{required}` is missing"), None);
        }
    }
    let is_policy = |path: &String| path.ends_with(".cedar") && matches!(role(path), Role::Part);
    if !files.0.keys().any(is_policy) {
        report.push_file(
            "access.cedar",
            "the bundle has no `.cedar` file, so nobody could get anything",
            Some("write the first policy into `access.cedar`".to_owned()),
        );
    }
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for path in files.0.keys() {
        // Where a file system knows no case, one of the two would vanish without a word.
        if let Some(first) = seen.insert(path.to_lowercase(), path) {
            report.push_file(
                path,
                format!("`{first}` and `{path}` differ only by case"),
                Some("give each file a name of its own".to_owned()),
            );
        }
        match role(path) {
            Role::Part | Role::Beside => {}
            Role::BadPath => report.push_file(
                path,
                format!("`{path}` is not a path within a bundle"),
                Some(format!(
                    "use letters, digits, `.`, `_` and `-`, at most {PATH_MAX} in all"
                )),
            ),
            Role::Stray => {
                let known = [SCHEMA, SCOPES, DIRECTORY];
                let help = did_you_mean(path, known).unwrap_or_else(|| {
                    "policies are the `.cedar` files beside `scopes.hcl`; what is only for tests goes into `tests/`"
                        .to_owned()
                });
                report.push_file(path, format!("nothing reads `{path}`"), Some(help));
            }
        }
    }
}

/// Refuses names that differ only by case: people take one for the other.
fn refuse_lookalikes<'a>(
    document: &Document,
    what: &str,
    names: impl IntoIterator<Item = &'a Placed<String>>,
) {
    let mut seen: BTreeMap<String, &Placed<String>> = BTreeMap::new();
    for name in names {
        let Some(first) = seen.insert(name.to_lowercase(), name) else {
            continue;
        };
        let message = if first.value == name.value {
            format!("the name `{}` is given to more than one {what}", name.value)
        } else {
            format!("`{}` and `{}` differ only by case", first.value, name.value)
        };
        document.error_pair(
            first.span.clone(),
            name.span.clone(),
            message,
            Some(format!("give each {what} a name of its own")),
        );
    }
}
