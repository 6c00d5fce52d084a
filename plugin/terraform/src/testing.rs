//! What the tests share: a broker that does as it is told, and Terraform's side of each call.

mod broker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::Request;

pub(crate) use broker::{FakeBroker, TOKEN, way};

use crate::credentials::Pace;
use crate::duration::Length;
use crate::provider::Provider;
use crate::run::Run;
use crate::schema::{Block, By};
use crate::tfplugin6 as wire;
use crate::tfplugin6::provider_server::Provider as _;
use crate::value::{Object, Value, decode_block, encode};

/// A provider in a hurry.
pub(crate) const HURRIED: Pace = Pace {
    keep_for: Length::of_s(90),
    heartbeat: Duration::from_millis(40),
    pause_min: Duration::from_millis(20),
    pause_max: Duration::from_millis(80),
    give_back: Duration::from_secs(2),
};

/// A provider of the run called `name`, configured for this broker.
pub(crate) fn provider(broker: &FakeBroker, name: &str) -> Provider {
    provider_with(
        name,
        &[
            ("address", Value::text(broker.address())),
            ("token", Value::text(TOKEN)),
        ],
    )
}

/// A provider of the run called `name`, configured so.
pub(crate) fn provider_with(name: &str, settings: &[(&'static str, Value<'_>)]) -> Provider {
    let run = Run::of(|_| None, Path::new(name));
    let provider = Provider::with_pace(run, HURRIED);
    let block = block(&crate::schema::PROVIDER, settings);
    assert_eq!(provider.configure(Some(&block), |_| None), []);
    provider
}

/// A block as Terraform sends it: every attribute there, null where nothing is written.
pub(crate) fn block(schema: &Block, settings: &[(&'static str, Value<'_>)]) -> wire::DynamicValue {
    let object: Object<'_> = schema
        .attributes
        .iter()
        .map(|attribute| {
            let set = settings.iter().find(|(name, _)| *name == attribute.name);
            assert!(set.is_none() || attribute.by != By::Computed);
            let value = set.map_or(Value::Null, |(_, value)| value.clone());
            (attribute.name.into(), value)
        })
        .collect();
    for (name, _) in settings {
        assert!(object.contains_key(*name), "there is no `{name}`");
    }
    encode(&Value::Object(object))
}

/// The block most tests ask with, with some attributes otherwise.
pub(crate) fn wanted(settings: &[(&'static str, Value<'_>)]) -> wire::DynamicValue {
    let mut all = vec![
        ("scope", Value::text("prod-db")),
        ("duration", Value::text("45m")),
        ("reason", Value::text("INC-42")),
    ];
    for (name, value) in settings {
        all.retain(|(other, _)| other != name);
        all.push((name, value.clone()));
    }
    block(&crate::schema::AWS_CREDENTIALS, &all)
}

/// Terraform opens a resource.
pub(crate) async fn open(
    provider: &Provider,
    settings: &[(&'static str, Value<'_>)],
) -> wire::OpenEphemeralResourceResponse {
    let request = wire::OpenEphemeralResourceRequest {
        type_name: "writ_aws_credentials".to_owned(),
        config: Some(wanted(settings)),
    };
    let opened = provider.open_ephemeral_resource(Request::new(request));
    opened.await.unwrap().into_inner()
}

/// The same, where it has to work out.
pub(crate) async fn opened(provider: &Provider, settings: &[(&'static str, Value<'_>)]) -> Opened {
    let response = open(provider, settings).await;
    assert_eq!(told(&response.diagnostics), "");
    Opened(response)
}

/// What Terraform got of an Open.
pub(crate) struct Opened(pub(crate) wire::OpenEphemeralResourceResponse);

impl Opened {
    /// An attribute of the result; null for none.
    pub(crate) fn get(&self, name: &str) -> String {
        let result = decode_block(self.0.result.as_ref()).ok().unwrap();
        match result.get(name).unwrap() {
            Value::Null => "null".to_owned(),
            Value::String(text) => text.to_string(),
            Value::List(items) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => text.to_string(),
                    _ => panic!("not a list of texts"),
                })
                .collect::<Vec<_>>()
                .join(","),
            Value::Bool(truth) => truth.to_string(),
            _ => panic!("unexpected"),
        }
    }

    /// The request's id.
    pub(crate) fn id(&self) -> String {
        self.get("request_id")
    }
}

/// Terraform closes a resource; answers what the user is told.
pub(crate) async fn close(provider: &Provider, opened: &Opened) -> String {
    let request = wire::CloseEphemeralResourceRequest {
        type_name: "writ_aws_credentials".to_owned(),
        private: opened.0.private.clone(),
    };
    let closed = provider.close_ephemeral_resource(Request::new(request));
    told(&closed.await.unwrap().into_inner().diagnostics)
}

/// Terraform renews a resource.
pub(crate) async fn renew(
    provider: &Provider,
    opened: &Opened,
) -> wire::RenewEphemeralResourceResponse {
    let request = wire::RenewEphemeralResourceRequest {
        type_name: "writ_aws_credentials".to_owned(),
        private: opened.0.private.clone(),
    };
    let renewed = provider.renew_ephemeral_resource(Request::new(request));
    renewed.await.unwrap().into_inner()
}

/// Terraform was told to stop.
pub(crate) async fn stop(provider: &Provider) {
    let request = Request::new(wire::StopProviderRequest {});
    let stopped = provider.stop_provider(request).await.unwrap().into_inner();
    assert_eq!(stopped.error, "");
}

/// Diagnostics as a person sees them.
pub(crate) fn told(diagnostics: &[wire::Diagnostic]) -> String {
    let mut all = Vec::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity() {
            wire::diagnostic::Severity::Error => "Error",
            wire::diagnostic::Severity::Warning => "Warning",
            wire::diagnostic::Severity::Invalid => panic!("a diagnostic without severity"),
        };
        let place: Vec<_> = diagnostic
            .attribute
            .iter()
            .flat_map(|path| &path.steps)
            .map(|step| match &step.selector {
                Some(wire::attribute_path::step::Selector::AttributeName(name)) => name.as_str(),
                _ => panic!("a step that is no attribute"),
            })
            .collect();
        let place = match place.as_slice() {
            [] => "the block".to_owned(),
            [name] => format!("`{name}`"),
            more => panic!("{more:?}"),
        };
        all.push(format!(
            "{severity}: {}\non {place}\n\n{}\n",
            diagnostic.summary, diagnostic.detail
        ));
    }
    all.join("\n")
}

/// Waits until something is so, for at most five seconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happened: {what}");
}

/// Compares with a golden file; `WRIT_BLESS=1` writes it anew.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    compare(&path, text);
}

fn compare(path: &PathBuf, text: &str) {
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        golden == text,
        "{} is not what it was; look, and run again with WRIT_BLESS=1\n--- golden\n{golden}\n--- now\n{text}",
        path.display()
    );
}
