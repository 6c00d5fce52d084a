//! Which run this is: what its plan and its apply have in common, although they are different processes, perhaps on
//! different machines, and what the next run has not.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// The longest workspace name read from `.terraform/environment`, in bytes: Terraform's own limit is 90 characters.
const WORKSPACE_BYTES_MAX: u64 = 1_024;

/// Bytes of the hash that tell runs apart: 64 bits, of one caller's open requests.
const HASH_BYTES: usize = 8;

/// The longest part of a name that is shown as it is; what is longer, or not plain, is in the hash only.
const SHOWN_MAX: usize = 48;

/// A run's name, as the broker takes it: at most 128 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Run(String);

/// Where one variable of a CI system points out the root of the code.
struct System {
    name: &'static str,
    /// The variables that tell its runs apart; the first must be there.
    ids: &'static [&'static str],
    /// The folder that the code was checked out to: two machines have it in different places.
    root: Option<&'static str>,
}

/// The systems that say which run it is, the most particular first: an HCP Terraform agent may run inside another's job.
const SYSTEMS: [System; 4] = [
    System {
        name: "hcp-terraform",
        ids: &["TFC_RUN_ID"],
        root: None,
    },
    System {
        name: "github",
        ids: &["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_REPOSITORY"],
        root: Some("GITHUB_WORKSPACE"),
    },
    System {
        name: "gitlab",
        ids: &["CI_PIPELINE_ID", "CI_PROJECT_ID"],
        root: Some("CI_PROJECT_DIR"),
    },
    // Its own steps know only the folder, which has the pull request's number in it; a `run` or `env` step knows the rest.
    System {
        name: "atlantis",
        ids: &[
            "ATLANTIS_TERRAFORM_VERSION",
            "PULL_NUM",
            "HEAD_COMMIT",
            "BASE_REPO_OWNER",
            "BASE_REPO_NAME",
            "WORKSPACE",
        ],
        root: None,
    },
];

impl Run {
    /// The run that the environment (read through `variable`) and the working directory tell of.
    ///
    /// Directory and workspace are always part of it: one CI job may apply several configurations at once, and the one
    /// that is done first must not give back what the others still use.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>, directory: &Path) -> Run {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let workspace = workspace(variable, directory);
        let system = SYSTEMS
            .iter()
            .find(|system| system.ids.first().is_some_and(|id| variable(id).is_some()));
        let (name, ids, root) = match system {
            Some(system) => (
                system.name,
                system
                    .ids
                    .iter()
                    .map(|id| variable(id).unwrap_or_default())
                    .collect(),
                system.root.and_then(&variable),
            ),
            None => ("local", Vec::new(), None),
        };
        let below_root = root.and_then(|root| {
            let below = directory.strip_prefix(PathBuf::from(root)).ok()?;
            Some(below.to_path_buf())
        });
        let folder = below_root.unwrap_or_else(|| directory.to_path_buf());

