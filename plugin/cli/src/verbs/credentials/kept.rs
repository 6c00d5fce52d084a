//! The credentials that `--format process` gave last, in the user's runtime folder: memory that ends with their login.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use writ_api::v1;
use writ_api::v1::request::State;
use writ_engine::Moment;

use crate::clock;
use crate::private;

/// Credentials with less than this left are not given again where newer ones would live longer, in milliseconds: AWS's
/// own programs begin to refresh a quarter of an hour before the end.
const RENEW_BEFORE_MAX_MS: i64 = 900_000;

/// Those that live short are given again until this part of their life is left: of a quarter of an hour, the shortest that
/// AWS gives, three minutes. A window of 12 h then takes 60 sessions, and a grant may have 64.
const RENEW_BEFORE_PART: i64 = 5;

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;

/// Where the credentials of one request are kept.
pub(super) struct Kept {
    file: PathBuf,
}

/// What is kept of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// When they were given.
    since: String,
    credentials: Printed,
}

/// As `credential_process` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Printed {
    #[serde(rename = "Version")]
    _version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl Kept {
    /// The place for a request's credentials; `None` where there is no folder that is this user's alone.
    pub(super) fn of(request_id: &str) -> Option<Kept> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")?;
        Kept::within(Path::new(&runtime), request_id)
    }

    fn within(runtime: &Path, request_id: &str) -> Option<Kept> {
        // Ids become file names: nothing but an id may.
        let id: writ_engine::request::RequestId = request_id.parse().ok()?;
        if !runtime.is_absolute() {
            return None;
        }
        let folder = runtime.join("writ");
        private::make_folder(&folder).ok()?;
        let about = fs::symlink_metadata(&folder).ok()?;
        let ours = about.uid() == rustix::process::getuid().as_raw();
        (about.is_dir() && ours && about.mode() & OTHERS == 0).then(|| Kept {
            file: folder.join(format!("{id}.json")),
        })
    }

    /// The kept credentials, while the request is active and they are worth having.
    pub(super) fn read(&self, request: &v1::Request, now: Moment) -> Option<v1::Credentials> {
        let Some(State::Active(active)) = &request.state else {
            return None;
        };
        let closes_at = clock::moment(active.window.as_ref()?.closes_at.as_ref())?;
        let text = fs::read_to_string(&self.file).ok()?;
        let Stored {
            since,
            credentials: printed,
        } = serde_json::from_str(&text).ok()?;
        let expires_at: Moment = printed.expiration.parse().ok()?;
        let left_ms = expires_at.since_ms(now);
        let life_ms = expires_at.since_ms(since.parse().ok()?);
        let renew_before_ms = (life_ms / RENEW_BEFORE_PART).min(RENEW_BEFORE_MAX_MS);
        // At the window's end newer credentials would end too. The end is the one the broker told just now, so where the
        // window was made longer meanwhile they are renewed past its old end.
        let as_good_as_new = left_ms > renew_before_ms || expires_at >= closes_at;
        (left_ms > 0 && as_good_as_new).then(|| v1::Credentials {
            access_key_id: printed.access_key_id,
            secret_access_key: printed.secret_access_key,
            session_token: printed.session_token,
            expires_at: Some(prost_types::Timestamp {
                seconds: expires_at.as_ms() / 1_000,
                nanos: 0,
            }),
            session: 0,
        })
    }

    /// Keeps what was printed `now`. Where that fails, the next call asks the broker again.
    pub(super) fn write(&self, printed: &serde_json::Value, now: Moment) {
        let stored = json!({ "since": now.to_string(), "credentials": printed });
        let _ = private::write(&self.file, &stored.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const ID: &str = "01KB7V3ZKQ8Y6T5R4E3W2Q7F3K";

    /// 2026-11-21T09:00:00Z and so many seconds.
    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: 1_795_251_600 + seconds,
            nanos: 0,
        }
    }

    fn now(seconds: i64) -> Moment {
        clock::moment(Some(&at(seconds))).unwrap()
    }

    fn active(closes: i64) -> v1::Request {
        v1::Request {
            id: ID.to_owned(),
            state: Some(State::Active(v1::ActiveState {
                window: Some(v1::Window {
                    opens_at: Some(at(0)),
                    closes_at: Some(at(closes)),
                }),
                live_sessions: 1,
            })),
            ..v1::Request::default()
        }
    }

    /// Given at second 0.
    fn kept_until(folder: &Path, seconds: i64) -> Kept {
        let kept = Kept::within(folder, ID).unwrap();
        let credentials = v1::Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
            expires_at: Some(at(seconds)),
            session: 1,
        };
        kept.write(&super::super::process(&credentials), now(0));
        kept
    }

    #[test]
    fn credentials_are_given_again_only_while_they_are_as_good_as_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        // When they expire, when the window closes, now, whether they are given again.
        for (expires, closes, at, again) in [
            (3_600, 14_400, 0, true),
            (3_600, 14_400, 2_879, true),
            (3_600, 14_400, 2_880, false),
            // Twelve hours of life: a quarter of an hour before the end.
            (43_200, 43_201, 42_299, true),
            (43_200, 43_201, 42_300, false),
            // The shortest there are, of a scope with leases.
            (900, 14_400, 0, true),
            (900, 14_400, 719, true),
            (900, 14_400, 720, false),
            // To the window's end, and past the end of one that was made longer.
            (600, 600, 599, true),
            (600, 600, 600, false),
            (600, 1_200, 479, true),
            (600, 1_200, 480, false),
        ] {
            let kept = kept_until(folder.path(), expires);
            let read = kept.read(&active(closes), now(at));
            assert_eq!(read.is_some(), again, "{expires} {closes} {at}");
        }
    }

    #[test]
    fn nothing_is_given_again_once_the_request_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let kept = kept_until(folder.path(), 3_600);
        assert!(kept.read(&active(3_600), now(0)).is_some());
        let released = v1::Request {
            state: Some(State::Released(v1::ReleasedState::default())),
            ..active(3_600)
        };
        assert!(kept.read(&released, now(0)).is_none());
    }

    #[test]
    fn nothing_is_kept_where_others_could_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Kept::within(folder.path(), ID).is_some());
        assert!(Kept::within(folder.path(), "../../etc/passwd").is_none());
        assert!(Kept::within(Path::new("relative"), ID).is_none());
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path().join("writ"), open).unwrap();
        assert!(Kept::within(folder.path(), ID).is_none());
    }
}
