//! The provider as Terraform calls it. Whatever goes wrong is a diagnostic: a failed call would only be shown as a plugin
//! that did not respond.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::arguments::Reader;
use crate::clock::in_s;
use crate::configuration::Configuration;
use crate::connection::Broker;
use crate::credentials::{self, Opened, Pace, Table, Wanted};
use crate::decision::{self, Question};
use crate::diagnostic::{Diagnostic, on_the_wire};
use crate::ending::Happened;
use crate::run::Run;
use crate::schema;
use crate::scopes;
use crate::tfplugin6 as wire;
use crate::value::{Object, Value, encode};
use crate::words::{escape, moment};

/// Seconds from one Renew to the next. Renew only looks at what is known here, so it may come often.
const RENEW_S: i64 = 60;

/// The provider. Clones are the same provider.
#[derive(Clone)]
pub(crate) struct Provider {
    broker: Arc<RwLock<Option<Arc<Broker>>>>,
    table: Arc<Table>,
    stopping: watch::Sender<bool>,
}

impl Provider {
    /// A provider for the run that the environment and the working directory tell of.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>, directory: &Path) -> Provider {
        Provider::with_pace(Run::of(variable, directory), Pace::USUAL)
    }

    /// A provider in more or less of a hurry.
    pub(crate) fn with_pace(run: Run, pace: Pace) -> Provider {
        Provider {
            broker: Arc::default(),
            table: Table::new(run, pace),
            stopping: watch::Sender::new(false),
        }
    }

    /// Gives up what is still waited for, and takes no further wishes: somebody wants the run to end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends every request that is still held: Terraform is going, and did not close them.
    pub(crate) async fn end(&self, by_terraform: bool) {
        let broken_off = !by_terraform || *self.stopping.borrow();
        self.table
            .end_all(match broken_off {
                true => Happened::BrokenOff,
                false => Happened::Failed,
            })
            .await;
    }

    /// The broker that the provider was configured with.
    fn broker(&self) -> Result<Arc<Broker>, Diagnostic> {
        let slot = self.broker.read().unwrap_or_else(PoisonError::into_inner);
        slot.clone().ok_or_else(|| {
            Diagnostic::error(
                "the provider was not configured",
                "Terraform has to hand over the `provider` block first; this is a fault of Terraform, or of whoever speaks for it.",
            )
        })
    }

    /// Configures with the environment read through `variable`.
    pub(crate) fn configure(
        &self,
        block: Option<&wire::DynamicValue>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Vec<Diagnostic> {
        let mut reader = Reader::new(block);
        let configuration = Configuration::read(&mut reader, variable);
        let mut slot = self.broker.write().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(Broker::new(configuration)));
        self.stopping.send_replace(false);
        reader.problems()
    }

    async fn open(
        &self,
        request: &wire::OpenEphemeralResourceRequest,
    ) -> Result<wire::OpenEphemeralResourceResponse, Vec<Diagnostic>> {
        if request.type_name != schema::AWS_CREDENTIALS.name {
            return Err(vec![unknown_type(&request.type_name)]);
        }
        let mut reader = Reader::new(request.config.as_ref());
        let Some(wanted) = Wanted::read(&mut reader) else {
            return Err(reader.problems());
        };
        let broker = self.broker().map_err(|problem| vec![problem])?;
        let opened = credentials::open(&self.table, &broker, &wanted, self.stopping.subscribe())
            .await
            .map_err(|problem| vec![problem])?;
        Ok(wire::OpenEphemeralResourceResponse {
            diagnostics: Vec::new(),
            renew_at: Some(in_s(RENEW_S)),
            result: Some(encode(&Value::Object(result(reader.block(), &opened)))),
            private: opened.request().map(|it| it.id.clone().into_bytes()),
        })
    }

    async fn read_data(
        &self,
        request: &wire::ReadDataSourceRequest,
    ) -> Result<wire::DynamicValue, Vec<Diagnostic>> {
        let mut reader = Reader::new(request.config.as_ref());
        let answer = match request.type_name.as_str() {
            name if name == schema::ACCESS_DECISION.name => {
                let Some(question) = Question::read(&mut reader) else {
                    return Err(reader.problems());
                };
                let broker = self.broker().map_err(|problem| vec![problem])?;
                decision::read(&broker, &question)
                    .await
                    .map_err(|failure| vec![failure.diagnostic])?
            }
            name if name == schema::SCOPES.name => {
                let broker = self.broker().map_err(|problem| vec![problem])?;
                scopes::read(&broker)
                    .await
                    .map_err(|failure| vec![failure.diagnostic.on_the_block()])?
            }
            other => return Err(vec![unknown_type(other)]),
        };
        let mut state = reader.block().clone();
        state.extend(answer);
        Ok(encode(&Value::Object(state)))
    }
}

/// What Open answers: the block as it was written, with what was computed.
fn result<'a>(block: &Object<'a>, opened: &'a Opened) -> Object<'a> {
    let mut object = block.clone();
    let session = &opened.session;
    let credentials = session.credentials.as_ref();
    let text = |text: Option<&'a String>| Value::text_or_null(text.map(String::as_str));
    let expires_at = credentials.and_then(|it| it.expires_at.as_ref());
    object.extend(
        [
            ("access_key", text(credentials.map(|it| &it.access_key_id))),
            (
                "secret_key",
                text(credentials.map(|it| &it.secret_access_key)),
            ),
            ("token", text(credentials.map(|it| &it.session_token))),
            ("expires_at", Value::text(moment(expires_at))),
            ("closes_at", Value::text(moment(opened.closes_at()))),
            ("request_id", text(opened.request().map(|it| &it.id))),
            ("approved_by", Value::texts(opened.approved_by())),
            ("role_arn", Value::text(session.role_arn.as_str())),
            ("region", Value::text(session.region.as_str())),
        ]
        .map(|(name, value)| (name.into(), value)),
    );
    object
}

