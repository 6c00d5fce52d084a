//! The reader of `directory.hcl`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Attribute, Directory, GROUP_DEPTH_MAX, Group, STABLE_ID_MAX, User, Workload};
use crate::bundle::hcl::{Document, Placed, Reader, Value};
use crate::bundle::refuse_lookalikes;
use crate::bundle::report::did_you_mean;
use crate::principal::{GITHUB_CLAIMS, PrincipalId, UserId, WorkloadId, check_name};

/// Something the file refers to by name, looked up once every name is known.
struct Mention {
    name: Placed<String>,
    /// Who mentions it, as a message names them.
    by: String,
}

#[derive(Default)]
struct Draft {
    directory: Directory,
    group_places: BTreeMap<String, Range<usize>>,
    identity_places: BTreeMap<(String, String), Range<usize>>,
    groups: Vec<Mention>,
    people: Vec<Mention>,
}

/// Reads the directory. `None` if its syntax is wrong; what else is wrong is in the document, and a directory with errors
/// still has every name, so that policies which name them are not refused for that as well.
pub(in crate::bundle) fn read(document: &Document) -> Option<Directory> {
    let mut file = document.root()?;
    let mut draft = Draft::default();
    draft.directory.timezone = read_timezone(&mut file);
    let groups = file.labelled_blocks("group");
    let users = file.labelled_blocks("user");
    let workloads = file.labelled_blocks("workload");
    let names = |blocks: &[(Placed<String>, Reader<'_>)]| -> Vec<Placed<String>> {
        blocks.iter().map(|(name, _)| name.clone()).collect()
    };
    let (group_names, user_names, workload_names) =
        (names(&groups), names(&users), names(&workloads));

    refuse_lookalikes(document, "group", &group_names);
    // One namespace: both end up in SourceIdentity, where AWS shows a name and not a type.
    refuse_lookalikes(
        document,
        "user or workload",
        user_names.iter().chain(&workload_names),
    );
    for (name, block) in groups {
        draft.read_group(name, block);
    }
    for (name, block) in users {
        draft.read_user(name, block);
    }
    for (name, block) in workloads {
        draft.read_workload(name, block);
    }
    file.finish();
    draft.check_mentions(document);
    match draft.check_nesting(document) {
        Some(order) => draft.gather_members(&order),
        // Cedar would find the circle again, and say it less well.
        None => draft
            .directory
            .groups
            .values_mut()
            .for_each(|group| group.groups.clear()),
    }
    Some(draft.directory)
}

fn read_timezone(file: &mut Reader<'_>) -> Option<jiff::tz::TimeZone> {
    let name = file.string("timezone")?;
    match jiff::tz::TimeZone::get(&name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let known: Vec<String> = jiff::tz::db()
                .available()
                .map(|zone| zone.to_string())
                .collect();
            let message = format!(
                "`{}` is not a time zone; write it like `Europe/Dublin`",
                name.value
            );
            let help = did_you_mean(&name, known.iter().map(String::as_str));
            file.error(name.span, message, help);
            None
        }
    }
}

impl Draft {
    fn read_group(&mut self, name: Placed<String>, mut block: Reader<'_>) {
        if let Err(error) = check_name(&name) {
            block.error(name.span.clone(), error.to_string(), None);
        }
        let description = block.string("description");
        let groups = self.read_groups(&mut block);
        block.finish();
        let group = Group {
            groups,
            description: description.map(|text| text.value).unwrap_or_default(),
        };
        self.group_places.insert(name.value.clone(), name.span);
        self.directory.groups.insert(name.value, group);
    }

    fn read_groups(&mut self, block: &mut Reader<'_>) -> BTreeSet<String> {
        let mut groups = BTreeSet::new();
        for group in block
            .strings("groups")
            .map(|list| list.value)
            .unwrap_or_default()
        {
            groups.insert(group.value.clone());
            self.groups.push(Mention {
                name: group,
                by: block.what().to_owned(),
            });
        }
        groups
    }

    fn read_user(&mut self, name: Placed<String>, mut block: Reader<'_>) {
        let display_name = block.required_string("name");
        let manager = block.parsed("manager", |id| UserId::new(id));
        let groups = self.read_groups(&mut block);
        let attributes = block.block("attributes").map(read_attributes);
        if let Some(manager) = &manager {
            if manager.as_str() == name.value {
                block.error(
                    manager.span.clone(),
                    format!("user `{}` is their own manager", name.value),
                    Some("leave `manager` out for whoever has none".to_owned()),
                );
            }
            self.people.push(Mention {
                name: manager.clone().map(|id| id.as_str().to_owned()),
                by: format!("manager of user `{}`", name.value),
            });
        }
        let identities: Vec<_> = block
            .blocks("identity")
            .into_iter()
            .map(read_identity)
            .collect();
        let id = match UserId::new(name.value.as_str()) {
            Ok(id) => id,
            Err(error) => {
                block.error(name.span, error.to_string(), None);
                block.finish();
                return;
            }
        };
        for (issuer, stable_id) in identities.into_iter().flatten() {
            self.add_identity(&block, issuer, stable_id, PrincipalId::User(id.clone()));
        }
        block.finish();
        let user = User {
            display_name: display_name.map(|text| text.value).unwrap_or_default(),
            manager: manager.map(|manager| manager.value),
            groups,
            attributes: attributes.unwrap_or_default(),
        };
        self.directory.users.insert(id, user);
    }

