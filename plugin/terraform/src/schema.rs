//! What the provider offers: every block and attribute, in one place. Terraform's schema and `docs/` are made from it.

use crate::tfplugin6 as wire;

/// The type of an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A list of texts.
    Strings,
    /// A list of objects with these attributes.
    Objects(&'static [Attribute]),
}

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The user must.
    Required,
    /// The user may.
    Optional,
    /// The provider does.
    Computed,
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute {
    /// Its name in a configuration.
    pub(crate) name: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// Who sets it.
    pub(crate) by: By,
    /// Whether Terraform must not show it.
    pub(crate) sensitive: bool,
    /// What it is for, in Markdown, ending with a full stop.
    pub(crate) description: &'static str,
}

/// What kind of block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The `provider` block.
    Provider,
    /// An `ephemeral` block.
    Ephemeral,
    /// A `data` block.
    Data,
}

/// One kind of block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// `writ`, or the type's name.
    pub(crate) name: &'static str,
    /// Where it is written.
    pub(crate) place: Place,
    /// What it is for, in one sentence of Markdown.
    pub(crate) description: &'static str,
    /// Its attributes: those the user sets first.
    pub(crate) attributes: &'static [Attribute],
}

const fn required(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    attribute(name, kind, By::Required, description)
}

const fn optional(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    attribute(name, kind, By::Optional, description)
}

const fn computed(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    attribute(name, kind, By::Computed, description)
}

const fn attribute(name: &'static str, kind: Kind, by: By, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        by,
        sensitive: false,
        description,
    }
}

const fn sensitive(attribute: Attribute) -> Attribute {
    Attribute {
        sensitive: true,
        ..attribute
    }
}

/// The `provider "writ"` block.
pub(crate) const PROVIDER: Block = Block {
    name: "writ",
    place: Place::Provider,
    description: "Asks a Writ broker for access in the middle of a Terraform run, waits for people to agree, and gives it back.",
    attributes: &[
        optional(
            "address",
            Kind::String,
            "The broker: `https://host:port`, `unix:///path`, or `http://` on loopback. From `WRIT_ADDR` where not given.",
        ),
        sensitive(optional(
            "token",
            Kind::String,
            "The token that says who asks. Better from `WRIT_TOKEN`, or an ephemeral variable: what is written here stands in your configuration. Not together with `token_file`.",
        )),
        optional(
            "token_file",
            Kind::String,
            "A file with the token, read afresh for each connection. From `WRIT_TOKEN_FILE` where not given.",
        ),
        optional(
            "audience",
            Kind::String,
            "The audience asked of GitHub's own OIDC issuer. From `WRIT_AUDIENCE` where not given, else the broker's address.",
        ),
        optional(
            "ca_cert_file",
            Kind::String,
            "Trust the CA certificates in this PEM file besides the system's. From `WRIT_CA_CERT_FILE` where not given.",
        ),
        optional(
            "timeout",
            Kind::String,
            "How long one call to the broker may take, from `1s` to `5m`; `30s` where not given. Waiting for approvals has a limit of its own, `wait_timeout`.",
        ),
    ],
};

