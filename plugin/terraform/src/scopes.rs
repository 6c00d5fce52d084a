//! `data "writ_scopes"`: what the caller may ask for.

use writ_api::v1;

use crate::connection::Broker;
use crate::duration::Length;
use crate::failure::Failure;
use crate::value::{Object, Value, object};
use crate::words;

/// The answer, for the attributes of the block.
pub(crate) async fn read(broker: &Broker) -> Result<Object<'static>, Failure> {
    let mut scopes = broker.scopes().await?;
    scopes.sort_by(|one, other| one.name.cmp(&other.name));
    let scopes = scopes.iter().map(scope).collect();
    Ok(Object::from([("scopes".into(), Value::List(scopes))]))
}

fn scope(scope: &v1::Scope) -> Value<'static> {
    let (longest, needs) = longest(scope.without_ticket.as_ref());
    let (longest_with_ticket, needs_with_ticket) = self::longest(scope.with_ticket.as_ref());
    object([
        ("name", Value::text(scope.name.clone())),
        ("description", Value::text(scope.description.clone())),
        ("system", Value::text(scope.system.clone())),
        ("environment", Value::text(scope.environment.clone())),
        ("owners", Value::text(scope.owners.clone())),
        ("longest_duration", longest),
        ("needs", needs),
        ("longest_duration_with_ticket", longest_with_ticket),
        ("needs_with_ticket", needs_with_ticket),
    ])
}

fn longest(longest: Option<&v1::Longest>) -> (Value<'static>, Value<'static>) {
    let length = longest.and_then(|it| Length::of_wire(it.duration.as_ref()));
    let ways = longest.map(|it| words::ways(&it.ways)).unwrap_or_default();
    (
        Value::text_or_null(length.map(|length| length.to_string())),
        Value::texts(ways),
    )
}
