//! The IAM beside `sts.rs`: the one policy of each role, by which ended grants are denied.

use std::collections::{BTreeMap, BTreeSet};

const ACCOUNT: &str = "arn:aws:iam::123456789012:role";

/// The policies by role.
#[derive(Default)]
pub(super) struct Iam(BTreeMap<String, String>);

impl Iam {
    /// The grants that a role denies by name.
    pub(super) fn denied(&self, role: &str) -> BTreeSet<String> {
        let Some(policy) = self.0.get(role) else {
            return BTreeSet::new();
        };
        let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
        let denials = policy["Statement"].as_array().unwrap().iter();
        denials
            .filter(|it| it["Effect"] == "Deny" && it["Action"] == "*" && it["Resource"] == "*")
            .filter_map(|it| {
                it["Condition"]["StringEquals"]["aws:PrincipalTag/writ:grant"].as_array()
            })
            .flatten()
            .map(|grant| grant.as_str().unwrap().to_owned())
            .collect()
    }

    /// Does what a form asks for: the status, and the answer's body.
    pub(super) fn answer(&mut self, form: &BTreeMap<String, String>) -> (u16, String) {
        let action = form["Action"].as_str();
        let arn = match form.get("PolicySourceArn") {
            Some(arn) => arn.clone(),
            None => format!("{ACCOUNT}/{}", form["RoleName"]),
        };
        let result = match action {
            "GetRole" => format!(
                "<Role><Path>/</Path><RoleName>{}</RoleName><RoleId>AROATEST</RoleId><Arn>{arn}</Arn>\
                 <CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>",
                form["RoleName"]
            ),
            "PutRolePolicy" => {
                self.0.insert(arn, form["PolicyDocument"].clone());
                String::new()
            }
            "DeleteRolePolicy" => {
                self.0.remove(&arn);
                String::new()
            }
            "GetRolePolicy" => match self.0.get(&arn) {
                Some(policy) => {
                    let policy = percent_encoding::utf8_percent_encode(
                        policy,
                        percent_encoding::NON_ALPHANUMERIC,
                    );
                    format!(
                        "<RoleName>{}</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{policy}</PolicyDocument>",
                        form["RoleName"], form["PolicyName"]
                    )
                }
                None => return (404, error("NoSuchEntity")),
            },
            "SimulatePrincipalPolicy" => {
                let grant = &form["ContextEntries.member.1.ContextKeyValues.member.1"];
                let decision = match self.denied(&arn).contains(grant) {
                    true => "explicitDeny",
                    false => "implicitDeny",
                };
                format!(
                    "<EvaluationResults><member><EvalActionName>sts:GetCallerIdentity</EvalActionName>\
                     <EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>\
                     </EvaluationResults><IsTruncated>false</IsTruncated>"
                )
            }
            other => panic!("{other} is not asked of IAM"),
        };
        let body = format!(
            "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}</{action}Result>\
             <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{action}Response>"
        );
        (200, body)
    }
}

/// A refusal, as STS and IAM tell it.
pub(super) fn error(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>no</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )
}
