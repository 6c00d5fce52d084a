//! The survey: what `writ doctor` asks AWS. It reads, and makes sessions on trial that are denied everything; it changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_lc_rs::rand;
use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use writ_engine::scope::{RoleArn, Scope};
use writ_engine::session::{DURATION_MIN_S, GRANT_TAG, SCOPE_TAG};
use writ_engine::{Moment, RequestId};

use super::failure::Failure;
use super::issuer::{Ask, session};
use super::revoker::{decoded, is_missing};
use super::{AwsSettings, Caller, Endpoints, on_loopback, role_name};
use crate::clock::Clock;
use crate::doctor::facts::{
    Attached, BrokerFacts, Facts, Found, Identity, RoleFacts, ScopeFacts, Seen, Time, Unseen,
};
use crate::doctor::{NOT_SENT, REVOKER_NEEDS, SELF_EDITS};

/// The session policy of a session on trial. Whoever got hold of its credentials could do nothing with them.
const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// Who is named as the person behind a session on trial.
const SOURCE_IDENTITY: &str = "writ-doctor";

/// The region whose STS is asked where no scope names one.
const REGION: &str = "us-east-1";

/// Asks under the broker's own identities. Unlike the issuer it may ask again: nothing comes of it.
pub(crate) struct Survey {
    issuer: Caller,
    revoker: Option<Caller>,
    external_id: Option<String>,
}

impl Survey {
    /// Contacts nobody yet.
    pub(crate) fn new(settings: &AwsSettings) -> Survey {
        let sts = settings.endpoint_url.clone();
        let patient = |source, endpoints| Caller::new(source, endpoints).patient();
        Survey {
            issuer: patient(
                &settings.credentials,
                Endpoints {
                    iam: sts.clone().filter(|url| on_loopback(url)),
                    sts: sts.clone(),
                },
            ),
            revoker: settings.revoker.as_ref().map(|revoker| {
                patient(
                    &revoker.credentials,
                    Endpoints {
                        iam: revoker.endpoint_url.clone(),
                        sts,
                    },
                )
            }),
            external_id: settings.external_id.clone(),
        }
    }

    #[cfg(test)]
    pub(super) fn over(
        issuer: Caller,
        revoker: Option<Caller>,
        external_id: Option<String>,
    ) -> Survey {
        Survey {
            issuer,
            revoker,
            external_id,
        }
    }

    /// Everything about the broker and these scopes, one call after the other: IAM allows few a second.
    pub(crate) async fn facts(&self, scopes: &[&Scope], clock: &Clock) -> Facts {
        let region = scopes.first().map_or(REGION, |scope| &scope.aws.region);
        let (issuer, time) = identity(&self.issuer, region, clock).await;
        let revoker = match &self.revoker {
            Some(caller) => Some(identity(caller, region, clock).await.0),
            None => None,
        };
        // Scopes may share a role.
        let mut roles: HashMap<&RoleArn, Seen<Found>> = HashMap::new();
        let mut seen = Vec::new();
        for scope in scopes {
            let arn = &scope.aws.role_arn;
            let role = match roles.get(arn) {
                Some(role) => role.clone(),
                None => {
                    let role = role(self.revoker.as_ref().unwrap_or(&self.issuer), arn).await;
                    roles.insert(arn, role.clone());
                    role
                }
            };
            let (mut revoker_assumes, mut revoker_may) = (None, None);
            if let Some(caller) = &self.revoker {
                revoker_assumes = Some(self.revoker_assumes(caller, scope, clock).await);
                revoker_may = match &revoker {
                    Some(Ok(identity)) => Some(may(caller, identity, arn).await),
                    Some(Err(why)) => Some(Err(why.clone())),
                    None => None,
                };
            }
            seen.push(ScopeFacts {
                scope: scope.id.clone(),
                role,
                rehearsal: self.rehearse(&self.issuer, scope, clock).await,
                revoker_assumes,
                revoker_may,
            });
        }
        Facts {
            broker: BrokerFacts {
                issuer,
                revoker,
                time,
            },
            scopes: seen,
        }
    }

