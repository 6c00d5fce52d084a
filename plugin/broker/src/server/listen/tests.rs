use std::os::unix::fs::symlink;

use super::*;

fn home() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("writ.sock");
    (folder, path)
}

fn why(result: Result<(UnixListener, SocketFile), ListenError>) -> String {
    match result {
        Ok(_) => panic!("it was bound"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_socket_is_made_for_us_and_our_group_only_and_goes_with_its_listener() {
    let (folder, path) = home();
    let bound = bind_socket(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    drop(bound);
    assert!(!path.exists());
    // Nothing is left of the private folder either.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_missing_folder_is_made_for_us_alone() {
    let (folder, _) = home();
    let path = folder.path().join("run/writ.sock");
    let _bound = bind_socket(&path).unwrap();
    let mode = fs::metadata(folder.path().join("run")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let (_folder, path) = home();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a killed broker leaves its socket behind");
    let bound = bind_socket(&path).unwrap();
    assert!(why(bind_socket(&path)).contains("another broker"));
    drop(bound);
}

#[tokio::test]
async fn whatever_else_is_there_is_left_alone() {
    let (folder, path) = home();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();

    symlink(&victim, &path).unwrap();
    assert!(why(bind_socket(&path)).contains("no socket"));
    fs::remove_file(&path).unwrap();

    fs::write(&path, "a file").unwrap();
    assert!(why(bind_socket(&path)).contains("no socket"));
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    assert!(why(bind_socket(&path)).contains("no socket"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn a_folder_that_others_can_write_in_is_refused() {
    let (folder, path) = home();
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(why(bind_socket(&path)).contains("chmod 0750"), "{mode:o}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(bind_socket(&path).is_ok());
}

#[tokio::test]
async fn anothers_socket_is_not_removed_when_ours_goes() {
    let (_folder, path) = home();
    let bound = bind_socket(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(bound);
    assert!(path.exists());
}

#[test]
fn a_key_that_everyone_may_read_is_refused_and_so_is_one_of_another_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            cert_file: folder.path().join(format!("{name}.pem")),
            key_file: folder.path().join(format!("{name}.key")),
        };
        fs::write(&files.cert_file, made.cert.pem()).unwrap();
        fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key_file, fs::Permissions::from_mode(0o600)).unwrap();
        files
    };
    let (one, other) = (make("one"), make("other"));
    assert!(tls_config(&one).is_ok());

    let mixed = TlsFiles {
        cert_file: one.cert_file.clone(),
        key_file: other.key_file,
    };
    let error = tls_config(&mixed).unwrap_err().to_string();
    assert!(error.contains("cannot be used"), "{error}");

    fs::set_permissions(&one.key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = tls_config(&one).unwrap_err().to_string();
    assert!(error.contains("chmod 0600"), "{error}");

    let nothing = TlsFiles {
        cert_file: one.cert_file,
        key_file: folder.path().join("none"),
    };
    assert!(
        tls_config(&nothing)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}
