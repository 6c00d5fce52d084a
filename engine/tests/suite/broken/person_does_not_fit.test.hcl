at = "2026-11-20T09:00:00Z"

user "new" {
  groups = ["engineering"]
  attributes {
    contractor = true
  }
}
