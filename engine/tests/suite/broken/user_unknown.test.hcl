at = "2026-11-20T09:00:00Z"

test "one" {
  scope = "db-read"
  cases = [
    { user = "mira", duration = "1h", expect = "denied" },
  ]
}
