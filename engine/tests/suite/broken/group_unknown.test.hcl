at = "2026-11-20T09:00:00Z"

test "one" {
  scope = "db-read"
  cases = [
    { user = "mia", duration = "1h", expect = "denied", viewers = ["group:oncal", "team:x"] },
  ]
}
