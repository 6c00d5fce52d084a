//! Durations as files write them: `30d`, `1h30m`, `45s`.

/// Reads `7d12h`, `1h30m`, `45m`: each unit once, largest first, no sign and no space. `None` for anything else, and for more
/// than [`u32::MAX`] seconds.
pub fn seconds(text: &str) -> Option<u32> {
    let mut rest = text;
    let mut total: u32 = 0;
    for (unit, seconds) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        if let Some((digits, after)) = rest.split_once(unit) {
            if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let count: u32 = digits.parse().ok()?;
            total = total.checked_add(count.checked_mul(seconds)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

/// The other way round: `1h30m`.
pub(super) fn spelled(seconds: u32) -> String {
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3_600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}
