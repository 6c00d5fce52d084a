//! For scripts: everything, in the words of the schema `plugin/cli/schema/policy-diff.v1.json`.

use serde_json::json;

use super::Told;
use crate::document::document;
use crate::screen::escape_json;

pub(super) fn render(told: &Told<'_>) -> String {
    let mut content = json!(told.diff);
    if let Some(fields) = content.as_object_mut() {
        fields.insert("compared_with".to_owned(), json!(told.compared_with));
        fields.insert("folder".to_owned(), json!(told.folder));
        fields.insert("fails".to_owned(), json!(told.fails()));
    }
    format!(
        "{}\n",
        escape_json(&format!("{:#}", document("diff", content)))
    )
}