fn unknown_type(name: &str) -> Diagnostic {
    Diagnostic::error(
        format!("this provider has no `{}`", escape(name)),
        "`terraform providers schema` lists what it has; a newer version may have more.",
    )
}

/// The request's id, as Open handed it over.
fn id_of(private: Option<&[u8]>) -> &str {
    private
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default()
}

#[tonic::async_trait]
impl wire::provider_server::Provider for Provider {
    async fn get_provider_schema(
        &self,
        _: Request<wire::GetProviderSchemaRequest>,
    ) -> Result<Response<wire::GetProviderSchemaResponse>, Status> {
        Ok(Response::new(schema::provider_schema()))
    }

    async fn validate_provider_config(
        &self,
        request: Request<wire::ValidateProviderConfigRequest>,
    ) -> Result<Response<wire::ValidateProviderConfigResponse>, Status> {
        let mut reader = Reader::new(request.get_ref().config.as_ref());
        // What the environment adds is not the block's fault, and need not be there yet.
        Configuration::read(&mut reader, |_| None);
        Ok(Response::new(wire::ValidateProviderConfigResponse {
            diagnostics: on_the_wire(reader.problems()),
        }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<wire::ValidateResourceRequest>,
    ) -> Result<Response<wire::ValidateResourceResponse>, Status> {
        let request = request.get_ref();
        let mut reader = Reader::new(request.config.as_ref());
        match request.type_name.as_str() {
            name if name == schema::ACCESS_DECISION.name => decision::check(&mut reader),
            name if name == schema::SCOPES.name => {}
            other => reader.refuse(unknown_type(other)),
        }
        Ok(Response::new(wire::ValidateResourceResponse {
            diagnostics: on_the_wire(reader.problems()),
        }))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<wire::ValidateResourceRequest>,
    ) -> Result<Response<wire::ValidateResourceResponse>, Status> {
        let request = request.get_ref();
        let mut reader = Reader::new(request.config.as_ref());
        match request.type_name.as_str() {
            name if name == schema::AWS_CREDENTIALS.name => credentials::check(&mut reader),
            other => reader.refuse(unknown_type(other)),
        }
        Ok(Response::new(wire::ValidateResourceResponse {
            diagnostics: on_the_wire(reader.problems()),
        }))
    }

    async fn configure_provider(
        &self,
        request: Request<wire::ConfigureProviderRequest>,
    ) -> Result<Response<wire::ConfigureProviderResponse>, Status> {
        let variable = |name: &str| std::env::var(name).ok();
        let problems = self.configure(request.get_ref().config.as_ref(), variable);
        Ok(Response::new(wire::ConfigureProviderResponse {
            diagnostics: on_the_wire(problems),
        }))
    }

    async fn read_data_source(
        &self,
        request: Request<wire::ReadDataSourceRequest>,
    ) -> Result<Response<wire::ReadDataSourceResponse>, Status> {
        let (state, problems) = match self.read_data(request.get_ref()).await {
            Ok(state) => (Some(state), Vec::new()),
            Err(problems) => (None, problems),
        };
        Ok(Response::new(wire::ReadDataSourceResponse {
            state,
            diagnostics: on_the_wire(problems),
        }))
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<wire::OpenEphemeralResourceRequest>,
    ) -> Result<Response<wire::OpenEphemeralResourceResponse>, Status> {
        let response = match self.open(request.get_ref()).await {
            Ok(response) => response,
            Err(problems) => wire::OpenEphemeralResourceResponse {
                diagnostics: on_the_wire(problems),
                renew_at: None,
                result: None,
                private: None,
            },
        };
        Ok(Response::new(response))
    }

    /// New credentials cannot be passed on here, so this only looks whether those there are still good. Terraform up to
    /// 1.16 drops what is said here; Close says it again.
    async fn renew_ephemeral_resource(
        &self,
        request: Request<wire::RenewEphemeralResourceRequest>,
    ) -> Result<Response<wire::RenewEphemeralResourceResponse>, Status> {
        let trouble = self
            .table
            .trouble(id_of(request.get_ref().private.as_deref()));
        if let Some(trouble) = &trouble {
            tracing::warn!("{}", trouble.line());
        }
        Ok(Response::new(wire::RenewEphemeralResourceResponse {
            // Once it has gone wrong, it stays so.
            renew_at: trouble.is_none().then(|| in_s(RENEW_S)),
            diagnostics: on_the_wire(trouble),
            private: None,
        }))
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<wire::CloseEphemeralResourceRequest>,
    ) -> Result<Response<wire::CloseEphemeralResourceResponse>, Status> {
        let id = id_of(request.get_ref().private.as_deref());
        // Never an error: it would fail a run whose work is done.
        let told = self.table.close(id).await;
        Ok(Response::new(wire::CloseEphemeralResourceResponse {
            diagnostics: on_the_wire(told),
        }))
    }

    async fn stop_provider(
        &self,
        _: Request<wire::StopProviderRequest>,
    ) -> Result<Response<wire::StopProviderResponse>, Status> {
        // Only those who wait answer now. What is in use stays in use: other providers may still finish their work.
        self.stop();
        Ok(Response::new(wire::StopProviderResponse {
            error: String::new(),
        }))
    }
}
