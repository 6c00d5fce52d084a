//! The tokens of a file of tests: workloads with the claims that a job's token would carry.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::bundle::hcl::{Members, Reader, Value};
use crate::bundle::report::did_you_mean;
use crate::principal::{GITHUB_CLAIMS, Principal, PrincipalId, WorkloadId};

pub(super) fn read(file: &mut Reader<'_>, bundle: &Bundle) -> BTreeMap<String, Principal> {
    let directory = bundle.directory();
    let mut tokens = BTreeMap::new();
    for (name, mut block) in file.labelled_blocks("token") {
        let workload = block.required_parsed("workload", |id| WorkloadId::new(id));
        let given = block.object("claims").map(|mut claims| {
            let members = claims.rest();
            claims.finish();
            members
        });
        let given = claims(&block, given.unwrap_or_default());
        if let Some(workload) = workload {
            match directory.workload(&workload) {
                None => {
                    let known = directory.workloads().map(|(known, _)| known.as_str());
                    block.error(
                        workload.span.clone(),
                        format!("no workload `{}`", workload.as_str()),
                        did_you_mean(workload.as_str(), known),
                    );
                }
                Some(known) => {
                    // What the directory says of every token of it, unless the test says otherwise.
                    let mut claims = known.pinned.clone();
                    let id = PrincipalId::Workload(workload.value.clone());
                    let repository = directory.identities.iter().find(|(_, whose)| **whose == id);
                    if let Some(((_, stable_id), _)) = repository {
                        claims.insert("repository_id".to_owned(), stable_id.clone());
                    }
                    claims.extend(given);
                    tokens.insert(name.value, Principal::workload(workload.value, claims));
                }
            }
        }
        block.finish();
    }
    tokens
}

fn claims(block: &Reader<'_>, members: Members) -> BTreeMap<String, String> {
    let mut claims = BTreeMap::new();
    for (claim, value) in members {
        let known = GITHUB_CLAIMS.map(|(claim, _)| claim);
        if !known.contains(&claim.value.as_str()) {
            let help = did_you_mean(&claim, known).unwrap_or_else(|| {
                let known: Vec<String> = known.iter().map(|claim| format!("`{claim}`")).collect();
                format!("known claims: {}", known.join(", "))
            });
            let message = format!("policies see no claim `{}`", claim.value);
            block.error(claim.span, message, Some(help));
            continue;
        }
        match value.value {
            Value::String(text) => {
                claims.insert(claim.value, text);
            }
            other => block.error(
                value.span,
                format!("`{}` must be a string, not {}", claim.value, other.kind()),
                None,
            ),
        }
    }
    claims
}
