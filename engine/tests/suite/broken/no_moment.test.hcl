test "one" {
  scope = "db-read"
  cases = [{ user = "mia", duration = "1h", expect = "denied" }]
}
