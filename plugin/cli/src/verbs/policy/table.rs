//! Who can have what, as a table for a terminal.

use writ_engine::access::{AccessTable, Path, Who, WhoKind};

use crate::screen::{Cell, Paint, table};

/// How many names one cell has.
const NAMES_MAX: usize = 12;

/// One line for each way in. The column that everyone asked for by name would repeat is left out.
pub(super) fn render(paint: Paint, of: &AccessTable, first: First) -> String {
    let mut rows = Vec::new();
    for row in &of.rows {
        let name = match first {
            First::Principals => people(&row.principals),
            First::Scope => row.scope.to_string(),
        };
        if !row.complete {
            rows.push(vec![
                Cell::painted(&name, Paint::strong),
                Cell::new("?"),
                Cell::painted("not known: too many circumstances to ask about", Paint::bad),
                Cell::new(""),
                Cell::new(""),
            ]);
        }
        rows.extend(row.paths.iter().map(|path| line(&name, path)));
    }
    let head = match first {
        First::Principals => "WHO",
        First::Scope => "SCOPE",
    };
    table(
        paint,
        &[head, "LONGEST", "NEEDS", "ONLY", "POLICIES"],
        &rows,
    )
}

/// What stands in the first column.
#[derive(Debug, Clone, Copy)]
pub(super) enum First {
    /// Who.
    Principals,
    /// Which scope.
    Scope,
}

fn line(name: &str, path: &Path) -> Vec<Cell> {
    let policies: Vec<String> = path
        .because
        .iter()
        .map(|policy| format!("{} ({}:{})", policy.id, policy.file, policy.line))
        .collect();
    vec![
        Cell::painted(name, Paint::strong),
        Cell::new(&path.longest.to_string()),
        Cell::new(&needs(path)),
        Cell::new(&path.only),
        Cell::painted(&policies.join(", "), Paint::faint),
    ]
}

fn needs(path: &Path) -> String {
    if path.needs.is_empty() {
        return "nobody's consent".to_owned();
    }
    let needs = path.needs.iter().map(|(kind, count)| {
        let who = path.who.get(kind);
        let names: Vec<&str> = who
            .into_iter()
            .flatten()
            .map(|user| user.as_str())
            .collect();
        let names = if names.is_empty() {
            "nobody".to_owned()
        } else {
            limited(&names)
        };
        format!("{count} {kind}: {names}")
    });
    let needs = needs.collect::<Vec<_>>().join(" and ");
    match path.feasible {
        true => needs,
        false => format!("{needs}; nobody can give it"),
    }
}

fn people(all: &[Who]) -> String {
    let names: Vec<String> = all
        .iter()
        .map(|who| match who.kind {
            WhoKind::User => who.name.clone(),
            WhoKind::Workload => format!("workload {}", who.name),
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    limited(&names)
}

fn limited(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).copied().collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
