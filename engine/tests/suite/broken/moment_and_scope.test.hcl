at = "tomorrow"

test "one" {
  scope = "db-reed"
  cases = []
}