    /// An AssumeRole like those of the issuer, tags, source identity and all, whose session may do nothing.
    async fn rehearse(&self, caller: &Caller, scope: &Scope, clock: &Clock) -> Seen<()> {
        let call = "sts:AssumeRole";
        let id = made_up(clock.now());
        let ask = Ask {
            role_arn: scope.aws.role_arn.as_str(),
            session_name: &format!("writ-{id}"),
            source_identity: SOURCE_IDENTITY,
            duration_s: DURATION_MIN_S,
            session_policy: NOTHING,
            tags: &[
                (GRANT_TAG, id.to_string()),
                (SCOPE_TAG, scope.id.to_string()),
            ],
            external_id: self.external_id.as_deref(),
        };
        let asked = ask.of(&caller.sts(&scope.aws.region)).map_err(|_| Unseen {
            call,
            code: "BadTag".to_owned(),
            refused: true,
        })?;
        let output = asked.send().await.map_err(|error| unseen(call, &error))?;
        // Wiped at once.
        drop(session(output));
        Ok(())
    }

    /// Whether the revoker gets a session, asked for in either way that a careless trust policy would grant: with nothing
    /// that needs a permission of its own, and as the broker asks.
    async fn revoker_assumes(&self, caller: &Caller, scope: &Scope, clock: &Clock) -> Seen<()> {
        let call = "sts:AssumeRole";
        let bare = caller
            .sts(&scope.aws.region)
            .assume_role()
            .role_arn(scope.aws.role_arn.as_str())
            .role_session_name(format!("writ-{}", made_up(clock.now())))
            .duration_seconds(i32::try_from(DURATION_MIN_S).unwrap_or(i32::MAX))
            .policy(NOTHING)
            .set_external_id(self.external_id.clone())
            .send()
            .await;
        match bare {
            Ok(output) => {
                drop(session(output));
                Ok(())
            }
            Err(error) => match unseen(call, &error) {
                why if why.refused => self.rehearse(caller, scope, clock).await,
                why => Err(why),
            },
        }
    }
}

/// The id of a grant that never was. Only its form matters, so a source of chance that fails is no matter either.
fn made_up(now: Moment) -> RequestId {
    let mut random = [0; 10];
    let _ = rand::fill(&mut random);
    RequestId::new(now, random)
}

/// Keeps the `Date` of an answer, good or bad.
#[derive(Debug, Clone, Default)]
struct DateOf(Arc<Mutex<Option<Moment>>>);

impl Intercept for DateOf {
    fn name(&self) -> &'static str {
        "DateOf"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let date = context.response().headers().get("date");
        let read = |text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok();
        if let Some(date) = date.and_then(read) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                date.to_millis().ok().and_then(Moment::from_ms);
        }
        Ok(())
    }
}

async fn identity(caller: &Caller, region: &str, clock: &Clock) -> (Seen<Identity>, Option<Time>) {
    let call = "sts:GetCallerIdentity";
    let date = DateOf::default();
    let asked_at = clock.now();
    let answer = caller
        .sts(region)
        .get_caller_identity()
        .customize()
        .interceptor(date.clone())
        .send()
        .await;
    let answered_at = clock.now();
    let aws = *date.0.lock().unwrap_or_else(PoisonError::into_inner);
    let time = aws.map(|aws| Time {
        aws,
        asked_at,
        answered_at,
    });
    // Of a session of a user's, the ARN is the user's; only the credentials tell.
    let held = caller.credentials.provide_credentials().await;
    let temporary = held.is_ok_and(|it| it.session_token().is_some());
    let identity = match answer {
        Ok(output) => Ok(Identity {
            arn: output.arn.unwrap_or_default(),
            user_id: output.user_id.unwrap_or_default(),
            account: output.account.unwrap_or_default(),
            temporary,
        }),
        Err(error) => Err(unseen(call, &error)),
    };
    (identity, time)
}

async fn role(caller: &Caller, arn: &RoleArn) -> Seen<Found> {
    let call = "iam:GetRole";
    let client = caller.iam(arn);
    let answer = client.get_role().role_name(role_name(arn)).send().await;
    let role = match answer {
        Ok(output) => output.role,
        Err(error) if is_missing(&error) => return Ok(Found::Missing),
        Err(error) => return Err(unseen(call, &error)),
    };
    // Whoever answers without an ARN is no IAM.
    let Some(role) = role.filter(|role| !role.arn.is_empty()) else {
        return Err(Unseen {
            call,
            code: "NoAnswer".to_owned(),
            refused: false,
        });
    };
    if role.arn != arn.as_str() {
        return Ok(Found::Elsewhere(role.arn));
    }
    let edits_itself = simulated(caller, arn, arn.as_str(), &SELF_EDITS).await;
    let with_documents = edits_itself.is_err();
    let max_session_s = role
        .max_session_duration
        .and_then(|s| u32::try_from(s).ok());
    Ok(Found::Here(RoleFacts {
        arn: role.arn,
        // IAM's own default.
        max_session_s: max_session_s.unwrap_or(3_600),
        trust: role
            .assume_role_policy_document
            .and_then(|it| decoded(&it))
            .unwrap_or_default(),
        boundary: role
            .permissions_boundary
            .and_then(|it| it.permissions_boundary_arn),
        inline: inline(&client, arn).await,
        attached: attached(&client, arn, with_documents).await,
        edits_itself,
    }))
}

