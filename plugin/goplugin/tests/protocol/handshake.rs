//! Variables in, one line out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::host::{COOKIE, Own, Start, greet, healthy};

#[tokio::test]
async fn a_host_gets_one_line_a_healthy_plugin_and_an_answer() {
    let host = Start::example("greeter").host().await;
    assert_eq!(host.line.version, 2);
    assert!(host.line.certificate.is_some());
    let channel = host.connect().await;
    assert!(healthy(&channel).await);
    assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    let ended = host.shut_down(channel).await;
    ended.well();
    assert!(ended.stderr.contains("goodbye"), "{}", ended.stderr);
}

#[tokio::test]
async fn started_by_hand_it_says_what_it_is_and_ends() {
    let by_hand = [
        Start::example("greeter").without(COOKIE.0),
        Start::example("greeter").with(COOKIE.0, "f0e1ab13"),
        Start::example("greeter").with(COOKIE.0, ""),
    ];
    for start in by_hand {
        let (status, stdout, stderr) = start.refused().await;
        assert_eq!(status, 1);
        assert_eq!(stdout, "");
        assert_eq!(
            stderr,
            "this program is a plugin: it is started by its host and does nothing by itself\n\
             hint: install it where the host looks for plugins, as the plugin's documentation says\n"
        );
    }
}

#[tokio::test]
async fn the_highest_version_that_both_know_is_served() {
    // The plugin serves 2 and 1, written in that order.
    for (offered, served) in [("1", 1), ("2", 2), ("1,2", 2), ("2,1", 2), ("9,1, x", 1)] {
        let start = Start::double().with("PLUGIN_PROTOCOL_VERSIONS", offered);
        let host = start.host().await;
        assert_eq!(host.line.version, served, "{offered}");
        let channel = host.connect().await;
        host.shut_down(channel).await.well();
    }
}

#[tokio::test]
async fn a_host_that_offers_no_version_gets_the_lowest() {
    let start = Start::double().without("PLUGIN_PROTOCOL_VERSIONS");
    let host = start.host().await;
    assert_eq!(host.line.version, 1);
    let channel = host.connect().await;
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn without_a_common_version_the_host_is_told_ours_and_nothing_is_served() {
    for offered in ["7", "0,3", "two"] {
        let start = Start::double().with("PLUGIN_PROTOCOL_VERSIONS", offered);
        let (status, stdout, stderr) = start.refused().await;
        assert_eq!(status, 1);
        assert_eq!(stdout, "1|2|unix||grpc|\n");
        assert_eq!(
            stderr,
            "the host speaks no protocol version of this plugin, whose highest is 2\n"
        );
    }
}

#[tokio::test]
async fn a_host_whose_certificate_cannot_be_read_is_refused_not_served_in_the_clear() {
    let two = [Own::new().pem, Own::new().pem].concat();
    for certificate in [
        OsStr::new("nonsense"),
        OsStr::new("-----BEGIN CERTIFICATE-----\n!\n"),
        OsStr::new(&two),
        // No text at all.
        OsStr::from_bytes(b"\xff"),
    ] {
        let start = Start::double().with("PLUGIN_CLIENT_CERT", certificate);
        let (status, stdout, stderr) = start.refused().await;
        assert_eq!((status, stdout.as_str()), (1, ""));
        assert_eq!(
            stderr,
            "`PLUGIN_CLIENT_CERT` holds no single readable certificate\n"
        );
    }
}

#[tokio::test]
async fn the_seventh_field_is_only_for_those_who_ask() {
    let host = Start::double().host().await;
    assert_eq!(host.line.multiplex, None);
    let host = Start::double()
        .with("PLUGIN_MULTIPLEX_GRPC", "true")
        .host()
        .await;
    assert_eq!(host.line.multiplex.as_deref(), Some("false"));
    let channel = host.connect().await;
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn the_socket_lies_in_the_folder_asked_for_and_only_our_user_gets_to_it() {
    let asked = tempfile::tempdir().unwrap();
    let start = Start::double().with("PLUGIN_UNIX_SOCKET_DIR", asked.path());
    let host = start.host().await;
    let folder = host.line.socket.parent().unwrap();
    assert_eq!(folder.parent(), Some(asked.path()));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(folder), 0o700);
    assert_eq!(mode(&host.line.socket), 0o600);
    let channel = host.connect().await;
    host.shut_down(channel).await.well();
    assert_eq!(std::fs::read_dir(asked.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named_with_what_would_work() {
    let start = Start::double();
    let deep = start.folder().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let odd = start.folder().join("a|b");
    std::fs::create_dir(&odd).unwrap();
    let missing = start.folder().join("missing");
    for (folder, says) in [
        (&deep, "bytes; set TMPDIR to a shorter one"),
        (
            &odd,
            "cannot be told to the host; set TMPDIR to a plainer one",
        ),
        (&missing, "set TMPDIR to a folder that can be written to"),
    ] {
        let folder = folder.to_str().unwrap();
        let start = Start::double().with("TMPDIR", folder);
        let (status, stdout, stderr) = start.refused().await;
        assert_eq!((status, stdout.as_str()), (1, ""));
        assert!(stderr.contains(folder) && stderr.contains(says), "{stderr}");
    }
    assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 0);
}

#[tokio::test]
async fn standard_output_has_the_line_and_nothing_more_whoever_prints() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    assert_eq!(greet(&channel, "loud").await.unwrap(), "made noise");
    let ended = host.shut_down(channel).await;
    ended.well();
    assert_eq!(ended.stdout, "");
    for noise in [
        "printed by the plugin\n",
        "and without an end",
        "printed by a child\n",
        "logged by the plugin",
    ] {
        assert!(ended.stderr.contains(noise), "{noise}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn children_see_nothing_of_the_handshake_when_its_variables_are_cleared() {
    let host = Start::double().with("INNOCENT", "yes").host().await;
    let channel = host.connect().await;
    let seen = greet(&channel, "child").await.unwrap();
    assert!(seen.contains("INNOCENT=yes"), "{seen}");
    for hidden in [COOKIE.0, "PLUGIN_", "CERTIFICATE"] {
        assert!(!seen.contains(hidden), "{seen}");
    }
    host.shut_down(channel).await.well();
}
