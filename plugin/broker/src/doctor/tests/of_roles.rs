//! Roles, their denials, and what the two identities may do with them.

use writ_engine::RequestId;

use super::*;

#[test]
fn a_role_is_the_one_of_its_arn_or_none() {
    let check = Check::RoleExists;
    let found = |arn: &str| Ok(Found::Elsewhere(arn.to_owned()));
    let at_a_path = found("arn:aws:iam::123456789012:role/jit/jit-payments-deploy");
    let in_another = found("arn:aws:iam::999999999999:role/jit-payments-deploy");
    for (seen, severity, words) in [
        (Ok(Found::Missing), Severity::Fail, "there is no role"),
        (at_a_path, Severity::Fail, "role/jit/jit-payments-deploy"),
        (
            in_another,
            Severity::Skipped,
            "of the account 123456789012, and IAM is read in 999999999999",
        ),
        (
            Err(refused("iam:GetRole")),
            Severity::Skipped,
            "`iam:GetRole` was refused: AccessDenied",
        ),
    ] {
        assert_told(|w| w.scope().role = seen, check, severity, words);
    }
    // Where the reader is of another account, that is why.
    assert_told(
        |w| {
            w.scope().role = Err(refused("iam:GetRole"));
            let other = "arn:aws:iam::999999999999:user/writ-revoker";
            w.facts.broker.revoker = is(identity(other, "AIDAREVOKER", false));
        },
        check,
        Severity::Skipped,
        "IAM is read in 999999999999",
    );
    // Nothing is said to be well of a role that was not read.
    let mut world = World::sound();
    world.scope().role = Ok(Found::Missing);
    for finding in world.findings() {
        let id = finding.check.id();
        if id.starts_with("trust.") || id.starts_with("denials.") || id == "role.boundary" {
            assert_eq!(finding.severity, Severity::Skipped, "{finding:?}");
        }
    }
}

#[test]
fn sessions_are_as_long_as_the_scope_says_and_the_longest_window_is_told() {
    for (role_s, severity, words) in [
        (3_600, Severity::Ok, "sessions of 1h, the scope says 1h"),
        (43_200, Severity::Ok, "sessions of 12h"),
        (1_800, Severity::Fail, "sessions of 30m, the scope says 1h"),
    ] {
        assert_told(
            |w| w.role().max_session_s = role_s,
            Check::RoleMaxSession,
            severity,
            words,
        );
    }
    // `prod-db-read` may be had for eight hours; its role gives one.
    let read = |w: &mut World| w.scope().scope = ScopeId::new("prod-db-read").unwrap();
    assert_told(
        read,
        Check::SessionLength,
        Severity::Warn,
        "may last 8h, one session 1h, since the broker's credentials are a role's session",
    );
    let mut world = World::sound();
    world.settings.role_session = false;
    read(&mut world);
    let told = world.finding(Check::SessionLength);
    assert!(told.seen.contains("may last 8h, one session 1h: longer"));
    let command = told.fix.unwrap().command.unwrap();
    assert!(command.ends_with("--role-name jit-prod-db-read --max-session-duration 28800"));
}

#[test]
fn a_role_without_a_boundary_or_that_edits_itself_is_told() {
    assert_told(
        |w| w.role().boundary = None,
        Check::RoleBoundary,
        Severity::Warn,
        "no permissions boundary",
    );
    let edits = || Ok(BTreeSet::from(["iam:DeleteRolePolicy".to_owned()]));
    assert_told(
        |w| w.role().edits_itself = edits(),
        Check::RoleSelfEdit,
        Severity::Warn,
        "as IAM simulates it (`iam:DeleteRolePolicy`)",
    );
    // A session can use it where the scope's session policy allows it too.
    let admin: Vec<(&str, Severity)> = vec![
        ("iam:*", Severity::Fail),
        ("IAM:Delete*", Severity::Fail),
        ("ecs:*", Severity::Warn),
    ];
    for (action, severity) in admin {
        let mut world = World::sound();
        world.bundle = Arc::new(with_action(action));
        world.role().edits_itself = edits();
        assert_eq!(
            world.finding(Check::RoleSelfEdit).severity,
            severity,
            "{action}"
        );
    }
}

/// The shipped bundle, in which `payments-deploy` allows this on everything.
fn with_action(action: &str) -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text
                .replace(
                    r#"["ecs:UpdateService", "ecs:DescribeServices"]"#,
                    &format!("[\"{action}\"]"),
                )
                .replace("arn:aws:ecs:eu-west-1:123456789012:service/payments/*", "*");
            std::fs::write(copy.path().join(path.file_name().unwrap()), text).unwrap();
        }
    }
    Bundle::load(&crate::bundle::read(copy.path()).unwrap()).unwrap()
}

