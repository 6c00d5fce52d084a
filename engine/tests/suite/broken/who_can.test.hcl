at = "2026-11-20T09:00:00Z"

who_can "db-read" {
  granted = { "1h" = ["sam", "token:main"], "25h" = ["mia"], "2h" = ["sam"] }
  break_glass {
    granted = { "1h" = ["nobody"] }
    at      = "2026-11-20T09:00:00Z"
  }
}