        // Each part with its length before it, so that no two lists of parts read alike.
        let mut parts = String::new();
        let folder = folder.to_string_lossy();
        for part in [name, &folder, &workspace]
            .into_iter()
            .chain(ids.iter().map(String::as_str))
        {
            parts.push_str(&format!("{}:{part}", part.len()));
        }
        let hash = digest(&SHA256, parts.as_bytes());
        let hash = hex::encode(hash.as_ref().get(..HASH_BYTES).unwrap_or_default());
        let shown = ids.first().filter(|id| name != "atlantis" && is_plain(id));
        Run(match shown {
            Some(id) => format!("terraform/{name}/{id}/{hash}"),
            None => format!("terraform/{name}/{hash}"),
        })
    }

    /// As the broker takes it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= SHOWN_MAX
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// The workspace, as Terraform finds it: TF_WORKSPACE, or what `terraform workspace select` left in the data directory.
fn workspace(variable: impl Fn(&str) -> Option<String>, directory: &Path) -> String {
    if let Some(name) = variable("TF_WORKSPACE") {
        return name;
    }
    let data = variable("TF_DATA_DIR").unwrap_or_else(|| ".terraform".to_owned());
    let file = directory.join(data).join("environment");
    let small = std::fs::metadata(&file).is_ok_and(|file| file.len() <= WORKSPACE_BYTES_MAX);
    let name = match small {
        true => std::fs::read_to_string(&file).unwrap_or_default(),
        false => String::new(),
    };
    match name.trim() {
        "" => "default".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(variables: &[(&str, &str)], directory: &str) -> String {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Run::of(variable, Path::new(directory)).as_str().to_owned()
    }

    #[test]
    fn each_system_names_its_run() {
        for (variables, expected) in [
            (
                &[("TFC_RUN_ID", "run-CZcmD7eagjhyX0vN")][..],
                "terraform/hcp-terraform/run-CZcmD7eagjhyX0vN/",
            ),
            (
                &[("GITHUB_RUN_ID", "1658821493"), ("GITHUB_RUN_ATTEMPT", "1")],
                "terraform/github/1658821493/",
            ),
            (&[("CI_PIPELINE_ID", "77")], "terraform/gitlab/77/"),
            (
                &[("ATLANTIS_TERRAFORM_VERSION", "1.11.4"), ("PULL_NUM", "7")],
                "terraform/atlantis/",
            ),
            (&[], "terraform/local/"),
            // An HCP Terraform run inside of a GitHub job.
            (
                &[("GITHUB_RUN_ID", "1"), ("TFC_RUN_ID", "run-1")],
                "terraform/hcp-terraform/run-1/",
            ),
            // Empty is as good as not there.
            (
                &[("TFC_RUN_ID", ""), ("GITHUB_RUN_ID", "")],
                "terraform/local/",
            ),
            // What the broker would not take is in the hash only.
            (&[("GITHUB_RUN_ID", "1 ü\n")], "terraform/github/"),
        ] {
            let name = run(variables, "/infra");
            let hash = name
                .strip_prefix(expected)
                .unwrap_or_else(|| panic!("{name}"));
            assert_eq!(hash.len(), 16, "{name}");
            assert!(name.len() <= 128 && name.bytes().all(|b| b.is_ascii_graphic()));
        }
        let long = run(&[("GITHUB_RUN_ID", &"9".repeat(500))], "/infra");
        assert!(long.len() <= 128, "{long}");
    }

    #[test]
    fn a_plan_and_its_apply_are_the_same_run() {
        let plan = [
            ("GITHUB_RUN_ID", "5"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_WORKSPACE", "/runner-a/work"),
        ];
        let apply = [
            ("GITHUB_RUN_ID", "5"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_WORKSPACE", "/srv/runner-b/work"),
        ];
        assert_eq!(
            run(&plan, "/runner-a/work/infra"),
            run(&apply, "/srv/runner-b/work/infra")
        );
        assert_eq!(run(&[], "/home/mia/infra"), run(&[], "/home/mia/infra"));
    }

    #[test]
    fn what_differs_between_runs_makes_another() {
        let github = [("GITHUB_RUN_ID", "5"), ("GITHUB_RUN_ATTEMPT", "1")];
        for (one, other) in [
            // A job that is run again asks again.
            (
                run(&github, "/infra"),
                run(
                    &[("GITHUB_RUN_ID", "5"), ("GITHUB_RUN_ATTEMPT", "2")],
                    "/infra",
                ),
            ),
            // One job, two configurations: neither gives back what the other still uses.
            (run(&github, "/infra/a"), run(&github, "/infra/b")),
            // One configuration, two workspaces.
            (
                run(&[("TF_WORKSPACE", "staging")], "/infra"),
                run(&[("TF_WORKSPACE", "prod")], "/infra"),
            ),
            (
                run(&[("TFC_RUN_ID", "run-a")], "/infra"),
                run(&[("TFC_RUN_ID", "run-b")], "/infra"),
            ),
            (
                run(&[("CI_PIPELINE_ID", "1")], "/infra"),
                run(&[("CI_PIPELINE_ID", "2")], "/infra"),
            ),
            (
                run(
                    &[("ATLANTIS_TERRAFORM_VERSION", "1"), ("HEAD_COMMIT", "a")],
                    "/i",
                ),
                run(
                    &[("ATLANTIS_TERRAFORM_VERSION", "1"), ("HEAD_COMMIT", "b")],
                    "/i",
                ),
            ),
            // Parts do not run into each other.
            (
                run(
                    &[("GITHUB_RUN_ID", "1"), ("GITHUB_RUN_ATTEMPT", "23")],
                    "/i",
                ),
                run(
                    &[("GITHUB_RUN_ID", "12"), ("GITHUB_RUN_ATTEMPT", "3")],
                    "/i",
                ),
            ),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_selected_workspace_is_read_where_terraform_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let none = |_: &str| None;
        assert_eq!(workspace(none, folder.path()), "default");

        let data = folder.path().join(".terraform");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("environment"), "staging\n").unwrap();
        assert_eq!(workspace(none, folder.path()), "staging");

        let named = |name: &str| (name == "TF_WORKSPACE").then(|| "prod".to_owned());
        assert_eq!(workspace(named, folder.path()), "prod");

        std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
        std::fs::write(folder.path().join("elsewhere/environment"), "qa").unwrap();
        let moved = |name: &str| (name == "TF_DATA_DIR").then(|| "elsewhere".to_owned());
        assert_eq!(workspace(moved, folder.path()), "qa");

        std::fs::write(data.join("environment"), "x".repeat(2_000)).unwrap();
        assert_eq!(workspace(none, folder.path()), "default");
    }
}
