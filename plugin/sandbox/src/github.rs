//! A CI job as GitHub Actions describes one, and the claims of its token.

use serde_json::{Map, Value, json};

/// How long GitHub's own tokens live.
pub const GITHUB_TOKEN_LIFETIME_S: i64 = 300;

/// How long before its issue GitHub dates a token's `nbf`.
pub(crate) const GITHUB_NOT_BEFORE_S: i64 = 600;

/// A job of GitHub Actions. Start from [`GithubJob::on_branch`] and change what the test is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubJob {
    /// `owner/name`.
    pub repository: String,
    /// The repository's id, which survives a rename.
    pub repository_id: String,
    /// The owner's id, which survives a rename.
    pub repository_owner_id: String,
    /// `refs/heads/main`.
    pub git_ref: String,
    /// Whether the branch is protected.
    pub ref_protected: bool,
    /// The deployment environment, if the job names one.
    pub environment: Option<String>,
    /// `push`, `workflow_dispatch`, `pull_request` …
    pub event_name: String,
    /// `owner/name/.github/workflows/file@ref` of the workflow the job is defined in.
    pub job_workflow_ref: String,
    /// The run's id.
    pub run_id: String,
    /// Which attempt of the run, from 1.
    pub run_attempt: String,
    /// Who set it off.
    pub actor: String,
    /// The commit, forty hexadecimal digits.
    pub sha: String,
    /// `github-hosted` or `self-hosted`.
    pub runner_environment: String,
}

/// What a running job finds in `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`. Has no `Debug`.
#[derive(Clone)]
pub struct JobRequest {
    /// To which `&audience=…` is added.
    pub url: String,
    /// The bearer token for it; a secret.
    pub token: String,
}

impl GithubJob {
    /// A push to `branch` of `repository` (`owner/name`), deploying from a hosted runner.
    pub fn on_branch(repository: &str, branch: &str) -> GithubJob {
        let git_ref = format!("refs/heads/{branch}");
        GithubJob {
            repository: repository.to_owned(),
            repository_id: "74000001".to_owned(),
            repository_owner_id: "65000001".to_owned(),
            job_workflow_ref: format!("{repository}/.github/workflows/deploy.yml@{git_ref}"),
            git_ref,
            ref_protected: branch == "main",
            environment: None,
            event_name: "push".to_owned(),
            run_id: "15000000001".to_owned(),
            run_attempt: "1".to_owned(),
            actor: "octocat".to_owned(),
            sha: "9fceb02d0ae598e95dc970b74767f19372d61af8".to_owned(),
            runner_environment: "github-hosted".to_owned(),
        }
    }

    /// The audience GitHub uses if the job asks for none.
    pub(crate) fn default_audience(&self) -> String {
        format!("https://github.com/{}", self.owner())
    }

    /// The claims that say what the job is; all are strings, as GitHub's are.
    pub(crate) fn claims(&self) -> Map<String, Value> {
        let branch = self.git_ref.strip_prefix("refs/heads/").unwrap_or_default();
        let request = self.event_name == "pull_request" || self.event_name == "pull_request_target";
        let context = match &self.environment {
            Some(environment) => format!("environment:{environment}"),
            None if request => "pull_request".to_owned(),
            None => format!("ref:{}", self.git_ref),
        };
        let claims = json!({
            "sub": format!("repo:{}:{context}", self.repository),
            "repository": self.repository,
            "repository_id": self.repository_id,
            "repository_owner": self.owner(),
            "repository_owner_id": self.repository_owner_id,
            "repository_visibility": "private",
            "ref": self.git_ref,
            "ref_type": if self.git_ref.starts_with("refs/tags/") { "tag" } else { "branch" },
            "ref_protected": self.ref_protected.to_string(),
            "head_ref": if request { branch } else { "" },
            "base_ref": if request { "main" } else { "" },
            "sha": self.sha,
            "workflow": "deploy",
            "workflow_ref": self.job_workflow_ref,
            "workflow_sha": self.sha,
            "job_workflow_ref": self.job_workflow_ref,
            "job_workflow_sha": self.sha,
            "event_name": self.event_name,
            "run_id": self.run_id,
            "run_number": "1",
            "run_attempt": self.run_attempt,
            "actor": self.actor,
            "actor_id": "583231",
            "runner_environment": self.runner_environment,
        });
        let mut claims = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        if let Some(environment) = &self.environment {
            claims.insert("environment".to_owned(), json!(environment));
        }
        claims
    }

    fn owner(&self) -> &str {
        self.repository.split('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_follows_the_environment_then_the_event_then_the_ref() {
        let push = GithubJob::on_branch("acme/payments", "main");
        assert_eq!(
            push.claims()["sub"],
            "repo:acme/payments:ref:refs/heads/main"
        );
        let request = GithubJob {
            event_name: "pull_request".to_owned(),
            ..push.clone()
        };
        assert_eq!(request.claims()["sub"], "repo:acme/payments:pull_request");
        let deploy = GithubJob {
            environment: Some("production".to_owned()),
            ..push
        };
        assert_eq!(
            deploy.claims()["sub"],
            "repo:acme/payments:environment:production"
        );
        assert_eq!(deploy.claims()["environment"], "production");
    }

    #[test]
    fn every_claim_is_a_string_as_githubs_are() {
        let claims = GithubJob::on_branch("acme/payments", "main").claims();
        assert!(claims.values().all(Value::is_string));
        assert!(!claims.contains_key("environment"));
    }
}