#[test]
fn where_nothing_is_simulated_the_roles_policies_are_read() {
    let policy = |effect: &str, action: &str, resource: &str, condition: Value| {
        json!({ "Statement": {
            "Effect": effect, "Action": action, "Resource": resource, "Condition": condition,
        }})
        .to_string()
    };
    let allow = |action: &str, resource: &str| policy("Allow", action, resource, json!({}));
    let deny = policy("Deny", "iam:*", "*", json!({}));
    let maybe = policy(
        "Deny",
        "iam:*",
        "*",
        json!({ "Bool": { "aws:MultiFactorAuthPresent": "false" } }),
    );
    let table: Vec<(Vec<String>, Severity, &str)> = vec![
        (vec![allow("s3:*", "*")], Severity::Ok, "cannot edit itself"),
        (vec![allow("iam:*", "*")], Severity::Warn, "alone"),
        (
            vec![allow("iam:Put*", ROLE)],
            Severity::Warn,
            "(`iam:PutRolePermissionsBoundary`, `iam:PutRolePolicy`)",
        ),
        (
            vec![allow("iam:*", "arn:aws:iam::123456789012:role/other")],
            Severity::Ok,
            "by its policies alone",
        ),
        (vec![allow("*", "*"), deny], Severity::Ok, "cannot"),
        (vec![allow("*", "*"), maybe], Severity::Warn, "may edit"),
    ];
    for (documents, severity, words) in table {
        assert_told(
            |w| {
                let role = w.role();
                role.edits_itself = Err(refused("iam:SimulatePrincipalPolicy"));
                // Half of them inline, half attached.
                let mut documents = documents.into_iter();
                role.inline = Ok(documents
                    .next()
                    .map(|it| ("a".to_owned(), it))
                    .into_iter()
                    .collect());
                role.attached = Ok(documents
                    .map(|it| Attached {
                        name: "b".to_owned(),
                        document: Some(it),
                    })
                    .collect());
            },
            Check::RoleSelfEdit,
            severity,
            words,
        );
    }
    // A policy that was not read may say anything.
    assert_told(
        |w| w.role().edits_itself = Err(refused("iam:SimulatePrincipalPolicy")),
        Check::RoleSelfEdit,
        Severity::Skipped,
        "`iam:SimulatePrincipalPolicy` was refused",
    );
}

fn denial(grants: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:PrincipalTag/writ:grant": grants } },
    }]})
}

fn grant(n: u8) -> String {
    RequestId::new(Moment::from_ms(0).unwrap(), [n; 10]).to_string()
}

#[test]
fn the_denials_are_the_expected_ones_or_at_least_writs() {
    let (one, two) = (grant(1), grant(2));
    let ours = || denial(&[&one, &two]);
    let by_age = json!({ "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": "2026-11-21T09:00:00Z" } },
    }]});
    let with = |change: &dyn Fn(&mut Value)| {
        let mut policy = ours();
        change(&mut policy["Statement"][0]);
        Some(policy.to_string())
    };
    // What is there, what should be (nobody knows, none, this), and what is made of it.
    let unknown = || None;
    let none = || Some(None);
    let should = |document: Value| Some(Some(document.to_string()));
    type Row = (
        Option<String>,
        Option<Option<String>>,
        Severity,
        &'static str,
    );
    let table: Vec<Row> = vec![
        (None, unknown(), Severity::Ok, "no grant is denied"),
        (None, none(), Severity::Ok, "no grant is denied"),
        (None, should(ours()), Severity::Fail, "is gone"),
        (
            Some(ours().to_string()),
            unknown(),
            Severity::Ok,
            "it denies 2 grants",
        ),
        (
            Some(denial(&[&one]).to_string()),
            unknown(),
            Severity::Ok,
            "it denies 1 grant",
        ),
        // The same in other white space.
        (
            Some(format!("{:#}", ours())),
            should(ours()),
            Severity::Ok,
            "it denies 2 grants, as it should",
        ),
        (
            Some(denial(&[&one]).to_string()),
            should(ours()),
            Severity::Fail,
            "denies other grants than were revoked",
        ),
        (
            Some(ours().to_string()),
            none(),
            Severity::Warn,
            "none should be",
        ),
        (
            Some(by_age.to_string()),
            unknown(),
            Severity::Ok,
            "it denies 0 grants",
        ),
        (
            Some("{".to_owned()),
            unknown(),
            Severity::Fail,
            "no policy document",
        ),
        (
            Some(allow_all()),
            unknown(),
            Severity::Fail,
            "it allows something",
        ),
        (
            with(&|it| it["Action"] = json!("s3:*")),
            unknown(),
            Severity::Fail,
            "does not deny everything",
        ),
        (
            with(&|it| it["Resource"] = json!("arn:aws:s3:::x")),
            unknown(),
            Severity::Fail,
            "does not deny everything",
        ),
        (
            with(&|it| it["Condition"] = json!({})),
            unknown(),
            Severity::Fail,
            "denies everyone",
        ),
        (
            with(&|it| it["Condition"]["Bool"] = json!({ "aws:SecureTransport": "false" })),
            unknown(),
            Severity::Fail,
            "a condition that Writ does not write",
        ),
        (
            Some(denial(&["*"]).to_string()),
            unknown(),
            Severity::Fail,
            "names what is no grant",
        ),
    ];
    for (there, expected, severity, words) in table {
        assert_told(
            |w| {
                if let Some(expected) = expected {
                    w.expected.insert(RoleArn::new(ROLE).unwrap(), expected);
                }
                if let (Some(there), Ok(inline)) = (there, &mut w.role().inline) {
                    inline.insert("writ-revoked".to_owned(), there);
                }
            },
            Check::DenialsPolicy,
            severity,
            words,
        );
    }
    // What is put back is what should be there.
    let mut world = World::sound();
    let arn = RoleArn::new(ROLE).unwrap();
    world.expected.insert(arn, Some(ours().to_string()));
    let fix = world.finding(Check::DenialsPolicy).fix.unwrap();
    assert_eq!(fix.policy, Some(ours()));
}

