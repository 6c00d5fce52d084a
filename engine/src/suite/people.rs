//! People who exist in one file of tests only, so that it holds whoever comes and goes in the directory.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::bundle::hcl::{Document, Reader, Value};
use crate::bundle::report::did_you_mean;
use crate::bundle::{Bundle, BundleFiles, DIRECTORY};
use crate::principal::check_name;

use super::{Suite, World};

/// The people a file adds to the directory, as `directory.hcl` would say it, and where the first of them stands.
#[derive(Default)]
pub(super) struct People {
    text: String,
    at: Range<usize>,
}

pub(super) fn read(file: &mut Reader<'_>, bundle: Option<&Bundle>) -> People {
    let mut people = People::default();
    let Some(directory) = bundle.map(Bundle::directory) else {
        return people;
    };
    let blocks = file.labelled_blocks("user");
    let added: BTreeSet<String> = blocks.iter().map(|(name, _)| name.value.clone()).collect();
    let known = |name: &str| {
        let taken = |known: &str| known.eq_ignore_ascii_case(name);
        directory.users().any(|(user, _)| taken(user.as_str()))
            || directory
                .workloads()
                .any(|(workload, _)| taken(workload.as_str()))
    };
    for (name, mut block) in blocks {
        if let Err(error) = check_name(&name) {
            block.error(name.span.clone(), error.to_string(), None);
        } else if known(&name) {
            block.error(
                name.span.clone(),
                format!("`{}` is in `{DIRECTORY}` already", name.value),
                Some("give the person of a test a name of their own".to_owned()),
            );
        }
        if people.text.is_empty() {
            people.at = block.header();
        }
        people.text.push_str(&format!(
            "\nuser \"{0}\" {{\n  name = \"{0}\"\n",
            name.value
        ));
        if let Some(manager) = block.string("manager") {
            let exists = added.contains(&manager.value)
                || directory
                    .users()
                    .any(|(user, _)| user.as_str() == manager.value);
            if !exists {
                let users = directory.users().map(|(user, _)| user.as_str());
                let help = did_you_mean(&manager, users.chain(added.iter().map(String::as_str)));
                block.error(
                    manager.span.clone(),
                    format!("no user `{}`", manager.value),
                    help,
                );
            }
            people
                .text
                .push_str(&format!("  manager = {}\n", quoted(&manager)));
        }
        let groups = block.strings("groups").map(|list| list.value);
        let groups = groups.unwrap_or_default();
        for group in &groups {
            if !directory.groups().any(|(known, _)| known == group.value) {
                let help = did_you_mean(group, directory.groups().map(|(known, _)| known));
                let message = format!("no group `{}`", group.value);
                block.error(group.span.clone(), message, help);
            }
        }
        let groups: Vec<String> = groups.iter().map(|group| quoted(group)).collect();
        people
            .text
            .push_str(&format!("  groups = [{}]\n", groups.join(", ")));
        if let Some(mut attributes) = block.block("attributes") {
            people.text.push_str("  attributes {\n");
            for (key, value) in attributes.rest() {
                let value = written(&value.value);
                people
                    .text
                    .push_str(&format!("    {} = {value}\n", key.value));
            }
            people.text.push_str("  }\n");
            attributes.finish();
        }
        people.text.push_str("}\n");
        block.finish();
    }
    people
}

/// A value as HCL writes it.
fn written(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Whole(whole) => whole.to_string(),
        Value::String(text) => quoted(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| written(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        // The directory refuses it, with a better word than could be found here.
        Value::Object(_) => "{}".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace("${", "$${")
        .replace("%{", "%%{");
    format!("\"{text}\"")
}

/// The suite's world with these people in it.
pub(super) fn world(suite: &mut Suite, document: &Document, people: People) -> Option<usize> {
    let same = |world: &World| world.people == people.text;
    if let Some(known) = suite.worlds.iter().position(same) {
        return Some(known);
    }
    match Bundle::load(&with_people(&suite.files, &people.text)) {
        Ok(bundle) => {
            suite.worlds.push(World {
                people: people.text,
                bundle: Arc::new(bundle),
            });
            Some(suite.worlds.len() - 1)
        }
        Err(report) => {
            let said = report
                .findings()
                .first()
                .map(|finding| finding.message.clone());
            document.error(
                people.at,
                format!(
                    "with the people of this file the directory is refused: {}",
                    said.unwrap_or_default()
                ),
                None,
            );
            None
        }
    }
}

/// The bundle's files with more people in the directory.
pub(super) fn with_people(files: &BundleFiles, people: &str) -> BundleFiles {
    let mut files = files.clone();
    if let Some(directory) = files.0.get_mut(DIRECTORY) {
        directory.push_str(people);
    }
    files
}