/// `ephemeral "writ_aws_credentials"`.
pub(crate) const AWS_CREDENTIALS: Block = Block {
    name: "writ_aws_credentials",
    place: Place::Ephemeral,
    description: "AWS session credentials for the rest of this run: asked for, waited for, and given back, in neither the plan nor the state.",
    attributes: &[
        required(
            "scope",
            Kind::String,
            "What to ask for, as `writ scopes` or `data.writ_scopes` lists it.",
        ),
        required(
            "duration",
            Kind::String,
            "How long the window is to be at most, from the first credentials on: `45m`, `1h30m`, `20s`.",
        ),
        required(
            "reason",
            Kind::String,
            "Why, for the approvers and the record. Blocks of one run that ask for the same with the same reason share one request.",
        ),
        optional("ticket", Kind::String, "The ticket it belongs to."),
        optional(
            "applying",
            Kind::Bool,
            "Write `applying = terraform.applying`. Then the window is given back as soon as an apply is done with it, and kept for `linger` after a plan. Without it, it is always kept for `linger`; with `true`, never.",
        ),
        optional(
            "linger",
            Kind::String,
            "How long a window is kept after a plan for the apply of the same run, from `30s` to `1h`; `10m` where not given. Nobody needs to come: the broker gives it back by itself.",
        ),
        optional(
            "wait_timeout",
            Kind::String,
            "How long to wait for approvals, from `1s` to `12h`; `10m` where not given. Then the request is taken back and the run fails.",
        ),
        optional(
            "minimum_remaining",
            Kind::String,
            "The least time the credentials must still work when the run gets them; `2m` where not given, or half of `duration` where that is less. With less left the run fails at once, rather than halfway.",
        ),
        sensitive(computed("access_key", Kind::String, "The access key id.")),
        sensitive(computed(
            "secret_key",
            Kind::String,
            "The secret access key.",
        )),
        sensitive(computed("token", Kind::String, "The session token.")),
        computed(
            "expires_at",
            Kind::String,
            "When these credentials stop working, in RFC 3339.",
        ),
        computed(
            "closes_at",
            Kind::String,
            "When the window closes, in RFC 3339.",
        ),
        computed(
            "request_id",
            Kind::String,
            "The request's id, for `writ show`.",
        ),
        computed(
            "approved_by",
            Kind::Strings,
            "Who approved it; empty where nobody had to.",
        ),
        computed("role_arn", Kind::String, "The role that was assumed."),
        computed("region", Kind::String, "The region the scope is for."),
    ],
};

/// `data "writ_access_decision"`.
pub(crate) const ACCESS_DECISION: Block = Block {
    name: "writ_access_decision",
    place: Place::Data,
    description: "A dry run: would this be given, what is missing, and who could approve it? Nothing is asked for or recorded.",
    attributes: &[
        required("scope", Kind::String, "What would be asked for."),
        required(
            "duration",
            Kind::String,
            "How long the window would be: `45m`, `1h30m`, `20s`.",
        ),
        optional(
            "reason",
            Kind::String,
            "The reason that would be given, where a policy reads it.",
        ),
        optional("ticket", Kind::String, "The ticket that would be named."),
        computed(
            "decision",
            Kind::String,
            "`granted`, `needs_approval` or `denied`.",
        ),
        computed(
            "missing",
            Kind::Strings,
            "With `needs_approval`: each set of approvals that would be enough, the cheapest first, such as `1 manager: pat`. With `denied`: each condition that was not met, or each guardrail's that was.",
        ),
        computed(
            "approvers",
            Kind::Strings,
            "Everyone who could give one of the missing approvals, by name.",
        ),
        computed(
            "longest_duration",
            Kind::String,
            "The longest window that could be had of this scope now, with the ticket given; null where none could.",
        ),
        computed(
            "longest_duration_seconds",
            Kind::Number,
            "The same in seconds.",
        ),
        computed(
            "policies",
            Kind::Strings,
            "The policies that decided, such as `access.cedar:17 payments.deploy.ci`.",
        ),
        computed(
            "explanation",
            Kind::String,
            "The decision in words, for the `error_message` of a `check`.",
        ),
    ],
};

/// `data "writ_scopes"`.
pub(crate) const SCOPES: Block = Block {
    name: "writ_scopes",
    place: Place::Data,
    description: "What the caller may ask for now, and what that would need.",
    attributes: &[computed(
        "scopes",
        Kind::Objects(&[
            computed("name", Kind::String, "What to ask for it by."),
            computed("description", Kind::String, "What it gives."),
            computed("system", Kind::String, "The system it belongs to."),
            computed("environment", Kind::String, "The environment it is in."),
            computed("owners", Kind::String, "The group that answers for it."),
            computed(
                "longest_duration",
                Kind::String,
                "The longest window without a ticket; null where there is none.",
            ),
            computed(
                "needs",
                Kind::Strings,
                "Each set of approvals that would be enough for it; empty where nobody has to agree.",
            ),
            computed(
                "longest_duration_with_ticket",
                Kind::String,
                "The longest window with a ticket, where that makes a difference; null where not.",
            ),
            computed(
                "needs_with_ticket",
                Kind::Strings,
                "Each set of approvals that would be enough for that one.",
            ),
        ]),
        "Every scope that exists for the caller, by name.",
    )],
};