async fn inline(client: &aws_sdk_iam::Client, arn: &RoleArn) -> Seen<BTreeMap<String, String>> {
    let names: Vec<String> = client
        .list_role_policies()
        .role_name(role_name(arn))
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .map_err(|error| unseen("iam:ListRolePolicies", &error))?;
    let mut policies = BTreeMap::new();
    for name in names {
        let output = client
            .get_role_policy()
            .role_name(role_name(arn))
            .policy_name(&name)
            .send()
            .await
            .map_err(|error| unseen("iam:GetRolePolicy", &error))?;
        let document = decoded(&output.policy_document).unwrap_or(output.policy_document);
        policies.insert(name, document);
    }
    Ok(policies)
}

async fn attached(
    client: &aws_sdk_iam::Client,
    arn: &RoleArn,
    with_documents: bool,
) -> Seen<Vec<Attached>> {
    let listed = client
        .list_attached_role_policies()
        .role_name(role_name(arn))
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| unseen("iam:ListAttachedRolePolicies", &error))?;
    let mut policies = Vec::new();
    for policy in listed {
        let document = match (with_documents, policy.policy_arn()) {
            (true, Some(policy_arn)) => managed(client, policy_arn).await,
            (true, None) | (false, _) => None,
        };
        policies.push(Attached {
            name: policy.policy_name.unwrap_or_default(),
            document,
        });
    }
    Ok(policies)
}

/// A managed policy's document in force, if it may be read.
async fn managed(client: &aws_sdk_iam::Client, arn: &str) -> Option<String> {
    let policy = client
        .get_policy()
        .policy_arn(arn)
        .send()
        .await
        .ok()?
        .policy?;
    let version = client
        .get_policy_version()
        .policy_arn(arn)
        .version_id(policy.default_version_id?)
        .send()
        .await
        .ok()?;
    decoded(&version.policy_version?.document?)
}

/// Which of `actions` on `role` IAM's simulation allows to `principal`, by its policies, boundary and account's guardrails.
async fn simulated(
    caller: &Caller,
    role: &RoleArn,
    principal: &str,
    actions: &[&str],
) -> Seen<BTreeSet<String>> {
    let results = caller
        .iam(role)
        .simulate_principal_policy()
        .policy_source_arn(principal)
        .set_action_names(Some(actions.iter().map(|it| (*it).to_owned()).collect()))
        .resource_arns(role.as_str())
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| unseen("iam:SimulatePrincipalPolicy", &error))?;
    let allowed = results
        .into_iter()
        .filter(|it| it.eval_decision == PolicyEvaluationDecisionType::Allowed);
    Ok(allowed.map(|it| it.eval_action_name).collect())
}

/// What the revoker may do with a role, of what it must.
async fn may(revoker: &Caller, identity: &Identity, role: &RoleArn) -> Seen<BTreeSet<String>> {
    let mut principal = identity.principal();
    // The ARN of a role's session lacks the role's path.
    if let Some((_, name)) = principal.split_once(":role/") {
        let answer = revoker.iam(role).get_role().role_name(name).send().await;
        if let Some(found) = answer.ok().and_then(|output| output.role) {
            principal = found.arn;
        }
    }
    simulated(revoker, role, &principal, &REVOKER_NEEDS).await
}

fn unseen<E: ProvideErrorMetadata>(call: &'static str, error: &SdkError<E>) -> Unseen {
    let (code, refused) = match Failure::of(error) {
        Failure::Refused(code) => (code, true),
        Failure::Later(code) => (code, false),
        Failure::NotSent => (NOT_SENT.to_owned(), false),
        Failure::NoConnection => ("NoConnection".to_owned(), false),
        Failure::NoAnswer => ("NoAnswer".to_owned(), false),
    };
    Unseen {
        call,
        code,
        refused,
    }
}