#[test]
fn names_like_writs_are_told_and_so_is_the_room_that_is_left() {
    let inline = |name: &str, document: String| {
        let name = name.to_owned();
        move |w: &mut World| {
            w.role().inline = Ok(BTreeMap::from([(name, document)]));
        }
    };
    assert_told(
        inline("Writ-Extra", "{}".to_owned()),
        Check::DenialsNames,
        Severity::Warn,
        "`Writ-Extra`",
    );
    assert_told(
        |w| {
            w.role().attached = Ok(vec![Attached {
                name: "writ-admin".to_owned(),
                document: None,
            }]);
        },
        Check::DenialsNames,
        Severity::Warn,
        "`writ-admin`",
    );
    for (document, severity, words) in [
        (String::new(), Severity::Ok, "room for 346 denials"),
        // White space takes no room.
        (" ".repeat(20_000), Severity::Ok, "room for 346 denials"),
        ("x".repeat(7_000), Severity::Ok, "room for 104 denials"),
        ("x".repeat(8_000), Severity::Warn, "room for 70 denials"),
        ("x".repeat(20_000), Severity::Warn, "room for 0 denials"),
    ] {
        assert_told(inline("own", document), Check::DenialsRoom, severity, words);
    }
    // The denials themselves are not in their own way.
    assert_told(
        inline("writ-revoked", "x".repeat(10_000)),
        Check::DenialsRoom,
        Severity::Ok,
        "room for 346",
    );
    assert_told(
        |w| w.role().inline = Err(refused("iam:ListRolePolicies")),
        Check::DenialsPolicy,
        Severity::Skipped,
        "`iam:ListRolePolicies` was refused",
    );
}

#[test]
fn the_revoker_can_write_and_cannot_assume() {
    let may = |actions: &[&str]| {
        let actions = actions.iter().map(|it| (*it).to_owned()).collect();
        Some(Ok(actions))
    };
    let no_writes = may(&[
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:SimulatePrincipalPolicy",
    ]);
    assert_told(
        |w| w.scope().revoker_may = no_writes,
        Check::RevokerMay,
        Severity::Fail,
        "may not `iam:DeleteRolePolicy`, `iam:PutRolePolicy`",
    );
    assert_told(
        |w| w.scope().revoker_may = Some(Err(refused("iam:SimulatePrincipalPolicy"))),
        Check::RevokerMay,
        Severity::Skipped,
        "was refused",
    );
    assert_told(
        |w| {
            let other = "arn:aws:iam::999999999999:user/writ-revoker";
            w.facts.broker.revoker = is(identity(other, "AIDAREVOKER", false));
        },
        Check::RevokerMay,
        Severity::Fail,
        "nothing can be revoked in 123456789012",
    );
    assert_told(
        |w| w.scope().revoker_assumes = Some(Ok(())),
        Check::RevokerAssume,
        Severity::Fail,
        "can assume the role",
    );
    // Only a plain no is a no.
    let expired = Unseen {
        call: "sts:AssumeRole",
        code: "ExpiredToken".to_owned(),
        refused: true,
    };
    for why in [expired, unanswered("sts:AssumeRole")] {
        assert_told(
            |w| w.scope().revoker_assumes = Some(Err(why)),
            Check::RevokerAssume,
            Severity::Skipped,
            "`sts:AssumeRole`",
        );
    }
}

#[test]
fn a_rehearsal_that_is_refused_says_by_what_code_and_what_to_look_at() {
    for (code, words) in [
        ("AccessDenied", "trust.broker"),
        ("RegionDisabledException", "activate STS in `eu-west-1`"),
        ("SignatureDoesNotMatch", "clock.skew"),
        ("SomethingNew", "look up"),
    ] {
        let mut world = World::sound();
        world.scope().rehearsal = Err(Unseen {
            call: "sts:AssumeRole",
            code: code.to_owned(),
            refused: true,
        });
        let told = world.finding(Check::SessionRehearsal);
        assert_eq!(told.severity, Severity::Fail);
        assert!(told.seen.contains(code));
        let advice = told.fix.unwrap().advice;
        assert!(advice.contains(words), "{advice}");
    }
    assert_told(
        |w| w.scope().rehearsal = Err(unanswered("sts:AssumeRole")),
        Check::SessionRehearsal,
        Severity::Skipped,
        "was not answered: NoConnection",
    );
}
