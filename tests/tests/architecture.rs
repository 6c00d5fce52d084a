//! The shape of the code, held by tests: who depends on whom, which libraries there are once only, what is nowhere, and how
//! the protocol is written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use serde_json::Value;
use writ_tests::root;

const OURS: [&str; 9] = [
    "writ-engine",
    "writ-prove",
    "writ-api",
    "writ-broker",
    "writ-sandbox",
    "goplugin",
    "terraform-provider-writ",
    "writ",
    "writ-tests",
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every crate that `package` is built from, by name, with the versions there are of it.
fn built_from(package: &str) -> BTreeSet<(String, String)> {
    let tree = cargo(&[
        "tree",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect()
}

fn names(package: &str) -> BTreeSet<String> {
    built_from(package)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn has_none_of(package: &str, unwanted: &[&str]) {
    let names = names(package);
    assert!(names.contains(package), "the tree of {package} is read");
    let found: Vec<&String> = names
        .iter()
        .filter(|name| {
            unwanted
                .iter()
                .any(|unwanted| match unwanted.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == unwanted,
                })
        })
        .collect();
    assert!(found.is_empty(), "{package} is built from {found:?}");
}

#[test]
fn the_engine_has_no_runtime_no_wire_no_disk_and_no_cloud() {
    has_none_of(
        "writ-engine",
        &[
            "tokio*",
            "tonic*",
            "prost*",
            "aws-*",
            "rusqlite",
            "libsqlite3-sys",
            "hyper*",
            "rustls*",
            "mio",
            "reqwest",
            "tracing-subscriber",
            "rand",
            "getrandom",
            "writ-api",
            "writ-broker",
        ],
    );
}

#[test]
fn the_protocol_and_its_client_link_neither_cedar_nor_the_aws_sdk() {
    has_none_of(
        "writ-api",
        &[
            "cedar-*",
            "aws-sdk-*",
            "aws-config",
            "aws-smithy-*",
            "rusqlite",
            "writ-engine",
            "writ-broker",
        ],
    );
}

#[test]
fn the_terraform_provider_is_a_thin_client_and_the_plugin_library_knows_nothing_of_writ() {
    has_none_of(
        "terraform-provider-writ",
        &[
            "cedar-*",
            "aws-sdk-*",
            "aws-config",
            "aws-smithy-*",
            "rusqlite",
            "writ-engine",
            "writ-broker",
        ],
    );
    has_none_of("goplugin", &["writ*", "cedar-*", "aws-sdk-*"]);
}

#[test]
fn dependencies_run_one_way() {
    has_none_of("writ-broker", &["writ", "writ-sandbox"]);
    has_none_of(
        "writ-sandbox",
        &["writ", "writ-broker", "writ-engine", "writ-api"],
    );
}

#[test]
fn there_is_one_tls_stack_one_sql_driver_and_one_http_version_of_each() {
    has_none_of(
        "writ",
        &[
            "ring",
            "openssl",
            "openssl-sys",
            "native-tls",
            "boring",
            "rustls-pemfile",
            "sqlx*",
            "async-std",
            "smol",
        ],
    );
    let built = built_from("writ");
    for once in [
        "rustls",
        "aws-lc-rs",
        "aws-lc-sys",
        "hyper",
        "h2",
        "tokio",
        "rusqlite",
        "jiff",
        "tonic",
        "prost",
        "cedar-policy",
    ] {
        let versions: Vec<_> = built.iter().filter(|(name, _)| name == once).collect();
        assert_eq!(versions.len(), 1, "{once}: {versions:?}");
    }
}

/// Our packages as `cargo metadata` describes them.
fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert_eq!(packages.len(), OURS.len(), "name the new crate here");
    packages
}

#[test]
fn jiff_is_the_only_time_library_we_use() {
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            assert!(
                !["chrono", "time", "humantime", "hifitime"].contains(&name),
                "{} depends on {name}",
                package["name"]
            );
        }
    }
}

