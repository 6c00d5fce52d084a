//! What a broker is made of, from its configuration; and the same as a check that contacts nobody and makes nothing.

use std::sync::Arc;

use writ_engine::Bundle;
use writ_engine::bundle::Report;

use super::{ServeError, listen};
use crate::aws::Aws;
use crate::bundle::{BundleSlot, Refusal};
use crate::clock::Clock;
use crate::config::{Config, Store};
use crate::desk::{Desk, DeskError, Outside};
use crate::identity::Verifier;
use crate::journal::SigningKey;
use crate::notices::Receiver;
use crate::room::Room;

/// What does not need the journal.
pub(super) struct Parts {
    pub(super) bundle: Arc<BundleSlot>,
    pub(super) verifier: Verifier,
    pub(super) receiver: Option<Receiver>,
}

/// Loads the bundle, the issuers and the secret of the notices, and checks that they fit.
pub(super) async fn load(config: &Config) -> Result<Parts, ServeError> {
    let source = config.bundle.clone();
    let opened = tokio::task::spawn_blocking(move || BundleSlot::open(&source));
    let slot = opened
        .await
        .map_err(|task| ServeError::Transport(task.to_string()))?
        .map_err(refused)?;
    issuers_are_configured(config, &slot.current())?;
    let verifier = Verifier::new(config.issuers.clone())?;
    Ok(Parts {
        bundle: Arc::new(slot),
        verifier,
        receiver: receiver(config)?,
    })
}

/// Opens the journal and what stands before it.
pub(super) async fn open(
    config: &Config,
    notices: Option<Receiver>,
    bundle: &Arc<BundleSlot>,
    clock: Clock,
    room: Room,
) -> Result<Arc<Desk>, ServeError> {
    let key = signing_key(&config.store)?;
    let desk = Desk::open(
        &config.store.path,
        key,
        &config.store.origin,
        Arc::clone(bundle),
        clock,
        room,
        Outside {
            aws: Aws::new(config.aws.clone()),
            notices,
        },
    );
    desk.await.map_err(|error| match error {
        DeskError::Bundle(refusal) => refused(*refusal),
        DeskError::Open(_) | DeskError::Append(_) => ServeError::Desk(error),
    })
}

fn receiver(config: &Config) -> Result<Option<Receiver>, ServeError> {
    let settings = config.notices.as_ref();
    let receiver = settings.map(|settings| Receiver::new(settings, &config.store.origin));
    Ok(receiver.transpose()?)
}

fn refused(refusal: Refusal) -> ServeError {
    ServeError::Bundle(refusal.report)
}

/// The key that signs checkpoints; made with the journal, never after it.
fn signing_key(store: &Store) -> Result<SigningKey, ServeError> {
    match (store.signing_key_file.exists(), store.path.exists()) {
        (true, _) => Ok(SigningKey::load(&store.signing_key_file)?),
        (false, false) => Ok(SigningKey::create(&store.signing_key_file)?),
        (false, true) => Err(key_missing(store)),
    }
}

fn key_missing(store: &Store) -> ServeError {
    ServeError::KeyMissing {
        journal: store.path.display().to_string(),
        key: store.signing_key_file.display().to_string(),
    }
}

/// An identity of an issuer that nobody configured could never be proven; more likely its name is misspelt.
fn issuers_are_configured(config: &Config, bundle: &Bundle) -> Result<(), ServeError> {
    let known: Vec<&str> = config.issuers.iter().map(|it| it.name.as_str()).collect();
    let mut report = Report::default();
    for named in bundle.directory().issuers() {
        if !known.contains(&named) {
            report.push_file(
                "directory.hcl",
                format!(
                    "`directory.hcl` names the issuer `{named}`, which is not in the configuration"
                ),
                Some(format!("configured are: `{}`", known.join("`, `"))),
            );
        }
    }
    match report.has_errors() {
        true => Err(ServeError::Bundle(report)),
        false => Ok(()),
    }
}

/// Loads and checks everything that `serve` would, contacts nobody and makes nothing. Returns the bundle's warnings.
///
/// The journal is not opened, so a branch is not compared with the commit last on record.
pub fn check(config: &Config) -> Result<Report, ServeError> {
    listen::check(&config.listener)?;
    let bundle = BundleSlot::open(&config.bundle).map_err(refused)?.current();
    issuers_are_configured(config, &bundle)?;
    Verifier::new(config.issuers.clone())?;
    receiver(config)?;
    match (
        config.store.signing_key_file.exists(),
        config.store.path.exists(),
    ) {
        (true, _) => SigningKey::load(&config.store.signing_key_file).map(|_| ())?,
        (false, true) => return Err(key_missing(&config.store)),
        (false, false) => {}
    }
    Ok(bundle.warnings().clone())
}
