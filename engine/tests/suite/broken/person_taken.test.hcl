at = "2026-11-20T09:00:00Z"

user "Mia" {
  groups  = ["enginering"]
  manager = "patt"
}