#[test]
fn only_the_broker_speaks_to_aws_and_only_one_room_of_it_does() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let speaks = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            // Not those of tests: the sandbox checks itself against the real client.
            .any(|it| it["kind"].is_null() && it["name"].as_str().unwrap().starts_with("aws-sdk-"));
        assert_eq!(
            speaks,
            ["writ-broker", "writ-tests"].contains(&name),
            "{name}"
        );
    }
    let with_the_sdk: Vec<PathBuf> = sources(&root().join("plugin/broker/src"))
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            ["aws_sdk_", "aws_config::"]
                .iter()
                .any(|name| text.contains(name))
        })
        .collect();
    let room = root().join("plugin/broker/src/aws");
    assert!(with_the_sdk.contains(&room.join("issuer.rs")), "it is read");
    let elsewhere: Vec<_> = with_the_sdk
        .iter()
        .filter(|path| !path.starts_with(&room))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn there_is_no_unsafe_code_and_no_crate_takes_itself_out_of_the_lints() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    let mut read = 0;
    for package in packages() {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{}",
            manifest.display()
        );
        for path in sources(&manifest.parent().unwrap().join("src")) {
            read += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                // Spelt in two so that this line is not what it looks for.
                let unsafe_code = [
                    concat!("un", "safe {"),
                    concat!("un", "safe fn"),
                    concat!("un", "safe impl"),
                ];
                assert!(
                    !unsafe_code.iter().any(|code| line.contains(code)),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
    assert!(read > 100, "only {read} files were read");
}

// --- the protocol, by the rules that buf calls STANDARD -------------------------------------------------------------------

fn protocol() -> Vec<FileDescriptorProto> {
    let all = FileDescriptorSet::decode(writ_api::DESCRIPTORS).unwrap();
    let ours: Vec<_> = all
        .file
        .into_iter()
        .filter(|file| file.name().starts_with("writ/"))
        .collect();
    assert!(ours.len() >= 4, "the descriptors are read");
    ours
}

#[test]
fn each_file_is_proto3_of_the_package_writ_v1_in_the_folder_of_its_name() {
    for file in protocol() {
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
        assert_eq!(file.package(), "writ.v1", "{}", file.name());
        let name = file.name().strip_prefix("writ/v1/").expect("in the folder");
        let name = name.strip_suffix(".proto").expect("a .proto file");
        assert!(is_lower_snake(name), "{name}");
        assert!(file.public_dependency.is_empty() && file.weak_dependency.is_empty());
    }
}

#[test]
fn each_call_has_a_request_and_a_response_of_its_own() {
    let mut taken = BTreeSet::new();
    let mut calls = 0;
    for file in protocol() {
        for service in &file.service {
            assert!(is_pascal(service.name()) && service.name().ends_with("Service"));
            for method in &service.method {
                let name = method.name();
                assert!(is_pascal(name), "{name}");
                assert_eq!(method.input_type(), format!(".writ.v1.{name}Request"));
                assert_eq!(method.output_type(), format!(".writ.v1.{name}Response"));
                assert!(taken.insert(name.to_owned()), "{name} stands twice");
                assert!(
                    !method.client_streaming(),
                    "{name}: a caller sends one message"
                );
                calls += 1;
            }
        }
    }
    assert!(calls >= 14, "only {calls} calls");
}

#[test]
fn messages_fields_and_enums_are_named_as_buf_wants_them() {
    for file in protocol() {
        for message in &file.message_type {
            check_message(message);
        }
        for it in &file.enum_type {
            check_enum(it);
        }
    }
}

fn check_message(message: &DescriptorProto) {
    assert!(is_pascal(message.name()), "{}", message.name());
    for field in &message.field {
        let name = field.name();
        assert!(is_lower_snake(name), "{}.{name}", message.name());
        assert_ne!(field.label(), Label::Required, "{}.{name}", message.name());
        assert_ne!(field.r#type(), Type::Group, "{}.{name}", message.name());
    }
    for oneof in &message.oneof_decl {
        // An optional field has a oneof of its own that nobody wrote, named with an underscore.
        assert!(
            is_lower_snake(oneof.name().trim_start_matches('_')),
            "{}",
            oneof.name()
        );
    }
    for it in &message.enum_type {
        check_enum(it);
    }
    for it in &message.nested_type {
        // What a map is made of is named by the compiler.
        if !it
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry())
        {
            check_message(it);
        }
    }
}

fn check_enum(it: &EnumDescriptorProto) {
    assert!(is_pascal(it.name()), "{}", it.name());
    let prefix = upper_snake(it.name());
    for value in &it.value {
        let name = value.name();
        assert!(name.starts_with(&format!("{prefix}_")), "{name}");
        assert!(
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'),
            "{name}"
        );
    }
    let zero = it.value.iter().find(|value| value.number() == 0).unwrap();
    assert_eq!(zero.name(), format!("{prefix}_UNSPECIFIED"));
    assert!(
        !it.options
            .as_ref()
            .is_some_and(|options| options.allow_alias()),
        "{}",
        it.name()
    );
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_lower_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `RequestFilter` as `REQUEST_FILTER`.
fn upper_snake(name: &str) -> String {
    let mut text = String::new();
    for (place, c) in name.char_indices() {
        if c.is_ascii_uppercase() && place > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

#[test]
fn everything_in_the_protocol_is_described() {
    for file in protocol() {
        let source = root().join("plugin/api/proto").join(file.name());
        let text = std::fs::read_to_string(source).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (place, line) in lines.iter().enumerate() {
            let starts = ["rpc ", "service "];
            if starts.iter().any(|start| line.starts_with(start)) {
                assert!(
                    place > 0 && lines[place - 1].starts_with("//"),
                    "{}: `{line}` has no comment",
                    file.name()
                );
            }
        }
    }
}
