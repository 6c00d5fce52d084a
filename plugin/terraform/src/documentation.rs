//! `docs/`, as a registry shows it: the words of `templates/`, the examples that are checked, and the schema itself.
//! `WRIT_BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::ending::{Ending, Happened, Standing, ending};
use crate::schema::{
    ACCESS_DECISION, AWS_CREDENTIALS, Attribute, Block, By, Kind, PROVIDER, Place, SCOPES,
};
use crate::testing::golden;

fn crate_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(block: &Block, template: &str) -> String {
    let title = match block.place {
        Place::Provider => "writ Provider".to_owned(),
        Place::Ephemeral => format!("{} Ephemeral Resource - writ", block.name),
        Place::Data => format!("{} Data Source - writ", block.name),
    };
    let mut page = format!(
        "---\npage_title: \"{title}\"\ndescription: |-\n  {}\n---\n\n<!-- Made from {template} and src/schema.rs; change those. -->\n\n",
        block.description
    );
    let text = crate_file(template);
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        let (what, after) = after.split_once("}}").unwrap();
        page.push_str(before);
        page.push_str(&match what.split_once(' ') {
            None if what == "schema" => schema(block),
            None if what == "endings" => endings(),
            Some(("example", path)) => {
                format!(
                    "```terraform\n{}```",
                    crate_file(&format!("examples/{path}"))
                )
            }
            _ => panic!("{template} asks for `{what}`"),
        });
        rest = after;
    }
    page.push_str(rest);
    page
}

fn schema(block: &Block) -> String {
    let mut text = "## Schema\n".to_owned();
    for (by, title) in [
        (By::Required, "Required"),
        (By::Optional, "Optional"),
        (By::Computed, "Read-Only"),
    ] {
        let mut some = block.attributes.iter().filter(|it| it.by == by).peekable();
        if some.peek().is_some() {
            write!(text, "\n### {title}\n\n").unwrap();
        }
        for attribute in some {
            text.push_str(&line(attribute));
        }
    }
    for attribute in block.attributes {
        if let Kind::Objects(inner) = attribute.kind {
            let name = attribute.name;
            write!(
                text,
                "\n<a id=\"nestedatt--{name}\"></a>\n### Nested Schema for `{name}`\n\nRead-Only:\n\n"
            )
            .unwrap();
            for attribute in inner {
                text.push_str(&line(attribute));
            }
        }
    }
    text.trim_end().to_owned()
}

fn line(attribute: &Attribute) -> String {
    let kind = match attribute.kind {
        Kind::String => "String",
        Kind::Bool => "Boolean",
        Kind::Number => "Number",
        Kind::Strings => "List of String",
        Kind::Objects(_) => "List of Object",
    };
    let sensitive = if attribute.sensitive {
        ", Sensitive"
    } else {
        ""
    };
    let below = match attribute.kind {
        Kind::Objects(_) => format!(" (see [below](#nestedatt--{}))", attribute.name),
        Kind::String | Kind::Bool | Kind::Number | Kind::Strings => String::new(),
    };
    format!(
        "- `{}` ({kind}{sensitive}) {}{below}\n",
        attribute.name, attribute.description
    )
}

/// The table of endings for an open window, from the function that decides them.
fn endings() -> String {
    let mut text = "| what happened | `applying` | otherwise |\n|---|---|---|\n".to_owned();
    for (happened, words) in [
        (Happened::Closed, "the plan or the apply is done with it"),
        (Happened::Failed, "the run failed"),
        (Happened::BrokenOff, "the run was broken off"),
        (Happened::Useless, "it is of no use to this run"),
    ] {
        let cell = |applying| match ending(happened, Standing::Active, applying) {
            Ending::Release => "given back at once",
            Ending::Linger => "kept for `linger`",
            Ending::Withdraw => panic!("an open window is not withdrawn"),
        };
        writeln!(text, "| {words} | {} | {} |", cell(true), cell(false)).unwrap();
        for applying in [true, false] {
            // An approved window that is not open yet ends alike, so the table need not say more.
            let approved = ending(happened, Standing::Approved, applying);
            let active = ending(happened, Standing::Active, applying);
            assert_eq!(approved == Ending::Linger, active == Ending::Linger);
            assert_eq!(
                ending(happened, Standing::Pending, applying),
                Ending::Withdraw
            );
        }
    }
    text.trim_end().to_owned()
}

#[test]
fn the_documentation_is_what_the_schema_says() {
    for (block, name) in [
        (&PROVIDER, "index.md"),
        (&AWS_CREDENTIALS, "ephemeral-resources/aws_credentials.md"),
        (&ACCESS_DECISION, "data-sources/access_decision.md"),
        (&SCOPES, "data-sources/scopes.md"),
    ] {
        golden(
            &format!("docs/{name}"),
            &page(block, &format!("templates/{name}")),
        );
    }
}

#[test]
fn the_manifest_names_the_protocol_that_is_served() {
    let manifest: serde_json::Value =
        serde_json::from_str(&crate_file("terraform-registry-manifest.json")).unwrap();
    let versions = &manifest["metadata"]["protocol_versions"];
    assert_eq!(
        *versions,
        serde_json::json!([format!("{}.0", crate::PROTOCOL)])
    );
}

#[test]
fn every_page_names_the_providers_one_address() {
    assert!(crate_file("examples/provider/provider.tf").contains(crate::ADDRESS));
    assert!(crate_file("install").contains(crate::ADDRESS));
    assert!(crate_file("README.md").contains(crate::ADDRESS));
}