    fn read_workload(&mut self, name: Placed<String>, mut block: Reader<'_>) {
        let owner = block.required_parsed("owner", |id| UserId::new(id));
        if let Some(owner) = &owner {
            self.people.push(Mention {
                name: owner.clone().map(|id| id.as_str().to_owned()),
                by: format!("owner of workload `{}`", name.value),
            });
        }
        let groups = self.read_groups(&mut block);
        let identity = block.required_block("identity").map(read_repository);
        let id = match WorkloadId::new(name.value.as_str()) {
            Ok(id) => id,
            Err(error) => {
                block.error(name.span, error.to_string(), None);
                block.finish();
                return;
            }
        };
        let mut pinned = BTreeMap::new();
        if let Some((identity, claims)) = identity {
            if let Some((issuer, stable_id)) = identity {
                let workload = PrincipalId::Workload(id.clone());
                self.add_identity(&block, issuer, stable_id, workload);
            }
            pinned = claims;
        }
        block.finish();
        // Stands in for an owner that was refused, so that the workload's name is known all the same.
        let Some(owner) = owner
            .map(|owner| owner.value)
            .or_else(|| UserId::new("refused").ok())
        else {
            return;
        };
        let workload = Workload {
            owner,
            groups,
            pinned,
        };
        self.directory.workloads.insert(id, workload);
    }

    fn add_identity(
        &mut self,
        block: &Reader<'_>,
        issuer: Placed<String>,
        stable_id: Placed<String>,
        principal: PrincipalId,
    ) {
        let key = (issuer.value, stable_id.value);
        if let (Some(first), Some(owner)) = (
            self.identity_places.get(&key),
            self.directory.identities.get(&key),
        ) {
            block.document().error_pair(
                first.clone(),
                stable_id.span,
                format!(
                    "`{}` of `{}` belongs to both {} `{}` and {} `{}`",
                    key.1,
                    key.0,
                    kind(owner),
                    owner.name(),
                    kind(&principal),
                    principal.name()
                ),
                Some("an identity is one person's or one workload's".to_owned()),
            );
            return;
        }
        self.identity_places.insert(key.clone(), stable_id.span);
        self.directory.identities.insert(key, principal);
    }

    fn check_mentions(&self, document: &Document) {
        let groups = &self.directory.groups;
        for mention in &self.groups {
            if !groups.contains_key(&mention.name.value) {
                document.error(
                    mention.name.span.clone(),
                    format!(
                        "no group `{}`, which {} is in",
                        mention.name.value, mention.by
                    ),
                    did_you_mean(&mention.name, groups.keys().map(String::as_str)),
                );
            }
        }
        let users: BTreeSet<&str> = self.directory.users.keys().map(UserId::as_str).collect();
        for mention in &self.people {
            if !users.contains(mention.name.as_str()) {
                document.error(
                    mention.name.span.clone(),
                    format!("no user `{}`, who is {}", mention.name.value, mention.by),
                    did_you_mean(&mention.name, users.iter().copied()),
                );
            }
        }
    }

    /// The groups in an order in which each comes after those it is in, or `None` where there is none.
    ///
    /// By rounds, not by recursion: a file may chain as many groups as it has room for.
    fn check_nesting(&self, document: &Document) -> Option<Vec<String>> {
        let groups = &self.directory.groups;
        let mut order: Vec<String> = Vec::new();
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: BTreeSet<&str> = groups.keys().map(String::as_str).collect();
        for _ in 0..GROUP_DEPTH_MAX {
            let ready: Vec<&str> = waiting
                .iter()
                .copied()
                .filter(|name| self.parents(name).all(|parent| placed.contains(parent)))
                .collect();
            for name in ready {
                waiting.remove(name);
                placed.insert(name);
                order.push(name.to_owned());
            }
        }
        let Some(start) = waiting.first() else {
            return Some(order);
        };
        let span = |name: &str| self.group_places.get(name).cloned().unwrap_or_default();
        match self.cycle(&waiting, start) {
            Some(cycle) => {
                let first = cycle.first().copied().unwrap_or_default();
                let named: Vec<String> = cycle
                    .iter()
                    .chain([&first])
                    .map(|name| format!("`{name}`"))
                    .collect();
                document.error(
                    span(first),
                    format!(
                        "groups are in each other in a circle: {}",
                        named.join(" in ")
                    ),
                    Some("take one of them out of the next".to_owned()),
                );
            }
            None => document.error(
                span(start),
                format!("group `{start}` is in groups nested more than {GROUP_DEPTH_MAX} deep"),
                None,
            ),
        }
        None
    }

