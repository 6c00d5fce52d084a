at = "2026-11-20T09:00:00Z"

test "empty" {
}

tests "two" {
}