/// Every block, the provider's first.
pub(crate) const BLOCKS: [Block; 4] = [PROVIDER, AWS_CREDENTIALS, ACCESS_DECISION, SCOPES];

/// The whole schema as Terraform asks for it.
pub(crate) fn provider_schema() -> wire::GetProviderSchemaResponse {
    let of = |place| {
        BLOCKS
            .iter()
            .filter(move |block| block.place == place)
            .map(|block| (block.name.to_owned(), on_the_wire(block)))
            .collect()
    };
    wire::GetProviderSchemaResponse {
        provider: Some(on_the_wire(&PROVIDER)),
        ephemeral_resource_schemas: of(Place::Ephemeral),
        data_source_schemas: of(Place::Data),
        diagnostics: Vec::new(),
        server_capabilities: Some(wire::ServerCapabilities {
            get_provider_schema_optional: true,
        }),
    }
}

fn on_the_wire(block: &Block) -> wire::Schema {
    wire::Schema {
        version: 0,
        block: Some(wire::Block {
            version: 0,
            attributes: block
                .attributes
                .iter()
                .map(|attribute| wire::Attribute {
                    name: attribute.name.to_owned(),
                    r#type: type_of(attribute.kind).to_string().into_bytes(),
                    description: attribute.description.to_owned(),
                    required: attribute.by == By::Required,
                    optional: attribute.by == By::Optional,
                    computed: attribute.by == By::Computed,
                    sensitive: attribute.sensitive,
                    description_kind: wire::StringKind::Markdown as i32,
                })
                .collect(),
            description: block.description.to_owned(),
            description_kind: wire::StringKind::Markdown as i32,
        }),
    }
}

/// A type in Terraform's JSON form.
fn type_of(kind: Kind) -> serde_json::Value {
    use serde_json::{Map, Value, json};
    match kind {
        Kind::String => json!("string"),
        Kind::Bool => json!("bool"),
        Kind::Number => json!("number"),
        Kind::Strings => json!(["list", "string"]),
        Kind::Objects(attributes) => {
            let fields: Map<String, Value> = attributes
                .iter()
                .map(|attribute| (attribute.name.to_owned(), type_of(attribute.kind)))
                .collect();
            json!(["list", ["object", fields]])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_terraform_reads_it() {
        const INNER: &[Attribute] = &[
            computed("name", Kind::String, ""),
            computed("needs", Kind::Strings, ""),
        ];
        for (kind, expected) in [
            (Kind::String, r#""string""#),
            (Kind::Bool, r#""bool""#),
            (Kind::Number, r#""number""#),
            (Kind::Strings, r#"["list","string"]"#),
            (
                Kind::Objects(INNER),
                r#"["list",["object",{"name":"string","needs":["list","string"]}]]"#,
            ),
        ] {
            assert_eq!(type_of(kind).to_string(), expected);
        }
    }

    #[test]
    fn every_secret_is_marked_and_no_data_source_has_one() {
        let marked: Vec<_> = BLOCKS
            .iter()
            .flat_map(|block| block.attributes.iter().map(move |it| (block, it)))
            .filter(|(_, attribute)| attribute.sensitive)
            .map(|(block, attribute)| (block.place, attribute.name))
            .collect();
        assert_eq!(
            marked,
            [
                (Place::Provider, "token"),
                (Place::Ephemeral, "access_key"),
                (Place::Ephemeral, "secret_key"),
                (Place::Ephemeral, "token"),
            ]
        );
    }

    #[test]
    fn every_attribute_is_described_once_in_a_sentence() {
        for block in BLOCKS {
            let mut names: Vec<_> = block.attributes.iter().map(|it| it.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), block.attributes.len(), "{}", block.name);
            for attribute in block.attributes {
                let text = attribute.description;
                assert!(text.ends_with('.'), "{}.{}", block.name, attribute.name);
            }
        }
    }

    #[test]
    fn terraform_learns_of_each_block_and_need_not_ask_twice() {
        let schema = provider_schema();
        assert!(schema.provider.unwrap().block.is_some());
        assert_eq!(schema.ephemeral_resource_schemas.len(), 1);
        assert_eq!(schema.data_source_schemas.len(), 2);
        assert!(
            schema
                .server_capabilities
                .unwrap()
                .get_provider_schema_optional
        );
    }
}