    /// The known groups that a group is in.
    fn parents<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let groups = &self.directory.groups;
        groups
            .get(name)
            .into_iter()
            .flat_map(|group| &group.groups)
            .filter(|parent| groups.contains_key(*parent))
            .map(String::as_str)
    }

    /// Follows the groups of `waiting` upwards until one comes again. Each of them waits for another that waits, so a walk
    /// that ends has left for a group that was only too deep.
    fn cycle<'a>(&'a self, waiting: &BTreeSet<&'a str>, start: &'a str) -> Option<Vec<&'a str>> {
        let mut walk: Vec<&str> = vec![start];
        let mut seen: BTreeMap<&str, usize> = BTreeMap::from([(start, 0)]);
        loop {
            let here = *walk.last()?;
            let next = self.parents(here).find(|parent| waiting.contains(parent))?;
            if let Some(place) = seen.insert(next, walk.len()) {
                return walk.get(place..).map(<[&str]>::to_vec);
            }
            walk.push(next);
        }
    }

    fn gather_members(&mut self, order: &[String]) {
        let mut above: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for name in order {
            let mut all = BTreeSet::from([name.clone()]);
            for parent in self.parents(name) {
                all.extend(above.get(parent).into_iter().flatten().cloned());
            }
            above.insert(name, all);
        }
        let mut members: BTreeMap<String, BTreeSet<UserId>> = BTreeMap::new();
        for (id, user) in &self.directory.users {
            for group in &user.groups {
                for holder in above.get(group.as_str()).into_iter().flatten() {
                    members
                        .entry(holder.clone())
                        .or_default()
                        .insert(id.clone());
                }
            }
        }
        self.directory.members = members;
    }
}

fn kind(principal: &PrincipalId) -> &'static str {
    match principal {
        PrincipalId::User(_) => "user",
        PrincipalId::Workload(_) => "workload",
    }
}

/// An identity's issuer, by its name in the broker's configuration, and stable id.
type Identity = (Placed<String>, Placed<String>);

fn read_identity(mut block: Reader<'_>) -> Option<Identity> {
    let issuer = block.required_parsed("issuer", issuer_name);
    let id = block.required_parsed("id", canonical);
    block.finish();
    Some((issuer?, id?))
}

/// A repository's identity: its id is the stable one, each further key a claim the token must carry.
fn read_repository(mut block: Reader<'_>) -> (Option<Identity>, BTreeMap<String, String>) {
    let issuer = block.required_parsed("issuer", issuer_name);
    let id = block.required_parsed("repository_id", number);
    let mut pinned = BTreeMap::new();
    for (claim, _) in GITHUB_CLAIMS {
        let check = if claim.ends_with("_id") {
            number
        } else {
            canonical
        };
        // `repository_id` was read above and is absent now.
        if let Some(value) = block.parsed(claim, check) {
            pinned.insert(claim.to_owned(), value.value);
        }
    }
    block.finish();
    (issuer.zip(id), pinned)
}

fn issuer_name(text: &str) -> Result<String, crate::principal::BadName> {
    check_name(text).map(|()| text.to_owned())
}

/// An identity is compared byte for byte, so one that could be written in two ways is refused, not mended.
fn canonical(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let fits = printable && text.trim() == text && text.len() <= STABLE_ID_MAX;
    fits.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "`{text}` is not a plain identity: printable ASCII, no space at either end, at most {STABLE_ID_MAX} characters"
        )
    })
}

/// GitHub's ids are numbers, in a token as text.
fn number(text: &str) -> Result<String, String> {
    let fits = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is not one of GitHub's numbers; write it like `\"4201\"`"))
}

fn read_attributes(mut block: Reader<'_>) -> BTreeMap<String, Attribute> {
    let mut attributes = BTreeMap::new();
    for (key, value) in block.rest() {
        if key.value == "manager" {
            block.error(
                key.span,
                "`manager` is not a free attribute",
                Some("write it in the user block itself".to_owned()),
            );
            continue;
        }
        match attribute(value.value) {
            Some(value) => {
                attributes.insert(key.value, value);
            }
            None => block.error(
                value.span,
                format!(
                    "`{}` must be `true` or `false`, a whole number, a string or a list of strings",
                    key.value
                ),
                None,
            ),
        }
    }
    block.finish();
    attributes
}

fn attribute(value: Value) -> Option<Attribute> {
    match value {
        Value::Bool(truth) => Some(Attribute::Bool(truth)),
        Value::Whole(whole) => Some(Attribute::Long(whole)),
        Value::String(text) => Some(Attribute::String(text)),
        Value::List(items) => items
            .into_iter()
            .map(|item| match item.value {
                Value::String(text) => Some(text),
                Value::Bool(_) | Value::Whole(_) | Value::List(_) | Value::Object(_) => None,
            })
            .collect::<Option<BTreeSet<String>>>()
            .map(Attribute::Strings),
        Value::Object(_) => None,
    }
}
